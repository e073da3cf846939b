# SPDX-License-Identifier: Apache-2.0
"""Causal attention tile by tile, in memory linear in T, for any backend.

FlashAttention 2 (Dao 2023, algorithms 1 and 2) in plain jax: a tile of queries
meets one tile of keys after another with a running softmax, and the backward
pass computes the scores again from the log of the sum. Tiles of keys after the
queries, before the window or of other segments are not visited, so packed rows
cost what their segments cost.

Axes: X tiles of all rows, one after another; R rows of the batch that are
worked on together; W = n · t, the t queries of a tile for the n heads that
share a key head.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from srpo_jax.policy.attention.dense import MASKED, softcapped

# Tokens of a tile. Of 128, 256 and 512 the fastest on a CPU for whole rows of
# 512 to 4,096 tokens, forward and backward (docs/attention.md).
TILE = 256

PADDING = 2**30  # sorts behind every segment


class Rule(NamedTuple):
  """What a call fixes: tiles a row, tokens seen back (or None), score cap."""

  tiles: int
  window: int | None
  softcap: float | None


def tiled(
  q_BTNH: jax.Array,
  k_BTKH: jax.Array,
  v_BTKH: jax.Array,
  segment_BT: jax.Array,
  *,
  scale: float | None = None,
  window: int | None = None,
  softcap: float | None = None,
  tile: int = TILE,
  rows: int | None = 1,
) -> jax.Array:
  """`causal`, without [T, T]; the window is a number that is known.

  Args:
    tile: tokens of a tile, at most.
    rows: rows at once, a divisor of B; None for all. One skips most; a device
      that starts each operation at a cost wants all of them.
  """
  B, T, N, H = q_BTNH.shape
  rows = rows or B
  I = -(-T // tile)
  t = -(-T // I)
  cut = functools.partial(_cut, tiles=I, t=t, rows=rows)
  q = cut(q_BTNH * (scale or H**-0.5), K=k_BTKH.shape[2])
  k, v = (cut(x, K=x.shape[2]) for x in (k_BTKH, v_BTKH))
  segment = jnp.where(segment_BT == 0, PADDING, segment_BT)
  pad = ((0, 0), (0, I * t - T))
  segment = jnp.pad(segment, pad, constant_values=PADDING)
  segment = segment.reshape(-1, rows, I, t).swapaxes(1, 2).reshape(-1, rows, t)
  out = _attend(q, k, v, segment, Rule(I, window, softcap))
  out = out.reshape(B // rows, I, rows, *out.shape[2:]).swapaxes(1, 2)
  out = out.reshape(B, I, -1, t, H).transpose(0, 1, 3, 2, 4)
  return out.reshape(B, I * t, N, H)[:, :T]


def _cut(x_BTNH, *, tiles, t, rows, K):
  """[B, T, N, H] as tiles [X, R, K, W, H]."""
  B, T, N, H = x_BTNH.shape
  x = jnp.pad(x_BTNH, ((0, 0), (0, tiles * t - T), (0, 0), (0, 0)))
  x = x.reshape(B // rows, rows, tiles, t, K, N // K, H)
  x = x.transpose(0, 2, 1, 4, 5, 3, 6)
  return x.reshape(-1, rows, K, N // K * t, H)


def _first(segment_XRt: jax.Array, rule: Rule) -> jax.Array:
  """The first tile of keys that each tile of queries may see, [X].

  Tiles share a segment only where the ranges of their ids meet.
  """
  shape = (-1, rule.tiles, segment_XRt.shape[1])
  low, high = segment_XRt.min(-1), segment_XRt.max(-1)
  low, high = low.reshape(shape), high.reshape(shape)
  meet = (low[:, :, None] <= high[:, None]) & (low[:, None] <= high[:, :, None])
  first = jnp.argmax(jnp.any(meet, axis=-1), axis=-1)
  if rule.window is not None:
    begin = jnp.arange(rule.tiles) * segment_XRt.shape[2] - rule.window + 1
    first = jnp.maximum(first, (begin // segment_XRt.shape[2])[None])
  row = jnp.arange(first.shape[0])[:, None] * rule.tiles
  return (first + row).reshape(-1)


def _scores(q, k, segments, behind, rule: Rule):
  """Scores [R, K, W, t] of a tile; `behind` tokens lie between the tiles.

  Returns them capped and masked, and their derivative by what they were.
  """
  (q_Rt, k_Rt), t = segments, k.shape[2]
  f32 = {'preferred_element_type': jnp.float32}
  score = softcapped(jnp.einsum('RKWH,RKtH->RKWt', q, k, **f32), rule.softcap)
  behind = behind + jnp.arange(t)[:, None] - jnp.arange(t)[None]
  seen = behind >= 0
  if rule.window is not None:
    seen &= behind < rule.window
  seen = seen[None] & (q_Rt[:, :, None] == k_Rt[:, None])
  bias = jnp.tile(jnp.where(seen, 0, MASKED), (1, q.shape[2] // t, 1))
  slope = 1.0
  if rule.softcap is not None:
    slope = 1 - jnp.square(score / rule.softcap)
  return score + bias[:, None], slope


def _at(x, j):
  return jax.lax.dynamic_index_in_dim(x, j, 0, keepdims=False)


def _forward(q, k, v, segment, rule: Rule):
  """The output, and the log of each query's sum [X, R, K, W]."""
  t = segment.shape[2]

  def queries(_, tile):
    i, q_i, segment_i, first = tile

    def keys(j, carry):
      out, highest, total = carry
      seg = (segment_i, _at(segment, j))
      score, _ = _scores(q_i, _at(k, j), seg, (i - j) * t, rule)
      new = jnp.maximum(highest, jnp.max(score, axis=-1))
      weight, kept = jnp.exp(score - new[..., None]), jnp.exp(highest - new)
      part = _product('RKWt,RKtH->RKWH', weight, _at(v, j))
      total = total * kept + jnp.sum(weight, axis=-1)
      return out * kept[..., None] + part, new, total

    zero = jnp.zeros(q_i.shape, jnp.float32)
    start = (zero, zero[..., 0] + 2 * MASKED, zero[..., 0])
    out, highest, total = jax.lax.fori_loop(first, i + 1, keys, start)
    out = (out / total[..., None]).astype(v.dtype)
    return None, (out, highest + jnp.log(total))

  tiles = (jnp.arange(q.shape[0]), q, segment, _first(segment, rule))
  return jax.lax.scan(queries, None, tiles)[1]


def _product(equation, weight, x):
  """einsum in the dtype of x, added up in float32."""
  weight = weight.astype(x.dtype)
  return jnp.einsum(equation, weight, x, preferred_element_type=jnp.float32)


def _backward(rule: Rule, kept, d_out):
  q, k, v, segment, out, logsum = kept
  t = segment.shape[2]
  inner = jnp.sum(d_out.astype(jnp.float32) * out, axis=-1)

  def queries(carry, tile):
    i, q_i, segment_i, first, do_i, inner_i, logsum_i = tile

    def keys(j, carry):
      dq, dk, dv = carry
      k_j, v_j, seg = _at(k, j), _at(v, j), (segment_i, _at(segment, j))
      score, slope = _scores(q_i, k_j, seg, (i - j) * t, rule)
      p = jnp.exp(score - logsum_i[..., None])
      dp = _product('RKWH,RKtH->RKWt', do_i, v_j)
      ds = p * (dp - inner_i[..., None]) * slope
      dv = _add(dv, j, _product('RKWt,RKWH->RKtH', p, do_i))
      dk = _add(dk, j, _product('RKWt,RKWH->RKtH', ds, q_i))
      return dq + _product('RKWt,RKtH->RKWH', ds, k_j), dk, dv

    start = (jnp.zeros(q_i.shape, jnp.float32), *carry)
    dq, *carry = jax.lax.fori_loop(first, i + 1, keys, start)
    return tuple(carry), dq.astype(q.dtype)

  tiles = jnp.arange(q.shape[0]), q, segment, _first(segment, rule)
  zero = jnp.zeros(k.shape, jnp.float32)
  xs = (*tiles, d_out, inner, logsum)
  (dk, dv), dq = jax.lax.scan(queries, (zero, zero), xs)
  return dq, dk.astype(k.dtype), dv.astype(v.dtype), None


def _add(x, j, part):
  return jax.lax.dynamic_update_index_in_dim(x, _at(x, j) + part, j, 0)


@functools.partial(jax.custom_vjp, nondiff_argnums=(4,))
def _attend(q, k, v, segment, rule: Rule):
  return _forward(q, k, v, segment, rule)[0]


def _attend_forward(q, k, v, segment, rule: Rule):
  out, logsum = _forward(q, k, v, segment, rule)
  return out, (q, k, v, segment, out, logsum)


_attend.defvjp(_attend_forward, _backward)
