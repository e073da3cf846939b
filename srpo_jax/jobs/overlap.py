# SPDX-License-Identifier: Apache-2.0
"""When rollouts are drawn: in turn with the updates, or one step ahead.

`OVERLAP` names a function of the settings that refuses what cannot be right
and returns a context manager of the run, which gives `Rollouts`:

  take t ─ begin t+1 ─ update t ─ take t+1 ─ begin t+2 ─ update t+1

In turn, `begin` does nothing and `take` draws. One step off, `begin` copies
the parameters to the devices of the sampler and starts a thread that draws
with them, and `take` waits for that thread: the update runs beside it. Which
prompts are asked depends on verdicts alone, never on the update, so both ask
with everything known that came before, at the end of an epoch too.
"""

import concurrent.futures
import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import numpy as np

from srpo_jax.core import config, hosts
from srpo_jax.data import prompts as prompts_lib
from srpo_jax.jobs import asking, stopping
from srpo_jax.policy.policy import Params
from srpo_jax.srpo.importance import no_weights
from srpo_jax.train.snapshot import Position, Snapshot


class Rollouts(NamedTuple):
  """The rollouts of one step after another.

  Attributes:
    take: snapshot -> what its next step asked, with verdicts.
    begin: the snapshot after a step, its update still to come -> the
      parameters that the step after is drawn with, if not the update's.
  """

  take: Callable[[Snapshot], asking.Asked]
  begin: Callable[[Snapshot], Params | None]


def in_turn(settings) -> Callable:
  """Each step is drawn with the policy that the update before it made."""
  config.check(
    settings.rollout_mesh is None,
    'ROLLOUT_MESH',
    settings.rollout_mesh,
    'be None: in turn, rollouts are drawn on the devices of the update',
    'try --gin.OVERLAP=@one_step_off --gin.IMPORTANCE=@truncated_weights',
  )
  return _in_turn


def one_step_off(settings) -> Callable:
  """Each step is drawn while the update before it runs, with what that read.

  Importance weights are needed: the tokens of a step are drawn by a policy
  one update older than the one that learns from them.
  """
  hosts.refuse_several('OVERLAP = @one_step_off')
  mesh = settings.rollout_mesh
  ok = isinstance(mesh, tuple | list) and len(mesh) in (3, 4)
  config.check(
    ok and all(isinstance(n, int) and n > 0 for n in mesh),
    'ROLLOUT_MESH',
    mesh,
    'be three counts (data, fsdp, tensor) of devices that draw, or four',
    "try --gin.ROLLOUT_MESH='(4, 1, 1)'",
  )
  config.check(
    inspect.unwrap(settings.importance) is not no_weights,
    'IMPORTANCE',
    'no_weights',
    'weigh rollouts that are an update old',
    'try --gin.IMPORTANCE=@truncated_weights',
  )
  return _one_step_off


@contextlib.contextmanager
def _in_turn(run) -> Iterator[Rollouts]:
  order = _Order(run.settings.seed)
  yield Rollouts(
    take=lambda snapshot: asking.ask(run, snapshot, order.of(snapshot)),
    begin=lambda snapshot: None,
  )


@contextlib.contextmanager
def _one_step_off(run) -> Iterator[Rollouts]:
  # The thread has a scorer of its own: an evaluation may run meanwhile.
  parts = run.parts._replace(scorer=run.parts.scorer.sibling())
  stop = stopping.Stop(also=run.stop)
  ahead = _Ahead(dataclasses.replace(run, parts=parts, stop=stop))
  try:
    yield Rollouts(take=ahead.take, begin=ahead.begin)
  finally:
    stop.ask()
    ahead.close()


class _Ahead:
  """One thread, which draws the rollouts of at most one step."""

  def __init__(self, run):
    self._run = run
    self._order = _Order(run.settings.seed)
    self._thread = concurrent.futures.ThreadPoolExecutor(1, 'rollouts')
    self._next: concurrent.futures.Future[asking.Asked] | None = None

  def take(self, snapshot: Snapshot) -> asking.Asked:
    """Waits for the step; draws it if nobody has begun: a run that starts.

    After a resume these are the same rollouts as those that were lost: the
    checkpoint has their parameters, and their keys are counters.
    """
    if self._next is None:
      drawn_with = snapshot.drawn_with
      if drawn_with is None:
        drawn_with = self._copy(snapshot.state.params)
      self._start(snapshot, drawn_with)
    begun, self._next = self._next, None
    return begun.result()

  def begin(self, snapshot: Snapshot) -> Params | None:
    """Starts the step after `snapshot`, with the parameters in it now."""
    if snapshot.position.stage == len(self._run.settings.stages):
      return None
    drawn_with = self._copy(snapshot.state.params)
    self._start(snapshot, drawn_with)
    return drawn_with

  def close(self) -> None:
    """Waits for what is under way, which nobody wants any more."""
    self._thread.shutdown()

  def _start(self, snapshot: Snapshot, params: Params) -> None:
    # Without the rest of the state: the update is about to write over it.
    state = snapshot.state.replace(params=params, opt_state=None)
    snapshot = dataclasses.replace(snapshot, state=state)
    order = self._order.of(snapshot)
    self._next = self._thread.submit(asking.ask, self._run, snapshot, order)

  def _copy(self, params: Params) -> Params:
    """To the sampler's devices; done before the update reuses the originals."""
    shardings = self._run.parts.rollout_shardings
    return jax.block_until_ready(jax.device_put(params, shardings))


class _Order:
  """The order of the running epoch, made once."""

  def __init__(self, seed: int):
    self._seed = seed
    self._epoch, self._ids = None, None

  def of(self, snapshot: Snapshot) -> np.ndarray:
    """The ids of the epoch that the next step is in."""
    at: Position = snapshot.position
    if self._epoch != (at.stage, at.epoch):
      self._epoch = at.stage, at.epoch
      when = at.when.values()
      self._ids = prompts_lib.order(self._seed, *when, snapshot.kept)
    return self._ids
