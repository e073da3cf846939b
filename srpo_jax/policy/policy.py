# SPDX-License-Identifier: Apache-2.0
"""A policy: pure functions over a plain tree of parameters.

Parameters of the blocks are stacked over layers, and walked as walk.py says.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from srpo_jax.core import mesh as mesh_lib
from srpo_jax.core.mesh import DECODE_RULES, RULES
from srpo_jax.policy import attention, columns, lora, slot_attention, slots
from srpo_jax.policy.config import DecoderConfig
from srpo_jax.policy.kinds import kinds_of
from srpo_jax.policy.logprobs import chosen_logprobs
from srpo_jax.policy.remat import remat_of
from srpo_jax.policy.transformer import Block, Embed, Head, RMSNorm
from srpo_jax.policy.walk import SCANNED, UNROLLED, Params, Walk


@flax.struct.dataclass
class Prefix:
  """What the G samples of a prompt share.

  Attributes:
    kv: a (k, v) pair [P, K, L, H] for each layer.
    mask_PL: True on prompt tokens.
    length_P: prompt tokens, which is the position of the first new one.
  """

  kv: Any
  mask_PL: jax.Array
  length_P: jax.Array


class Policy(NamedTuple):
  """Pure functions; `params` is a plain nested dict.

  Attributes:
    config: the decoder's numbers.
    init: key -> params.
    axes: tree like params, of the logical names of each array's axes.
    split: params -> what is trained, what stays as it is.
    join: the two -> params.
    hidden: (params, tokens_BT, position_BT, segment_BT) -> y_BTD.
    logits: (params, y) -> float32 logits [.., V].
    logprobs: (params, tokens_BT, position_BT, segment_BT, temperature,
      mask_BT) -> log-probability and entropy [B, T] of each token given those
      before it; 0 for the first of a sequence, and outside the mask (by
      default all tokens).
    prefill: (params, tokens_PL, mask_PL) -> last hidden y_PD, Prefix.
    empty_suffix: (P, G, S) -> empty cache of responses.
    for_decode: params -> params in the layout `decode` wants.
    decode: (params, prefix, suffix, token_PG, step) -> y_PGD, suffix.
    slots: the same for rows of unlike age, as the rollout engine needs it.
  """

  config: DecoderConfig
  init: Callable
  axes: Callable
  split: Callable
  join: Callable
  hidden: Callable
  logits: Callable
  logprobs: Callable
  prefill: Callable
  empty_suffix: Callable
  for_decode: Callable
  decode: Callable
  slots: slots.SlotDecoder


def make_policy(
  config: DecoderConfig,
  mesh: Mesh,
  walk: Walk | None = None,
  remat: str | None = None,
) -> Policy:
  """The policy of a decoder on a mesh; `remat` by name (remat.py)."""
  on_cpu = mesh.devices.flat[0].platform == 'cpu'
  walk = walk or (UNROLLED if on_cpu else SCANNED)
  forward = _make_forward(config, mesh, walk, remat_of(mesh, remat))
  prefill, decode = _make_decoding(config, mesh, walk)
  return Policy(
    config=config,
    init=lambda key: nn.meta.unbox(_init(config, key)),
    axes=lambda: _axes(config),
    split=lora.split if config.lora else lambda params: (params, {}),
    join=lora.join if config.lora else lambda trained, frozen: trained,
    hidden=forward,
    logits=lambda params, y: _logits(config, params, y),
    logprobs=_make_logprobs(config, mesh, forward),
    prefill=prefill,
    empty_suffix=lambda P, G, S: _empty_suffix(config, mesh, walk, P, G, S),
    for_decode=functools.partial(_for_decode, config, walk),
    decode=decode,
    slots=_make_slot_decoder(config, mesh, walk),
  )


def _for_decode(config, walk, params: Params) -> Params:
  layers = walk.layers(params['layers'], config.n_layers)
  return {**params, 'layers': layers}


def _nothing(q, k, v):
  del k, v
  return q, None


def _init(config: DecoderConfig, key: jax.Array) -> Params:
  """Boxed parameters: Linen's metadata still holds the logical axes."""
  embed_key, layer_key, head_key = jax.random.split(key, 3)
  x = jnp.zeros((1, 1, config.dim), config.compute_dtype)
  position = jnp.zeros((1, 1), jnp.int32)
  turn = jnp.zeros(config.head_dim // 2)
  keys = jax.random.split(layer_key, config.n_layers)
  block = Block(config)
  init_block = lambda k: block.init(k, x, position, turn, _nothing)['params']
  params = {
    'embed': Embed(config).init(embed_key, position)['params'],
    'layers': jax.vmap(init_block)(keys),
    'final_norm': RMSNorm(config).init(key, x)['params'],
  }
  if not config.tied_head:
    params['head'] = Head(config).init(head_key)['params']
  return params


def param_shapes(config: DecoderConfig) -> Params:
  """Shapes and dtypes of the parameters."""
  return jax.eval_shape(lambda: nn.meta.unbox(_init(config, jax.random.key(0))))


def _axes(config: DecoderConfig) -> Params:
  boxed = jax.eval_shape(lambda: _init(config, jax.random.key(0)))
  is_box = lambda x: isinstance(x, nn.meta.AxisMetadata)
  names = jax.tree.map(lambda b: tuple(b.names), boxed, is_leaf=is_box)
  is_names = lambda x: isinstance(x, tuple)
  stack = lambda n: ('layers', *n)
  names['layers'] = jax.tree.map(stack, names['layers'], is_leaf=is_names)
  return names


def _embed(config, mesh, params, tokens, rules):
  x = Embed(config).apply({'params': params['embed']}, tokens)
  return mesh_lib.constrain(mesh, x, 'batch', 'tokens', None, rules=rules)


def _head(params: Params) -> jax.Array:
  return params.get('head', params['embed'])['table']


def _logits(config, params: Params, y: jax.Array) -> jax.Array:
  logits = jnp.einsum(
    '...D,VD->...V',
    y,
    _head(params).astype(y.dtype),
    preferred_element_type=jnp.float32,
  )
  return attention.softcapped(logits, config.final_softcap)


def _apply_block(config, mesh, layer, kind, x, position, attend, rules):
  """One block; `attend` is told what this layer sees."""
  x = mesh_lib.constrain(mesh, x, 'batch', 'tokens', None, rules=rules)
  # A mask that masks nothing would still cost its time.
  window = kind.window if config.local_layers else None
  attend = functools.partial(attend, window)
  return Block(config).apply(
    {'params': layer}, x, position, kind.frequency, attend
  )


def _make_forward(config, mesh, walk, remat):
  """Whole sequences, causal inside segments."""
  kinds, whole = kinds_of(config), attention.whole_sequences(config, mesh)

  def hidden(params, tokens_BT, position_BT, segment_BT):
    def attend(window, q, k, v):
      return whole(q, k, v, segment_BT, window), None

    @remat
    def body(x, layer, kind, cache):
      del cache
      args = (layer, kind, x, position_BT, attend)
      return _apply_block(config, mesh, *args, RULES)

    n = config.n_layers
    x = _embed(config, mesh, params, tokens_BT, RULES)
    layers = walk.layers(params['layers'], n)
    x, _ = walk.blocks(body, x, layers, kinds, walk.caches(None, n))
    return RMSNorm(config).apply({'params': params['final_norm']}, x)

  return hidden


def _own(config: DecoderConfig) -> dict:
  """What attention to caches is told."""
  return {'scale': config.query_scale, 'softcap': config.attention_softcap}


def _make_logprobs(config, mesh, hidden):
  """Log-probability and entropy of every token given those before it."""

  def logprobs(
    params, tokens_BT, position_BT, segment_BT, temperature, mask_BT=None
  ):
    wanted_BT = segment_BT > 0 if mask_BT is None else mask_BT
    # What stands before the first token is another sequence.
    wanted_BT = wanted_BT & (position_BT > 0)
    # Entry t is asked of what the policy says after token t - 1.
    before = lambda x_BT: jnp.roll(x_BT, -1, axis=1)
    scored = chosen_logprobs(
      mesh,
      _head(params),
      hidden(params, tokens_BT, position_BT, segment_BT),
      before(tokens_BT),
      before(wanted_BT),
      temperature,
      softcap=config.final_softcap,
    )
    return tuple(jnp.roll(x_BT, 1, axis=1) for x_BT in scored)

  return logprobs


def _make_decoding(config, mesh, walk):
  """Prefill of prompts, then one token at a time for G samples of each."""
  kinds, own = kinds_of(config), _own(config)
  whole = attention.whole_sequences(config, mesh, DECODE_RULES)

  def cached(x_PLKH):
    axes = ('batch', 'kv_heads', None, None)
    x_PKLH = x_PLKH.swapaxes(1, 2)
    return mesh_lib.constrain(mesh, x_PKLH, *axes, rules=DECODE_RULES)

  def prefill(params, tokens_PL, mask_PL):
    segment_PL = mask_PL.astype(jnp.int32)

    def attend(window, q, k, v):
      return whole(q, k, v, segment_PL, window), (cached(k), cached(v))

    def body(x, layer, kind, cache):
      del cache
      args = (layer, kind, x, position_PL, attend)
      return _apply_block(config, mesh, *args, DECODE_RULES)

    position_PL = jnp.arange(tokens_PL.shape[1])[None] * jnp.ones_like(
      tokens_PL
    )
    n = config.n_layers
    x = _embed(config, mesh, params, tokens_PL, DECODE_RULES)
    x, kv = walk.blocks(body, x, params['layers'], kinds, walk.caches(None, n))
    length_P = jnp.sum(mask_PL, axis=1)
    last = (length_P - 1)[:, None, None]
    y = jnp.take_along_axis(x, last, axis=1)[:, 0]
    y = RMSNorm(config).apply({'params': params['final_norm']}, y)
    return y, Prefix(kv=kv, mask_PL=mask_PL, length_P=length_P)

  def decode(params, prefix, suffix, token_PG, step):
    P, G = token_PG.shape
    position = jnp.broadcast_to((prefix.length_P + step)[:, None], (P, G))

    def body(x, layer, kind, cache):
      prefix_kv, suffix_kv = cache

      def attend(window, q, k, v):
        new = _append(suffix_kv, (k, v), step)
        seen = _seen(prefix, new[0].shape[3], step, window)
        return attention.decode(q, prefix_kv, new, *seen, **own), new

      args = (layer, kind, x, position, attend)
      return _apply_block(config, mesh, *args, DECODE_RULES)

    x = _embed(config, mesh, params, token_PG, DECODE_RULES)
    caches = walk.pair(prefix.kv, suffix)
    x, suffix = walk.blocks(body, x, params['layers'], kinds, caches)
    return RMSNorm(config).apply({'params': params['final_norm']}, x), suffix

  return prefill, decode


def _make_slot_decoder(config, mesh, walk) -> slots.SlotDecoder:
  if walk is UNROLLED and columns.fits(mesh):
    return columns.make_slot_decoder(config, mesh)
  kinds = kinds_of(config)

  def decode(params, prompts, ring, rows, token_XS, dtype):
    def body(x, layer, kind, cache):
      attend = slot_attention.attend(mesh, config, rows, ring.age_C, *cache)
      args = (layer, kind, x, rows.position_XS, attend)
      return _apply_block(config, mesh, *args, DECODE_RULES)

    x = _embed(config, mesh, params, token_XS, DECODE_RULES)
    caches = walk.pair(prompts.kv, ring.kv)
    x, kept = walk.blocks(body, x, params['layers'], kinds, caches)
    y_XSD = RMSNorm(config).apply({'params': params['final_norm']}, x)
    return y_XSD, slots.write(ring, kept, dtype)

  return slots.SlotDecoder(
    params=functools.partial(_for_decode, config, walk),
    prompts=functools.partial(slots.of_prefix, mesh),
    empty=functools.partial(slots.empty_ring, config, mesh, walk),
    resized=functools.partial(slots.resized, mesh),
    decode=decode,
    logits=functools.partial(_logits, config),
  )


def _seen(prefix: Prefix, S: int, step, window):
  """What token `step` of a response sees: masks [P, L] and [S]."""
  seen_PL, behind_S = prefix.mask_PL, step - jnp.arange(S)
  seen_S = behind_S >= 0
  if window is None:
    return seen_PL, seen_S
  position_P1 = (prefix.length_P + step)[:, None]
  behind_PL = position_P1 - jnp.arange(seen_PL.shape[1])[None]
  return seen_PL & (behind_PL < window), seen_S & (behind_S < window)


def _append(suffix_kv, new_kv, step):
  """Writes this token's k and v [P, G, K, H] at slot `step` of [P,G,K,S,H]."""
  return tuple(
    jax.lax.dynamic_update_slice_in_dim(
      old, new[:, :, :, None].astype(old.dtype), step, axis=3
    )
    for old, new in zip(suffix_kv, new_kv, strict=True)
  )


def _empty_suffix(config, mesh, walk, P, G, S):
  shape = (P, G, config.n_kv_heads, S, config.head_dim)
  zeros = jnp.zeros(shape, config.compute_dtype)
  axes = ('batch', None, 'kv_heads', None, None)
  zeros = mesh_lib.constrain(mesh, zeros, *axes, rules=DECODE_RULES)
  return walk.caches((zeros, zeros), config.n_layers)
