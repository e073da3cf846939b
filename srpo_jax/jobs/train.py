# SPDX-License-Identifier: Apache-2.0
"""The training job. `loop` is the algorithm; everything else serves it.

A step:
  1. take the next prompts of the epoch's order;
  2. sample G responses to each, and have them judged while others decode;
  3. note the verdicts in the ledger;
  4. turn rewards into group-relative advantages;
  5. update the policy;
  6. at the end of an epoch, history decides which prompts come back.

The loop owns `state`, `ledger`, `kept` and `position`: a checkpoint holds
these and nothing else. Everything right of `=` is a function of its arguments.
"""

import contextlib
import dataclasses
import json
import time
from pathlib import Path

import gin
import jax
import numpy as np

from srpo_jax.core import compiles, config, keys
from srpo_jax.core import mesh as mesh_lib
from srpo_jax.data import prompts as prompts_lib
from srpo_jax.jobs import heldout, logbook, rollout, stopping
from srpo_jax.jobs.parts import Parts, build
from srpo_jax.jobs.settings import Settings
from srpo_jax.reward.client import RewardUnavailable
from srpo_jax.srpo import advantages, history
from srpo_jax.train import state as state_lib
from srpo_jax.train import tables
from srpo_jax.train.batch import make_batch
from srpo_jax.train.checkpoint import Checkpoints, Position, Snapshot
from srpo_jax.train.metrics import MetricsWriter
from srpo_jax.train.progress import Progress


@gin.configurable
def train(workdir: Path, *, settings: Settings = gin.REQUIRED) -> None:
  """Trains in a workdir; a rerun resumes; a finished run is left alone."""
  workdir, begin = Path(workdir), time.monotonic()
  if (workdir / 'done.json').exists():
    if not (workdir / 'report.html').exists():
      logbook.write_report(workdir)
    print(f'{workdir}: already done; its report is {workdir}/report.html')
    return
  with contextlib.ExitStack() as stack:
    stop = stack.enter_context(stopping.on_sigterm())
    parts, start = build(settings, workdir, stack)
    # At the end, because it lists what was called.
    stack.callback(config.save_operative, workdir)
    checkpoints = Checkpoints(workdir, settings.checkpoint)
    stack.callback(checkpoints.close)
    writer = stack.enter_context(MetricsWriter(workdir))
    snapshot = resume(workdir, parts, start, checkpoints, writer)
    del start  # it may hold the weights that the run came from
    first = snapshot.position.step
    total = logbook.total_steps(parts, settings)
    progress = Progress(total, str(workdir), first_step=first)
    stack.enter_context(progress)
    for note in parts.data.notes:
      progress.say(note)
    run = Run(workdir, settings, parts, checkpoints, writer, progress, stop)
    snapshot = loop(run, snapshot)
  finish(workdir, snapshot, time.monotonic() - begin)


@dataclasses.dataclass(frozen=True)
class Run:
  """What stays the same while a run goes on."""

  workdir: Path
  settings: Settings
  parts: Parts
  checkpoints: Checkpoints
  writer: MetricsWriter
  progress: Progress
  stop: stopping.Stop


def resume(workdir, parts, start, checkpoints, writer) -> Snapshot:
  """The newest sound checkpoint, or the start; files are cut back to it."""
  snapshot = checkpoints.restore(start.like)
  if snapshot is None:
    kept, line = parts.data.mixtures[0].ids, {'step': 0, 'stage': 1, 'epoch': 1}
    snapshot = Snapshot(start.fresh(), history.empty(), kept, Position(), line)
  step = snapshot.position.step
  tables.cut_back(workdir, step)
  # The line of a step whose evaluation is still to come is not there yet.
  writer.cut_back(step - bool(snapshot.pending))
  return snapshot


def loop(run: Run, snapshot: Snapshot) -> Snapshot:
  """Trains until the last stage ends; returns what the run came to.

  Raises:
    Interrupted: SIGTERM, or the reward service stayed silent; a checkpoint of
      the last whole step was written.
  """
  settings, n_stages = run.settings, len(run.settings.stages)
  try:
    snapshot = record(run, snapshot)
    while snapshot.position.stage < n_stages:
      at = snapshot.position
      order = prompts_lib.order(
        settings.seed, at.stage + 1, at.epoch + 1, snapshot.kept
      )
      batches = list(prompts_lib.batches(order, settings.prompts_per_step))
      for ids_P, real_P in batches[at.batch :]:
        snapshot = step(run, snapshot, ids_P, real_P, len(batches))
        snapshot = record(run, snapshot)
        run.checkpoints.maybe_save(snapshot)
        if snapshot.position.stage != at.stage:
          break
  except (stopping.Stopped, RewardUnavailable) as reason:
    run.checkpoints.save_once(snapshot)
    raise config.Interrupted(
      f'{run.workdir}: stopped after step {snapshot.position.step}, '
      f'checkpoint written ({reason}); run the same command to go on'
    ) from reason
  run.checkpoints.save_once(snapshot)
  return snapshot


def step(
  run: Run,
  snapshot: Snapshot,
  ids_P: np.ndarray,
  real_P: np.ndarray,
  n_batches: int,
) -> Snapshot:
  """One step of the algorithm (the module docstring numbers its parts)."""
  settings, parts, start = run.settings, run.parts, time.monotonic()
  state, ledger, position = snapshot.state, snapshot.ledger, snapshot.position
  when = {'stage': position.stage + 1, 'epoch': position.epoch + 1}
  counters = (*when.values(), position.batch)
  select_rng = keys.host_rng(settings.seed, 'history', *counters)
  ids_P, real_P = select(settings, ledger, ids_P, real_P, select_rng)
  prompts = parts.data.mixtures[position.stage].take(ids_P)

  key = keys.purpose_key(settings.seed, 'train', *when.values())
  played = rollout.play(
    parts, parts.sampler, state.params, prompts, real_P, key, run.stop.check
  )
  number = position.step + 1
  ledger = history.append(
    ledger,
    ids_P,
    real_P,
    played.verdict,
    played.length_PG,
    played.ended_PG,
    **when,
    step=number,
  )
  reward_PG = advantages.reward(played.verdict, settings.reward_weights)
  advantage_PG = advantages.group_relative(reward_PG, ~played.ended_PG)

  updating = time.monotonic()
  batch = make_batch(
    played.tokens_PL,
    played.mask_PL,
    played.rollouts,
    advantage_PG,
    played.verdict.judged_PG & real_P[:, None],
  )
  state, learned = update(run, state, batch)
  update_s = time.monotonic() - updating

  kept, position = advance(run, snapshot, ledger, n_batches)
  scored = logbook.Scored(prompts, real_P, played, reward_PG, advantage_PG)
  new = Snapshot(state, ledger, kept, position)
  rows = logbook.rollout_table(run, snapshot.position, scored)
  logbook.write_tables(run, snapshot, new, rows)
  numbers = logbook.numbers(run, snapshot, scored, rows, batch, learned)
  times = logbook.times(numbers, played, update_s, time.monotonic() - start)
  return dataclasses.replace(new, pending={**numbers, **times})


def record(run: Run, snapshot: Snapshot) -> Snapshot:
  """Writes the line of the last step, after its evaluation if one is due."""
  if not snapshot.pending:
    return snapshot
  run.stop.check()
  at, evals = snapshot.position, {}
  finished = at.stage == len(run.settings.stages)
  if finished or at.step % run.settings.eval_every == 0:
    evals = heldout.evaluate(
      run.parts,
      run.settings,
      snapshot.state.params,
      run.workdir,
      at.step,
      run.stop.check,
    )
  line = {**snapshot.pending, **evals}
  run.writer.write(line)
  run.progress.step(line)
  return dataclasses.replace(snapshot, pending={})


def select(settings, ledger, ids_P, real_P, rng):
  """The per-step seam; what it leaves out becomes padding."""
  chosen = settings.select(ledger, ids_P[real_P], rng)
  missing = len(ids_P) - len(chosen)
  filler = np.repeat(ids_P[-1:], missing)
  return np.concatenate([chosen, filler]), np.arange(len(ids_P)) < len(chosen)


def update(run: Run, state, batch):
  """UPDATES_PER_ROLLOUT updates on one batch; metrics of the last."""
  settings, functions = run.settings, run.parts.update
  batch = mesh_lib.put_batch(run.parts.mesh, batch)
  if settings.updates_per_rollout > 1:
    batch = functions.score(state.params, batch)
  for _ in range(settings.updates_per_rollout):
    state, metrics = functions.apply(state, batch)
  return state, {k: float(v) for k, v in jax.device_get(metrics).items()}


def advance(
  run: Run, snapshot: Snapshot, ledger: history.Ledger, n_batches: int
) -> tuple[np.ndarray, Position]:
  """`kept` and the position after a step: next batch, epoch or stage."""
  at, kept = snapshot.position, snapshot.kept
  at = dataclasses.replace(
    at, step=at.step + 1, stage_step=at.stage_step + 1, batch=at.batch + 1
  )
  if at.batch == n_batches:
    of_epoch = ledger.of(at.stage + 1, at.epoch + 1)
    counters = (at.stage + 1, at.epoch + 1)
    rng = keys.host_rng(run.settings.seed, 'history', *counters)
    kept = run.settings.history(kept, of_epoch, rng)
    at = dataclasses.replace(at, epoch=at.epoch + 1, batch=0)
  until = run.settings.stages[at.stage].until
  if until.reached(at.stage_step, at.epoch) or not len(kept):
    at = Position(step=at.step, stage=at.stage + 1)
    if at.stage < len(run.settings.stages):
      kept = run.parts.data.mixtures[at.stage].ids
  return kept, at


def finish(workdir: Path, snapshot: Snapshot, seconds: float) -> None:
  """done.json, the report, and the sentences a person waits for."""
  done = {
    'step': snapshot.position.step,
    'stage': snapshot.position.stage,
    'seconds': round(seconds, 1),
    'fingerprint': state_lib.fingerprint(snapshot.state.params),
    'compiles': compiles.count(),
    'compile_seconds': round(compiles.seconds(), 1),
  }
  partial = workdir / 'done.json.tmp'
  partial.write_text(json.dumps(done, indent=2) + '\n')
  partial.replace(workdir / 'done.json')
  logbook.write_report(workdir)
