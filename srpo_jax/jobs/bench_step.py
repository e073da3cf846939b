# SPDX-License-Identifier: Apache-2.0
"""One timed step: rollouts of forced lengths, verdicts, update."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import jax
import numpy as np

from srpo_jax.core import mesh as mesh_lib
from srpo_jax.core.records import Batch, Rollouts
from srpo_jax.jobs.bench_parts import BenchParts
from srpo_jax.sampler.sampler import Chunk, joined
from srpo_jax.train.batch import make_batch
from srpo_jax.train.packing import pack
from srpo_jax.train.state import TrainState


class Step(NamedTuple):
  """What a step took.

  Attributes:
    rollout_s, verdict_s, update_s, step_s: seconds; verdicts those that were
      still awaited when the last response was there.
    chunks: what the sampler did.
    length_B: tokens of each response.
    batch: what the update read, on the host.
  """

  rollout_s: float
  verdict_s: float
  update_s: float
  step_s: float
  chunks: list[Chunk]
  length_B: np.ndarray
  batch: Batch


def used_share(chunks: Iterable[Chunk]) -> float:
  """Share of the slot-steps that drew a token."""
  spent = sum(chunk.width * chunk.steps for chunk in chunks)
  return sum(chunk.used for chunk in chunks) / spent


def step(
  parts: BenchParts, state: TrainState, key: jax.Array
) -> tuple[TrainState, Step]:
  """Makes a step and times its parts."""
  start, chunks, groups = time.perf_counter(), [], []
  asked, scorer = parts.asked, parts.scorer
  real_P = np.ones(len(asked.ids_P), bool)
  for index_p, rollouts in draw(parts, state.params, key, chunks.append):
    groups.append((index_p, rollouts))
    if scorer is not None:
      scorer.submit(asked.prompts, real_P, index_p, rollouts)
  sampled = time.perf_counter()
  if scorer is not None:
    scorer.gather(lambda: None)
  judged = time.perf_counter()
  rollouts = joined(groups)
  batch = to_batch(parts, rollouts)
  placed = mesh_lib.put_batch(parts.mesh, batch)
  state, metrics = parts.update.apply(state, placed)
  jax.block_until_ready((state, metrics))
  end = time.perf_counter()
  return state, Step(
    rollout_s=sampled - start,
    verdict_s=judged - sampled,
    update_s=end - judged,
    step_s=end - start,
    chunks=chunks,
    length_B=rollouts.mask_BT.sum(axis=1),
    batch=batch,
  )


def draw(
  parts: BenchParts, params, key: jax.Array, watch: Callable[[Chunk], None]
) -> Iterator[tuple[np.ndarray, Rollouts]]:
  """Responses that are as long as `limit_PG` says, as groups finish."""
  asked = parts.asked
  yield from parts.sampler.stream(
    params,
    asked.tokens_PL,
    asked.mask_PL,
    asked.ids_P,
    np.zeros(len(asked.ids_P), np.int32),
    key,
    limit_PG=asked.limit_PG,
    watch=watch,
  )


def to_batch(parts: BenchParts, rollouts: Rollouts) -> Batch:
  """What the update reads; advantages of +1 and −1, which cost the same."""
  asked = parts.asked
  shape = asked.limit_PG.shape
  sign_PG = np.where(np.arange(shape[1]) % 2, -1.0, 1.0)
  batch = make_batch(
    asked.tokens_PL,
    asked.mask_PL,
    rollouts,
    np.broadcast_to(sign_PG, shape),
    np.ones(shape, bool),
  )
  return pack(batch, parts.packing)
