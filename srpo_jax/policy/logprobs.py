# SPDX-License-Identifier: Apache-2.0
"""Log-probabilities of chosen tokens, without ever holding [B, T, V].

The head's product is the largest array of a language model: at 8,192 tokens
and a vocabulary of 152k it is 5 GB a sequence in float32. Here it exists one
chunk of tokens at a time, and only for tokens whose probability is asked for:
neither prompts nor padding meet the head. Backward makes each chunk's logits
once more and adds up the head's gradient in one float32 buffer.

On a mesh all of this is local (`shard_map`): a device takes the tokens of its
rows and its piece of the vocabulary. Between devices go three numbers a token
where the vocabulary is cut, and the gradients, once.
"""

import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as Spec

from srpo_jax.core import mesh as mesh_lib
from srpo_jax.policy.attention import softcapped

# Elements of one chunk of logits: what a device is willing to hold and, on a
# CPU, what its cache does. Fewer than 64 tokens make slow products. Our choice.
CHUNK_ELEMENTS, CHUNK_ELEMENTS_ON_CPU = 2**25, 2**18


def chunk_length(tokens: int, V: int, mesh: Mesh) -> int:
  """Tokens in a chunk, of those on a device."""
  on_cpu = mesh.devices.flat[0].platform == 'cpu'
  elements = CHUNK_ELEMENTS_ON_CPU if on_cpu else CHUNK_ELEMENTS
  return min(tokens, max(64, elements // V))


class Plan(NamedTuple):
  """What is known when the program is compiled.

  Attributes:
    mesh: of the devices.
    rows: mesh axes that the rows are cut over.
    vocab: mesh axes that the vocabulary is cut over.
    chunk: tokens at a time on a device; None for `chunk_length`.
    softcap: of the logits, before the temperature; None for none.
  """

  mesh: Mesh
  rows: tuple[str, ...]
  vocab: tuple[str, ...]
  chunk: int | None
  softcap: float | None


def chosen_logprobs(
  mesh: Mesh,
  head_VD: jax.Array,
  y_BTD: jax.Array,
  token_BT: jax.Array,
  wanted_BT: jax.Array,
  temperature: jax.Array | float = 1.0,
  *,
  softcap: float | None = None,
  chunk: int | None = None,
) -> tuple[jax.Array, jax.Array]:
  """log softmax(y headᵀ / τ)[token] and the entropy, both [B, T] float32.

  Args:
    mesh: where the arrays are.
    head_VD: output head.
    y_BTD: final hidden states, one for each token to be scored.
    token_BT: the tokens that were chosen there.
    wanted_BT: True where the two are wanted; they are 0 elsewhere.
    temperature: τ; no gradient flows to it.
    softcap: of the logits, before τ; None for none.
    chunk: tokens at a time on a device; by default what `chunk_length` allows.
  """
  chex.assert_equal_shape([token_BT, wanted_BT, y_BTD[..., 0]])
  rows = _axes(mesh, 'batch', len(y_BTD))
  plan = Plan(mesh, rows, _axes(mesh, 'vocab', len(head_VD)), chunk, softcap)
  temperature = jnp.asarray(temperature, jnp.float32)
  return _scored(plan, head_VD, y_BTD, token_BT, wanted_BT, temperature)


def _axes(mesh: Mesh, logical: str, size: int) -> tuple[str, ...]:
  """Mesh axes that an axis of an array is cut over."""
  (axes,) = mesh_lib.spec(mesh, (logical,), (size,))
  return (axes,) if isinstance(axes, str) else axes or ()


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _scored(plan, head_VD, y_BTD, token_BT, wanted_BT, temperature):
  return _forward(plan, head_VD, y_BTD, token_BT, wanted_BT, temperature)[0]


def _specs(plan: Plan):
  """Where head, hidden states, [B, T] arrays and temperature are."""
  return Spec(plan.vocab, None), Spec(plan.rows), Spec(plan.rows), Spec()


def _local(plan: Plan, f, in_specs, out_specs):
  return jax.shard_map(
    functools.partial(f, plan),
    mesh=plan.mesh,
    in_specs=in_specs,
    out_specs=out_specs,
    check_vma=False,
  )


def _forward(plan, *inputs):
  head, hidden, tokens, scalar = _specs(plan)
  args = (head, hidden, tokens, tokens, scalar)
  f = _local(plan, _forward_of_device, args, (tokens,) * 3)
  logprob_BT, entropy_BT, logz_BT = f(*inputs)
  return (logprob_BT, entropy_BT), (*inputs, logz_BT, entropy_BT)


def _backward(plan, kept, slopes):
  head, hidden, tokens, scalar = _specs(plan)
  args = (head, hidden, *(tokens,) * 2, scalar, *(tokens,) * 4)
  f = _local(plan, _backward_of_device, args, (head, hidden))
  return *f(*kept, *slopes), None, None, None


_scored.defvjp(_forward, _backward)


class _Chunks(NamedTuple):
  """The wanted tokens of a device, some at a time.

  Attributes:
    index: their places among all tokens; after the last one `tokens`, which is
      no place.
    length: tokens at a time.
    count: chunks to take; the same on all devices, which exchange numbers.
  """

  index: jax.Array
  length: int
  count: jax.Array

  def places(self, i) -> jax.Array:
    """Places of the i-th chunk."""
    start = i * self.length
    return jax.lax.dynamic_slice_in_dim(self.index, start, self.length)


def _at(x_n: jax.Array, places_C: jax.Array) -> jax.Array:
  """What stands there; 0 past the last place."""
  return x_n.at[places_C].get(mode='fill', fill_value=0)


def _chunks(plan: Plan, V: int, wanted_BT: jax.Array) -> _Chunks:
  tokens = wanted_BT.size
  length = min(plan.chunk or chunk_length(tokens, V, plan.mesh), tokens)
  size = -(-tokens // length) * length
  (index,) = jnp.nonzero(wanted_BT.ravel(), size=size, fill_value=tokens)
  count = -(-jnp.sum(wanted_BT, dtype=jnp.int32) // length)
  return _Chunks(index, length, jax.lax.pmax(count, plan.rows))


def _logits(plan, head_VD, y_CD, temperature):
  """Logits [C, V] in float32, and their slope by the head's product."""
  product = jnp.einsum(
    'CD,VD->CV', y_CD, head_VD, preferred_element_type=jnp.float32
  )
  capped = softcapped(product, plan.softcap)
  slope = 1 / temperature
  if plan.softcap is not None:
    slope = (1 - jnp.square(capped / plan.softcap)) / temperature
  return capped / temperature, slope


def _own_column(plan, V, token_C):
  """The token's column in this device's piece of the vocabulary, if it is."""
  piece = jax.lax.axis_index(plan.vocab) if plan.vocab else 0
  return token_C - piece * V


def _of_chunk(plan, z_CV, token_C):
  """log p(token), entropy −Σ p log p and log Σ exp z, each [C]."""
  V = z_CV.shape[1]
  over = lambda x: jax.lax.psum(x, plan.vocab)
  highest_C = jax.lax.pmax(jnp.max(z_CV, axis=1), plan.vocab)
  weight_CV = jnp.exp(z_CV - highest_C[:, None])
  total_C = over(jnp.sum(weight_CV, axis=1))
  mean_C = over(jnp.sum(weight_CV * z_CV, axis=1)) / total_C
  column_C = _own_column(plan, V, token_C)
  column_C1 = jnp.clip(column_C, 0, V - 1)[:, None]
  own_C = jnp.take_along_axis(z_CV, column_C1, axis=1)[:, 0]
  is_here_C = (column_C >= 0) & (column_C < V)
  chosen_C = over(jnp.where(is_here_C, own_C, 0))
  logz_C = highest_C + jnp.log(total_C)
  return chosen_C - logz_C, logz_C - mean_C, logz_C


def _forward_of_device(plan, head_VD, y_BTD, token_BT, wanted_BT, temperature):
  """The three of `_of_chunk` for all tokens, [B, T]; 0 where not wanted."""
  head_VD = head_VD.astype(y_BTD.dtype)
  chunks = _chunks(plan, len(head_VD), wanted_BT)
  y_nD, token_n = y_BTD.reshape(-1, y_BTD.shape[-1]), token_BT.ravel()

  def body(i, out):
    places = chunks.places(i)
    z_CV, _ = _logits(plan, head_VD, _at(y_nD, places), temperature)
    new = _of_chunk(plan, z_CV, _at(token_n, places))
    put = lambda x_n, new_C: x_n.at[places].set(new_C, mode='drop')
    return jax.tree.map(put, out, new)

  zeros = (jnp.zeros(token_BT.size, jnp.float32),) * 3
  out = jax.lax.fori_loop(0, chunks.count, body, zeros)
  return tuple(x_n.reshape(token_BT.shape) for x_n in out)


def _slope_of_chunk(plan, z_CV, token_C, logz_C, entropy_C, of_log_C, of_H_C):
  """Slope of the objective by the logits, [C, V].

  d log p(token) / dzᵥ = [v = token] − pᵥ and dH / dzᵥ = −pᵥ (log pᵥ + H).
  """
  column_C = _own_column(plan, z_CV.shape[1], token_C)
  is_token_CV = column_C[:, None] == jnp.arange(z_CV.shape[1])[None]
  log_p_CV = z_CV - logz_C[:, None]
  pull_CV = of_log_C[:, None] + of_H_C[:, None] * (
    log_p_CV + entropy_C[:, None]
  )
  return (
    jnp.where(is_token_CV, of_log_C[:, None], 0) - jnp.exp(log_p_CV) * pull_CV
  )


def _backward_of_device(
  plan, head_VD, y_BTD, token_BT, wanted_BT, temperature, *per_token
):
  """Gradients of head and hidden states, each summed over devices once."""
  head, y_nD = head_VD.astype(y_BTD.dtype), y_BTD.reshape(-1, y_BTD.shape[-1])
  chunks, token_n = _chunks(plan, len(head), wanted_BT), token_BT.ravel()
  per_token = [x_BT.ravel() for x_BT in per_token]
  f32 = {'preferred_element_type': jnp.float32}

  def body(i, grads):
    dhead_VD, dy_nD = grads
    places = chunks.places(i)
    y_CD, *args = (_at(x_n, places) for x_n in (y_nD, token_n, *per_token))
    z_CV, slope = _logits(plan, head, y_CD, temperature)
    dz_CV = slope * _slope_of_chunk(plan, z_CV, *args)
    dz_CV = dz_CV.astype(y_CD.dtype)
    dhead_VD += jnp.einsum('CV,CD->VD', dz_CV, y_CD, **f32)
    dy_CD = jnp.einsum('CV,VD->CD', dz_CV, head, **f32)
    return dhead_VD, dy_nD.at[places].set(dy_CD, mode='drop')

  zeros = (jnp.zeros(x.shape, jnp.float32) for x in (head_VD, y_nD))
  dhead_VD, dy_nD = jax.lax.fori_loop(0, chunks.count, body, tuple(zeros))
  dhead_VD = jax.lax.psum(dhead_VD, plan.rows).astype(head_VD.dtype)
  dy_nD = jax.lax.psum(dy_nD, plan.vocab).astype(y_BTD.dtype)
  return dhead_VD, dy_nD.reshape(y_BTD.shape)
