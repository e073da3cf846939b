# SPDX-License-Identifier: Apache-2.0
"""Rollouts: G responses to each of P prompts, streamed as groups finish.

`slot_refill` is the engine's host side; engine.py runs on the device. Another
way to sample is another function that returns a `Sampler` (static.py).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from srpo_jax.core import keys
from srpo_jax.core import mesh as mesh_lib
from srpo_jax.core.config import choice, integer
from srpo_jax.core.records import Rollouts
from srpo_jax.policy.policy import Policy
from srpo_jax.policy.slot_cache import KEEP
from srpo_jax.sampler.ahead import (
  Program,
  asked_like,
  batch_like,
  of_engine,
)
from srpo_jax.sampler.book import Book
from srpo_jax.sampler.engine import Engine, Plan, make_engine
from srpo_jax.sampler.sampling import SamplerConfig

# No cache is shorter: halves of the longest response down to this. Our choice.
SHORTEST = 64
# Halvings of the slots when the queue is empty: each is a program to compile.
HALVINGS = 4


class Sampler(NamedTuple):
  """Draws responses.

  Attributes:
    draw: (params, tokens_PL, mask_PL, key_PG) -> Rollouts of all prompts.
    stream: (params, tokens_PL, mask_PL, ids_P, visit_P, key) -> iterator of
      (indices of prompts, their Rollouts on the host), as groups finish.
    ahead: (shapes of params, P, L) -> iterator of what a draw runs, compiled
      for the mesh whether or not its devices are there (sampler/ahead.py).
    given: what it was given, for a message: slots, cache, steps of a chunk.
  """

  draw: Callable[..., Rollouts]
  stream: Callable[..., Iterator[tuple[np.ndarray, Rollouts]]]
  ahead: Callable[..., Iterator[Program]]
  given: dict


class Chunk(NamedTuple):
  """What a chunk of steps was.

  Attributes:
    width: slots, of all shards.
    length: columns of the cache.
    steps: made.
    used: slot-steps that drew a token.
  """

  width: int
  length: int
  steps: int
  used: int


def slot_refill(
  policy: Policy,
  config: SamplerConfig,
  group_size: int,
  mesh: Mesh,
  *,
  slots: int | None = None,
  chunk: int = 32,
  cache: str | None = None,
) -> Sampler:
  """The sampler whose slots take the next sample as soon as one ends.

  Args:
    slots: rows decoded at a time; None for `usual_slots`.
    chunk: steps between the host's looks (our choice).
    cache: 'float32', 'bfloat16' or 'int8', how keys and values are kept; None
      for the dtype of activations.
  """
  if slots is not None:
    integer('SLOTS', slots, 1)
  integer('slot_refill.chunk', chunk, 1)
  choice('CACHE_DTYPE', cache, (None, *KEEP))
  cache = cache or policy.config.compute_dtype
  engine = make_engine(Plan(policy, config, group_size, mesh, chunk, cache))
  shards = mesh_lib.decode_shards(mesh)

  @jax.jit
  def make_keys(key, words_P2, visit_P):
    return keys.sample_keys(key, words_P2, visit_P, group_size)

  def groups(params, tokens_PL, mask_PL, key_PG, limit_PG=None, watch=None):
    P = len(tokens_PL)
    if limit_PG is None:
      limit_PG = np.full((P, group_size), config.max_new_tokens, np.int32)
    book = Book(config, limit_PG, shards)
    put = lambda x: mesh_lib.put_batch(mesh, x, mesh_lib.DECODE_RULES)
    begun = (put(tokens_PL), put(mask_PL), key_PG, put(limit_PG))
    width = per_shard(slots or usual_slots(mesh, P * group_size), shards)
    run = engine.begin(params, *begun)
    sizes = Sizes(width, config.max_new_tokens, chunk)
    for log in logs(engine, sizes, *run, shards, watch):
      book.add(log)
      index_p = book.finished()
      if len(index_p):
        yield index_p, book.rollouts(index_p)

  def stream(params, tokens_PL, mask_PL, ids_P, visit_P, key, **more):
    put = lambda x: mesh_lib.put_batch(mesh, x, mesh_lib.DECODE_RULES)
    key_PG = make_keys(key, put(keys.split_ids(ids_P)), put(visit_P))
    yield from groups(params, tokens_PL, mask_PL, key_PG, **more)

  def draw(params, tokens_PL, mask_PL, key_PG, **more):
    return joined(groups(params, tokens_PL, mask_PL, key_PG, **more))

  def ahead(params, P, L):
    asked = asked_like(mesh, make_keys, P, L)
    limit_PG = batch_like(mesh, (P, group_size), np.int32)
    width = per_shard(slots or usual_slots(mesh, P * group_size), shards)
    sizes = Sizes(width, config.max_new_tokens, chunk)
    yield from of_engine(engine, sizes, params, (*asked, limit_PG))

  given = {'cache': cache, 'steps': chunk}
  if slots is not None:
    given['slots'] = slots
  return Sampler(draw=draw, stream=stream, ahead=ahead, given=given)


def usual_slots(mesh: Mesh, samples: int) -> int:
  """Rows decoded at a time where nobody said how many; our choice.

  On a CPU a step takes nearly as long as it has rows, so few slots that are
  always busy are best. Elsewhere it waits for the weights, and costs about the
  same for many rows as for few: all of them.
  """
  on_cpu = mesh.devices.flat[0].platform == 'cpu'
  return -(-samples // 4) if on_cpu else samples


def per_shard(slots: int, shards: int) -> int:
  """Slots of a shard; at least one."""
  return max(slots // shards, 1)


class Sizes(NamedTuple):
  """The sizes that slots may have: few, because each is compiled.

  Attributes:
    widest: slots of a shard at the start.
    longest: tokens of the longest response.
    chunk: steps between two looks.
  """

  widest: int
  longest: int
  chunk: int

  def narrower(self, width: int) -> int:
    """The next narrower width; 0 for none."""
    half = -(-width // 2)
    return half if half < width and half << HALVINGS >= self.widest else 0

  def width(self, live: int) -> int:
    """The narrowest width for so many live slots."""
    width = self.widest
    while 0 < self.narrower(width) >= live:
      width = self.narrower(width)
    return width

  def length(self, drawn: int) -> int:
    """Columns that last for a chunk after so many drawn tokens."""
    length = self.longest
    while length // 2 >= max(drawn + self.chunk, SHORTEST):
      length = -(-length // 2)
    return length


def logs(engine: Engine, sizes: Sizes, params, queue, first, shards, watch):
  """The lines that are drawn, chunk by chunk, on the host."""
  yield jax.device_get(first)
  width, length = sizes.widest, sizes.length(1)
  slots = engine.start(queue, width, length)
  while True:
    slots, log, seen = engine.chunk(params, queue, slots, sizes.narrower(width))
    log, seen = jax.device_get((log, seen))
    if watch is not None:
      steps, used = int(seen.steps), int(seen.used)
      watch(Chunk(width * shards, length, steps, used))
    yield log
    if not seen.live:
      return
    wanted = width if seen.waiting > 0 else sizes.width(int(seen.live))
    # Never shorter again: each pair of sizes is a program to compile.
    fitting = (wanted, max(length, sizes.length(int(seen.drawn))))
    if fitting != (width, length):
      width, length = fitting
      slots = engine.fit(queue, slots, width, length)


def joined(parts: Iterable[tuple[np.ndarray, Rollouts]]) -> Rollouts:
  """Groups that were streamed, in the order of their prompts."""
  parts = list(parts)
  place_B = np.concatenate([index_p[r.prompt_B] for index_p, r in parts])
  order = np.argsort(place_B, kind='stable')
  whole = jax.tree.map(
    lambda *xs: np.concatenate(xs)[order], *(r for _, r in parts)
  )
  return whole.replace(prompt_B=place_B[order])
