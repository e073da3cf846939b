# SPDX-License-Identifier: Apache-2.0
"""Attention of slots on a TPU: no prompt is gathered, none is fetched twice.

The grid walks over slots in the order of their prompts, and for each over the
blocks of its prompt and of its own tokens with a running softmax. Which block
comes next stands in scalars that are known before, so the pipeline fetches a
prompt's block straight from where it is held once. A block that is the one
before is not fetched again: slots of a prompt that fits one block share it.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import tpu as pltpu

from srpo_jax.policy.attention.dense import MASKED, softcapped
from srpo_jax.policy.attention.slots import KV, Sight

# Of one block of keys; there are four such blocks, each twice in flight. Our
# choice: half of the 16 MiB that the compiler gives a kernel by itself. A
# length that no such block divides is one block, and asks for more.
BLOCK_BYTES = 2**20
REST_BYTES = 2**23  # for all that is no block of keys or values
LANES = 128


class Plan(NamedTuple):
  """Scalars of each step of the grid, slots in the order of their prompts.

  Attributes:
    slot_S, prompt_S, begin_S, end_S: of Sight, in that order.
    block_SB: the own block to hold at each own step; where that is another
      than the step's, nothing in the step's is seen.
  """

  slot_S: jax.Array
  prompt_S: jax.Array
  begin_S: jax.Array
  end_S: jax.Array
  block_SB: jax.Array


def decode_slots_tpu(
  q_SNH: jax.Array,
  fed_kv: KV,
  prompt_kv: KV,
  own_kv: KV,
  sight: Sight,
  *,
  scale: float | None = None,
  softcap: float | None = None,
  block_bytes: int = BLOCK_BYTES,
  interpret: bool = False,
) -> jax.Array:
  """`decode_slots_reference` as a kernel.

  Args:
    block_bytes: of a block of keys, at most.
    interpret: run the kernel as plain jax, on any device.
  """
  S, N, H = q_SNH.shape
  k, v = (x[:, :, None] for x in fed_kv)
  K, dtype = k.shape[1], prompt_kv[0].dtype
  # Values lie with their H in whole lanes.
  column_bytes = K * -(-H // LANES) * LANES * dtype.itemsize
  L, C = prompt_kv[0].shape[-1], own_kv[0].shape[-1]
  l, c = (_block(n, block_bytes // column_bytes) for n in (L, C))
  q = (q_SNH * (scale or H**-0.5)).astype(dtype).reshape(S, K, N // K, H)
  plan, steps = _plan(sight, c), L // l
  call = pl.pallas_call(
    functools.partial(_kernel, l=l, steps=steps, softcap=softcap),
    grid_spec=pltpu.PrefetchScalarGridSpec(
      num_scalar_prefetch=len(plan),
      grid=(S, steps + C // c),
      in_specs=_specs(K, N // K, H, l, c, steps, C // c),
      out_specs=_of_slot(K, N // K, H),
      scratch_shapes=[
        pltpu.VMEM((K, N // K, width), jnp.float32) for width in (H, 1, 1)
      ],
    ),
    out_shape=jax.ShapeDtypeStruct(q.shape, v.dtype),
    # Slots do not wait for each other: a chip of two cores may share them.
    compiler_params=pltpu.CompilerParams(
      dimension_semantics=('parallel', 'arbitrary'),
      vmem_limit_bytes=4 * column_bytes * (l + c) + REST_BYTES,
    ),
    interpret=interpret,
    name='decode_slots',
  )
  seen_S1C = sight.seen_SC.astype(jnp.int32)[:, None]
  out = call(*plan, q, k, v, *prompt_kv, *own_kv, seen_S1C)
  return out.reshape(S, N, H)


def _block(length: int, most: int) -> int:
  """Columns of a block: all, or as many lanes as divide them and fit."""
  if length <= most:
    return length
  fits = range(most // LANES * LANES, 0, -LANES)
  return next((n for n in fits if length % n == 0), length)


def _plan(sight: Sight, c: int) -> Plan:
  slot_S = jnp.argsort(sight.prompt_S)
  S, C = sight.seen_SC.shape
  seen_SB = sight.seen_SC[slot_S].reshape(S, C // c, c).any(axis=-1)
  step_SB = jnp.where(seen_SB, jnp.arange(C // c)[None], -1)
  # What is not needed is what is there already, or what will be.
  block_SB = jax.lax.cummax(step_SB, axis=1)
  block_SB = jnp.where(block_SB < 0, jnp.argmax(seen_SB, 1)[:, None], block_SB)
  scalars = (slot_S, *(x[slot_S] for x in sight[:3]), block_SB.reshape(-1))
  return Plan(*(x.astype(jnp.int32) for x in scalars))


def _of_slot(*shape: int) -> pl.BlockSpec:
  """All that a slot has of an array."""
  zeros = (0,) * len(shape)
  return pl.BlockSpec(
    (None, *shape), lambda s, j, slot_S, *_: (slot_S[s], *zeros)
  )


def _specs(K, n, H, l, c, steps, own_steps) -> list[pl.BlockSpec]:
  """Where the kernel finds q, k, v, both caches, and what is seen."""

  def of_prompt(s, j, slot_S, prompt_S, begin_S, end_S, _):
    # Not //, which asks the device for its kind: there may be none yet.
    first, last = (
      jax.lax.div(jnp.maximum(column, 0), l)
      for column in (begin_S[s], end_S[s] - 1)
    )
    return prompt_S[s], jnp.clip(j, jnp.minimum(first, last), last)

  def of_own(s, j, slot_S, prompt_S, begin_S, end_S, block_SB):
    step = jnp.maximum(j - steps, 0)
    return slot_S[s], block_SB[s * own_steps + step]

  def keys(at, length):
    def index(*step):
      row, block = at(*step)
      return row, 0, 0, block

    return pl.BlockSpec((None, K, H, length), index)

  def values(at, length):
    def index(*step):
      row, block = at(*step)
      return row, 0, block, 0

    return pl.BlockSpec((None, K, length, H), index)

  def columns(*step):
    row, block = of_own(*step)
    return row, 0, block

  return [
    *(_of_slot(K, width, H) for width in (n, 1, 1)),
    *(keys(of_prompt, l), values(of_prompt, l)),
    *(keys(of_own, c), values(of_own, c)),
    pl.BlockSpec((None, 1, c), columns),
  ]


def _kernel(*refs, l: int, steps: int, softcap: float | None):
  """A step: meets one block; the first begins with the token that is fed."""
  plan, refs = Plan(*refs[:5]), refs[5:]
  q, k, v, k_prompt, v_prompt, k_own, v_own, seen, result, *state = refs
  s, j = pl.program_id(0), pl.program_id(1)
  out, total, high = state
  meet = functools.partial(_meet, q, state, softcap)

  @pl.when(j == 0)
  def _():
    score = jnp.sum(
      q[...].astype(jnp.float32) * k[...].astype(jnp.float32), -1, keepdims=True
    )
    high[...] = softcapped(score, softcap)
    total[...] = jnp.ones_like(total)
    out[...] = jnp.broadcast_to(v[...].astype(jnp.float32), out.shape)

  begin, end = plan.begin_S[s], plan.end_S[s]

  @pl.when((j < steps) & (j * l < end) & ((j + 1) * l > begin))
  def _():
    column = j * l + jax.lax.broadcasted_iota(jnp.int32, (1, 1, l), 2)
    meet((column >= begin) & (column < end), k_prompt, v_prompt)

  own = jnp.maximum(j - steps, 0)
  own_steps = pl.num_programs(1) - steps

  @pl.when((j >= steps) & (plan.block_SB[s * own_steps + own] == own))
  def _():
    meet(seen[...][None] != 0, k_own, v_own)

  @pl.when(j == pl.num_programs(1) - 1)
  def _():
    result[...] = (out[...] / total[...]).astype(result.dtype)


def _meet(q, state, softcap, seen, k, v):
  """One more block of keys and values, where `seen` [1, 1, columns]."""
  out, total, high = state
  score = softcapped(_product(q[...], k[...]), softcap)
  score = jnp.where(seen, score, MASKED)
  new = jnp.maximum(high[...], jnp.max(score, axis=-1, keepdims=True))
  weight, kept = jnp.exp(score - new), jnp.exp(high[...] - new)
  total[...] = total[...] * kept + jnp.sum(weight, axis=-1, keepdims=True)
  out[...] = out[...] * kept + _product(weight.astype(v.dtype), v[...])
  high[...] = new


def _product(a, b):
  """[K, n, i] times [K, i, j], added up in float32."""
  axes = (((2,), (1,)), ((0,), (0,)))
  return jax.lax.dot_general(a, b, axes, preferred_element_type=jnp.float32)
