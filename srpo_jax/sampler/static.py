# SPDX-License-Identifier: Apache-2.0
"""The simple sampler: a static batch that waits for its longest response.

One compiled call; the loop runs on the device until every row has ended. The
engine must draw the same tokens, and is measured against it.
"""

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from srpo_jax.core import keys
from srpo_jax.core import mesh as mesh_lib
from srpo_jax.core.records import Rollouts
from srpo_jax.policy.policy import Policy
from srpo_jax.sampler.ahead import asked_like, compile_ahead
from srpo_jax.sampler.sampler import Chunk, Sampler
from srpo_jax.sampler.sampling import SamplerConfig, sample


@flax.struct.dataclass
class _State:
  """The loop's state; step counts tokens already drawn."""

  step: jax.Array
  y_PGD: jax.Array
  suffix: object
  ended_PG: jax.Array
  token_PGT: jax.Array
  logprob_PGT: jax.Array
  raw_PGT: jax.Array


def static_batch(
  policy: Policy, config: SamplerConfig, group_size: int, mesh: Mesh
) -> Sampler:
  """A sampler of `group_size` responses a prompt."""

  @jax.jit
  def draw(params, tokens_PL, mask_PL, key_PG):
    params = policy.for_decode(params)
    y_PD, prefix = policy.prefill(params, tokens_PL, mask_PL)
    state = _start(policy, config, y_PD, group_size)

    def unfinished(state):
      return (state.step < config.max_new_tokens) & ~jnp.all(state.ended_PG)

    def body(state):
      return _one_token(policy, config, params, prefix, key_PG, state)

    drawn = _to_rollouts(jax.lax.while_loop(unfinished, body, state), config)
    # Whole on every device, so that every host reads the same.
    return jax.lax.with_sharding_constraint(drawn, mesh_lib.replicated(mesh))

  @jax.jit
  def make_keys(key, words_P2, visit_P):
    return keys.sample_keys(key, words_P2, visit_P, group_size)

  def stream(
    params, tokens_PL, mask_PL, ids_P, visit_P, key, limit_PG=None, watch=None
  ):
    put = lambda x: mesh_lib.put_batch(mesh, x, mesh_lib.DECODE_RULES)
    key_PG = make_keys(key, put(keys.split_ids(ids_P)), put(visit_P))
    drawn = draw(params, put(tokens_PL), put(mask_PL), key_PG)
    drawn = jax.device_get(drawn)
    kept = drawn if limit_PG is None else cut(drawn, limit_PG.reshape(-1))
    if watch is not None:
      width, length = drawn.mask_BT.shape
      steps = int(drawn.mask_BT.any(axis=0).sum())
      watch(Chunk(width, length, steps, int(kept.mask_BT.sum())))
    yield np.arange(len(ids_P)), kept

  def ahead(params, P, L):
    asked = asked_like(mesh, make_keys, P, L)
    trips = (config.max_new_tokens,)
    yield compile_ahead('draw', draw, params, *asked, trips=trips)

  return Sampler(draw=draw, stream=stream, ahead=ahead, given={})


def cut(rollouts: Rollouts, limit_B: np.ndarray) -> Rollouts:
  """Rollouts without what is beyond the limits; a batch draws it all."""
  T = rollouts.tokens_BT.shape[1]
  keep_BT = np.arange(T)[None] < limit_B[:, None]
  mask_BT = rollouts.mask_BT & keep_BT
  of = lambda x: np.where(keep_BT, x, np.zeros((), x.dtype))
  return rollouts.replace(
    tokens_BT=of(rollouts.tokens_BT),
    logprob_BT=of(rollouts.logprob_BT),
    raw_logprob_BT=of(rollouts.raw_logprob_BT),
    mask_BT=mask_BT,
    ended_B=rollouts.ended_B & (rollouts.mask_BT == mask_BT).all(axis=1),
  )


def _start(policy, config, y_PD, G):
  P, D = y_PD.shape
  shape = (P, G, config.max_new_tokens)
  return _State(
    step=jnp.zeros((), jnp.int32),
    y_PGD=jnp.broadcast_to(y_PD[:, None], (P, G, D)),
    suffix=policy.empty_suffix(*shape),
    ended_PG=jnp.zeros((P, G), bool),
    token_PGT=jnp.full(shape, config.pad_id, jnp.int32),
    logprob_PGT=jnp.zeros(shape, jnp.float32),
    raw_PGT=jnp.zeros(shape, jnp.float32),
  )


def _one_token(policy, config, params, prefix, key_PG, state):
  """Draws a token for every row, then feeds it to the policy."""
  P, G = state.ended_PG.shape
  logits_BV = policy.logits(params, state.y_PGD).reshape(P * G, -1)
  uniform_PG = _uniform(key_PG, state.step)
  drawn = sample(logits_BV, uniform_PG.reshape(-1), config)
  token, logprob, raw = (x.reshape(P, G) for x in drawn)
  token = jnp.where(state.ended_PG, config.pad_id, token)
  record = lambda old, new: jax.lax.dynamic_update_slice_in_dim(
    old, jnp.where(state.ended_PG, 0, new)[..., None], state.step, axis=2
  )
  y_PGD, suffix = policy.decode(params, prefix, state.suffix, token, state.step)
  is_end = jnp.isin(token, jnp.array(config.end_ids))
  return state.replace(
    step=state.step + 1,
    y_PGD=y_PGD,
    suffix=suffix,
    ended_PG=state.ended_PG | is_end,
    token_PGT=jax.lax.dynamic_update_slice_in_dim(
      state.token_PGT, token[..., None], state.step, axis=2
    ),
    logprob_PGT=record(state.logprob_PGT, logprob),
    raw_PGT=record(state.raw_PGT, raw),
  )


def _uniform(key_PG: jax.Array, step: jax.Array) -> jax.Array:
  """One number in [0, 1) a row: the key's last counter is the token index."""
  one = lambda key: jax.random.uniform(jax.random.fold_in(key, step))
  return jax.vmap(jax.vmap(one))(key_PG)


def _to_rollouts(state, config) -> Rollouts:
  P, G = state.ended_PG.shape
  flat = lambda x: x.reshape(P * G, *x.shape[2:])
  token_BT = flat(state.token_PGT)
  is_end_BT = jnp.isin(token_BT, jnp.array(config.end_ids))
  # The end token counts: a token is in the response if no end came before.
  before_BT = jnp.cumsum(is_end_BT, axis=1) - is_end_BT
  return Rollouts(
    tokens_BT=token_BT,
    logprob_BT=flat(state.logprob_PGT),
    raw_logprob_BT=flat(state.raw_PGT),
    mask_BT=before_BT == 0,
    prompt_B=jnp.repeat(jnp.arange(P), G),
    sample_B=jnp.tile(jnp.arange(G), P),
    ended_B=flat(state.ended_PG),
  )
