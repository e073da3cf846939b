# SPDX-License-Identifier: Apache-2.0
"""Decoding on a CPU: the slots of an activation are its columns, [D, S].

A CPU multiplies by packing the right operand for its registers, at each call
anew. With few rows, x W packs all of a weight to use it a few times. Here each
weight lies as [out, in] and stands on the left, Wᵀ x, so that what is packed
is the few columns of x (docs/speed.md has what that gains). Attention itself
is small and stays as slot_attention.py has it.

The equations are those of transformer.py, for one token of each slot.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from srpo_jax.policy import slot_attention, slots
from srpo_jax.policy.attention import rotation, softcapped, turn_by
from srpo_jax.policy.config import DecoderConfig
from srpo_jax.policy.kinds import kinds_of
from srpo_jax.policy.lora import ADAPTER
from srpo_jax.policy.transformer import ACTIVATIONS, Embed, rms
from srpo_jax.policy.walk import UNROLLED, Params, unstack

# Axes of a kernel that are summed over, where it is not one.
SUMMED = {'out': 2}


def fits(mesh: Mesh) -> bool:
  """True where slots are decoded so: on one CPU device."""
  return mesh.size == 1 and mesh.devices.flat[0].platform == 'cpu'


def turned(config: DecoderConfig, params: Params) -> Params:
  """The parameters a layer at a time, kernels [out, in]."""
  layers = unstack(params['layers'], config.n_layers)
  turn = functools.partial(_turned, config)
  return {**params, 'layers': tuple(map(turn, layers))}


def _turned(config: DecoderConfig, tree: Params) -> Params:
  return {
    name: _turned_one(config, name, x) if isinstance(x, dict) else x
    for name, x in tree.items()
  }


def _turned_one(config: DecoderConfig, name: str, x: Params) -> Params:
  if 'kernel' not in x:
    return _turned(config, x)
  dtype = config.compute_dtype
  rows = math.prod(x['kernel'].shape[: SUMMED.get(name, 1)])
  found = {'kernel': x['kernel'].reshape(rows, -1).T.astype(dtype)}
  if 'bias' in x:
    found['bias'] = x['bias'].reshape(-1, 1).astype(dtype)
  if ADAPTER in x:
    # Not merged: what is small beside a bfloat16 kernel would be rounded away.
    down, up, rank = x[ADAPTER]['down'], x[ADAPTER]['up'], config.lora.rank
    found['down'] = down.reshape(rows, rank).T.astype(dtype)
    up = config.lora.scale * up.reshape(rank, -1).T
    found['up'] = up.astype(dtype)
  return found


def _product(parameters: Params, x: jax.Array) -> jax.Array:
  """[out, S] of x [in, S]."""
  kernel = parameters['kernel']
  x = x.astype(kernel.dtype)
  y = kernel @ x
  if 'up' in parameters:
    y = y + parameters['up'] @ (parameters['down'] @ x)
  return y + parameters['bias'] if 'bias' in parameters else y


def _rotations(frequencies, position_XS, longest: int) -> tuple:
  """For each layer, cosine and sine [X, S, 1, H/2], read from tables.

  The compiler would take the sines of a position anew for every head of every
  layer. What it reads from a constant it cannot.

  Args:
    frequencies: of the layers, [H/2] each.
    longest: positions that there can be.
  """
  looked_up = {}
  for frequency_h in frequencies:
    if frequency_h.tobytes() not in looked_up:
      with jax.ensure_compile_time_eval():
        tables = rotation(jnp.arange(longest), frequency_h)
      take = functools.partial(jnp.take, axis=0, mode='clip')
      found = tuple(take(x, position_XS) for x in tables)
      looked_up[frequency_h.tobytes()] = found
  return tuple(looked_up[frequency_h.tobytes()] for frequency_h in frequencies)


def _norm(config, parameters, x_DS):
  return rms(config, x_DS, parameters['scale'][:, None], axis=0)


def _attention(config, parameters, x_DS, cos_sin, attend):
  c = config

  def heads(name, n):
    y = _product(parameters[name], x_DS).reshape(n, c.head_dim, -1)
    y_XSNH = y.transpose(2, 0, 1)[None]
    if c.qk_norm and name != 'v':
      scale = parameters[f'{name}_norm']['scale']
      y_XSNH = rms(c, y_XSNH, scale[None, None, None])
    return y_XSNH

  q, k, v = (
    heads('q', c.n_heads),
    heads('k', c.n_kv_heads),
    heads('v', c.n_kv_heads),
  )
  q, k = (turn_by(x, *cos_sin) for x in (q, k))
  out_XSNH, kept = attend(q, k, v)
  out = out_XSNH[0].transpose(1, 2, 0).reshape(-1, x_DS.shape[1])
  return _product(parameters['out'], out), kept


def _mlp(config, parameters, x_DS):
  gate = _product(parameters['gate'], x_DS)
  up = _product(parameters['up'], x_DS)
  hidden = ACTIVATIONS[config.activation](gate) * up
  return _product(parameters['down'], hidden)


def _block(config, layer, kind, x_DS, cos_sin, attend):
  """transformer.Block of columns."""
  norm = lambda name, x: _norm(config, layer[name], x)
  after = norm if config.post_norms else lambda name, x: x
  window = kind.window if config.local_layers else None
  y, kept = _attention(
    config,
    layer['attention'],
    norm('attention_norm', x_DS),
    cos_sin,
    functools.partial(attend, window),
  )
  x_DS = x_DS + after('attention_post_norm', y)
  y = _mlp(config, layer['mlp'], norm('mlp_norm', x_DS))
  return x_DS + after('mlp_post_norm', y), kept


def _logits(config, params: Params, y_XSD: jax.Array) -> jax.Array:
  """Float32 [X, S, V]."""
  table = params.get('head', params['embed'])['table']
  y_DS = y_XSD[0].T
  logits_VS = jnp.matmul(
    table.astype(y_DS.dtype), y_DS, preferred_element_type=jnp.float32
  )
  # Or the compiler turns the product round, to spare itself the transpose.
  logits_VS = jax.lax.optimization_barrier(logits_VS)
  return softcapped(logits_VS.T[None], config.final_softcap)


def make_slot_decoder(config: DecoderConfig, mesh: Mesh) -> slots.SlotDecoder:
  """Slots as columns; the same caches."""
  kinds = kinds_of(config)

  def decode(params, prompts, ring, rows, token_XS, dtype):
    longest = prompts.length + ring.length
    turns = _rotations(kinds.frequency, rows.position_XS, longest)

    def body(x_DS, layer, kind, own):
      *caches, cos_sin = own
      attend = slot_attention.attend(mesh, config, rows, ring.age_C, *caches)
      return _block(config, layer, kind, x_DS, cos_sin, attend)

    x_XSD = Embed(config).apply({'params': params['embed']}, token_XS)
    each = tuple(zip(prompts.kv, ring.kv, turns, strict=True))
    layers = params['layers']
    x_DS, kept = UNROLLED.blocks(body, x_XSD[0].T, layers, kinds, each)
    y_DS = _norm(config, params['final_norm'], x_DS)
    return y_DS.T[None], slots.write(ring, kept, dtype)

  return slots.SlotDecoder(
    params=functools.partial(turned, config),
    prompts=functools.partial(slots.of_prefix, mesh),
    empty=functools.partial(slots.empty_ring, config, mesh, UNROLLED),
    resized=functools.partial(slots.resized, mesh),
    decode=decode,
    logits=functools.partial(_logits, config),
  )
