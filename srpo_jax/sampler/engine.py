# SPDX-License-Identifier: Apache-2.0
"""The rollout engine: slots that are refilled on the device.

Responses differ in length, and a static batch waits for its longest. Here a
fixed number of slots works through a queue of samples: a slot whose response
ends takes the next sample in the same step, on the device. The host looks in
once a chunk of steps, takes what was drawn, lets finished groups go, and
narrows the slots when the queue is empty and most have ended.

The first token of every sample is drawn at the start, from its prompt's last
hidden state, so that each slot-step feeds a token that somebody wants.

Axes: X shards of the batch, S slots of a shard, R rows (samples) of a shard.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from srpo_jax.core import mesh as mesh_lib
from srpo_jax.policy.policy import Policy
from srpo_jax.policy.slot_attention import make_rows, take_slots
from srpo_jax.policy.slots import Prompts, Ring
from srpo_jax.sampler.sampling import SamplerConfig, sample


@flax.struct.dataclass
class Queue:
  """All samples of a draw; nothing in it changes.

  Attributes:
    prompts: held once for all samples of each.
    key_XR: of each sample.
    limit_XR: most tokens of each.
    first_XR: the first token of each.
    order_XR: rows in the order in which they are taken.
    waiting_X: how many are to be taken; the others have ended already.
  """

  prompts: Prompts
  key_XR: jax.Array
  limit_XR: jax.Array
  first_XR: jax.Array
  order_XR: jax.Array
  waiting_X: jax.Array


@flax.struct.dataclass
class Slots:
  """What the slots are at.

  Attributes:
    ring: their caches.
    row_XS: which row a slot holds; R if none.
    drawn_XS: tokens drawn of that row.
    token_XS: the last of them, which is fed next.
    taken_X: rows that have been taken from the queue.
  """

  ring: Ring
  row_XS: jax.Array
  drawn_XS: jax.Array
  token_XS: jax.Array
  taken_X: jax.Array


@flax.struct.dataclass
class Log:
  """What was drawn in a chunk: a line [X, S] for each step.

  Attributes:
    row: whose token it is; R for nobody's.
    token, logprob, raw: as `sample` returns them.
  """

  row: jax.Array
  token: jax.Array
  logprob: jax.Array
  raw: jax.Array


class Engine(NamedTuple):
  """Compiled functions.

  Attributes:
    begin: (params, tokens_PL, mask_PL, key_PG, limit_PG) -> params for
      slots, Queue, Log of the first tokens in its one line.
    start: (queue, slots a shard, columns) -> Slots, filled from the queue.
    chunk: (params, queue, slots, narrow) -> slots, log, Seen. Stops early
      once the queue is empty and at most `narrow` slots of a shard are live.
    fit: (queue, slots, slots a shard, columns) -> the live ones, there.
  """

  begin: Callable
  start: Callable
  chunk: Callable
  fit: Callable


class Seen(NamedTuple):
  """What the host decides by; the same on every host.

  Attributes:
    live: most live slots of a shard.
    drawn: most tokens drawn of a live row.
    waiting: most rows of a shard that were not taken yet.
    steps: made in the chunk.
    used: slot-steps that drew a token.
  """

  live: jax.Array
  drawn: jax.Array
  waiting: jax.Array
  steps: jax.Array
  used: jax.Array


class Plan(NamedTuple):
  """What is known when the functions are compiled.

  Attributes:
    policy, config: what draws, and how.
    group_size: G.
    mesh: of the devices.
    steps: of a chunk.
    cache: name of slot_cache.KEEP.
  """

  policy: Policy
  config: SamplerConfig
  group_size: int
  mesh: Mesh
  steps: int
  cache: str

  @property
  def shards(self) -> int:
    """X."""
    return mesh_lib.decode_shards(self.mesh)


def make_engine(plan: Plan) -> Engine:
  """The engine's functions; each pair of sizes is compiled once."""
  of = lambda f: functools.partial(f, plan)
  return Engine(
    begin=jax.jit(of(_begin)),
    start=jax.jit(of(_start), static_argnums=(1, 2)),
    chunk=jax.jit(of(_chunk), donate_argnums=2),
    fit=jax.jit(of(_fit), static_argnums=(2, 3)),
  )


def _everywhere(plan: Plan, tree):
  """Whole on every device, so that every host reads the same."""
  whole = mesh_lib.replicated(plan.mesh)
  return jax.lax.with_sharding_constraint(tree, whole)


def _begin(plan, given, tokens_PL, mask_PL, key_PG, limit_PG):
  policy, config = plan.policy, plan.config
  cut = lambda x: x.reshape(plan.shards, -1)
  params = policy.for_decode(given)
  y_PD, prefix = policy.prefill(params, tokens_PL, mask_PL)
  drawn = _first_tokens(policy, config, params, y_PD, key_PG)
  token, logprob, raw = (cut(x) for x in drawn)
  limit = cut(limit_PG)
  over = _is_end(config, token) | (limit <= 1)
  queue = Queue(
    prompts=policy.slots.prompts(prefix, plan.cache),
    key_XR=cut(key_PG),
    limit_XR=limit,
    first_XR=token,
    order_XR=jnp.argsort(over, axis=1, stable=True),
    waiting_X=jnp.sum(~over, axis=1),
  )
  row = jnp.broadcast_to(jnp.arange(token.shape[1]), token.shape)
  log = Log(*(x[None] for x in (row, token, logprob, raw)))
  return policy.slots.params(given), queue, _everywhere(plan, log)


def _start(plan, queue, width, length):
  X = plan.shards
  nobody = jnp.full((X, width), queue.first_XR.shape[1])
  empty = jnp.zeros((X, width), jnp.int32)
  taken_X = jnp.zeros(X, jnp.int32)
  ring = plan.policy.slots.empty(width, length, plan.cache)
  return _refilled(queue, Slots(ring, nobody, empty, empty, taken_X))


def _step(plan, params, queue, slots):
  """A token for every slot, and what is written in the log."""
  rows = make_rows(
    queue.prompts.length_XP, plan.group_size, slots.row_XS, slots.drawn_XS - 1
  )
  y_XSD, ring = plan.policy.slots.decode(
    params, queue.prompts, slots.ring, rows, slots.token_XS, plan.cache
  )
  drawn = _draw(plan, params, queue, slots, y_XSD)
  log = Log(slots.row_XS, *drawn)
  slots = slots.replace(
    ring=ring, token_XS=log.token, drawn_XS=slots.drawn_XS + 1
  )
  over = _is_end(plan.config, log.token)
  over |= slots.drawn_XS >= take_slots(queue.limit_XR, slots.row_XS)
  R = queue.first_XR.shape[1]
  row_XS = jnp.where(over, R, slots.row_XS)
  return _refilled(queue, slots.replace(row_XS=row_XS)), log


def _chunk(plan, params, queue, slots, narrow):
  R, shape = queue.first_XR.shape[1], (plan.steps, *slots.row_XS.shape)
  nothing, rows = jnp.zeros(shape, jnp.float32), jnp.full(shape, R)
  log = Log(rows, jnp.zeros_like(rows), nothing, nothing)

  def goes_on(carry):
    i, slots, _ = carry
    waits = jnp.any(slots.taken_X < queue.waiting_X)
    return (i < plan.steps) & (waits | (_live(R, slots).max() > narrow))

  def body(carry):
    i, slots, log = carry
    slots, line = _step(plan, params, queue, slots)
    log = jax.tree.map(lambda all, one: all.at[i].set(one), log, line)
    return i + 1, slots, log

  done, slots, log = jax.lax.while_loop(goes_on, body, (0, slots, log))
  seen = _seen(queue, slots, log, done)
  return slots, _everywhere(plan, log), _everywhere(plan, seen)


def _seen(queue, slots, log, done) -> Seen:
  R = queue.first_XR.shape[1]
  drawn_XS = jnp.where(slots.row_XS < R, slots.drawn_XS, 0)
  return Seen(
    live=_live(R, slots).max(),
    drawn=jnp.max(drawn_XS),
    waiting=jnp.max(queue.waiting_X - slots.taken_X),
    steps=done,
    used=jnp.sum(log.row < R),
  )


def _fit(plan, queue, slots, width, length):
  R = queue.first_XR.shape[1]
  live_first = jnp.argsort(slots.row_XS >= R, axis=1, stable=True)
  slot_XS = live_first[:, :width]
  keep = lambda x: take_slots(x, slot_XS)
  return Slots(
    ring=plan.policy.slots.resized(slots.ring, slot_XS, length),
    row_XS=keep(slots.row_XS),
    drawn_XS=keep(slots.drawn_XS),
    token_XS=keep(slots.token_XS),
    taken_X=slots.taken_X,
  )


def _is_end(config, token):
  return jnp.isin(token, jnp.array(config.end_ids, jnp.int32))


def _live(R: int, slots: Slots) -> jax.Array:
  """Live slots of each shard."""
  return jnp.sum(slots.row_XS < R, axis=1)


def _uniform(key, index) -> jax.Array:
  """A number in [0, 1): the key's last counter is the token's index."""
  return jax.random.uniform(jax.random.fold_in(key, index))


def _first_tokens(policy, config, params, y_PD, key_PG):
  """The first token of every sample; a prompt's logits are made once."""
  logits_PV = policy.logits(params, y_PD)

  def of_sample(key_P):
    uniform_P = jax.vmap(_uniform, (0, None))(key_P, 0)
    return sample(logits_PV, uniform_P, config)

  drawn = jax.lax.map(of_sample, key_PG.swapaxes(0, 1))
  return tuple(x_GP.swapaxes(0, 1) for x_GP in drawn)


def _draw(plan, params, queue, slots, y_XSD):
  """The next token of every slot."""
  X, S = slots.row_XS.shape
  key_XS = take_slots(queue.key_XR, slots.row_XS)
  uniform = jax.vmap(jax.vmap(_uniform))(key_XS, slots.drawn_XS)
  logits = plan.policy.slots.logits(params, y_XSD).reshape(X * S, -1)
  drawn = sample(logits, uniform.reshape(-1), plan.config)
  return tuple(x.reshape(X, S) for x in drawn)


def _refilled(queue: Queue, slots: Slots) -> Slots:
  """Every free slot takes the next row of its shard's queue, if there is one.

  The row's first token was drawn before; it is the one to be fed.
  """
  R = queue.first_XR.shape[1]
  free_XS = slots.row_XS >= R
  turn_XS = slots.taken_X[:, None] + jnp.cumsum(free_XS, axis=1) - 1
  gets_XS = free_XS & (turn_XS < queue.waiting_X[:, None])
  row_XS = take_slots(queue.order_XR, turn_XS)
  first_XS = take_slots(queue.first_XR, row_XS)
  return slots.replace(
    row_XS=jnp.where(gets_XS, row_XS, slots.row_XS),
    drawn_XS=jnp.where(gets_XS, 1, slots.drawn_XS),
    token_XS=jnp.where(gets_XS, first_XS, slots.token_XS),
    taken_X=slots.taken_X + jnp.sum(gets_XS, axis=1),
  )
