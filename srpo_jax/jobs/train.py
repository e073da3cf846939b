# SPDX-License-Identifier: Apache-2.0
"""The training job. `loop` is the algorithm; everything else serves it.

A step:
  1. take the next prompts of the epoch's order;
  2. sample G responses to each, and have them judged while others decode;
  3. note the verdicts in the ledger;
  4. turn rewards into group-relative advantages;
  5. update the policy;
  6. at the end of an epoch, history decides which prompts come back;
  7. at the end of a stage, the next one begins.

1 to 3 are jobs/asking.py, 6 and 7 jobs/advance.py; when 1 to 3 are done is
jobs/overlap.py. The loop owns a `Snapshot` (train/snapshot.py): a checkpoint
holds that and nothing else.
"""

import contextlib
import dataclasses
import json
import time
from pathlib import Path

import gin
import jax
import numpy as np

from srpo_jax.core import compiles, config, hosts
from srpo_jax.core import mesh as mesh_lib
from srpo_jax.core.records import Batch
from srpo_jax.jobs import (
  asking,
  export,
  heldout,
  logbook,
  profiling,
  stopping,
)
from srpo_jax.jobs.advance import advance, carry_state, keep
from srpo_jax.jobs.initial import Carried
from srpo_jax.jobs.overlap import Rollouts
from srpo_jax.jobs.parts import Parts, build
from srpo_jax.jobs.settings import Settings
from srpo_jax.policy.policy import Params
from srpo_jax.reward.client import RewardUnavailable
from srpo_jax.srpo import advantages, history, stages
from srpo_jax.train import state as state_lib
from srpo_jax.train import tables
from srpo_jax.train.batch import make_batch
from srpo_jax.train.checkpoint import Checkpoints
from srpo_jax.train.metrics import MetricsWriter
from srpo_jax.train.packing import pack
from srpo_jax.train.progress import Progress
from srpo_jax.train.snapshot import Position, Snapshot


@gin.configurable
def train(workdir: Path, *, settings: Settings = gin.REQUIRED) -> None:
  """Trains in a workdir; a rerun resumes; a finished run is left alone."""
  workdir, begin = Path(workdir), time.monotonic()
  compiles.keep_on_disk()
  if (workdir / 'done.json').exists():
    if not (workdir / 'report.html').exists():
      logbook.write_report(workdir)
    print(f'{workdir}: already done; its report is {workdir}/report.html')
    if settings.export:
      dtype, mesh = settings.export_dtype, settings.mesh
      export.export(workdir, init_from=str(workdir), dtype=dtype, mesh=mesh)
    return
  with contextlib.ExitStack() as stack:
    stop = stack.enter_context(stopping.on_sigterm())
    parts, start = build(settings, workdir, stack)
    # At the end, because it lists what was called.
    stack.callback(hosts.on_first, config.save_operative, workdir)
    checkpoints = Checkpoints(workdir, settings.checkpoint)
    stack.callback(checkpoints.close)
    writer = stack.enter_context(MetricsWriter(workdir))
    snapshot = checkpoints.restore(
      start.like, drawn_with=drawn_with(parts, start)
    )
    if snapshot is None:
      snapshot = first_snapshot(workdir, settings, parts, start)
    hosts.together(hosts.on_first, cut_back, workdir, snapshot, writer)
    at, mixtures = snapshot.position, parts.data.mixtures
    total = logbook.total_steps(settings, mixtures, at)
    progress = Progress(total, str(workdir), first_step=at.step)
    stack.enter_context(progress)
    for note in parts.data.notes:
      progress.say(note)
    run = Run(workdir, settings, parts, checkpoints, writer, progress, stop)
    snapshot = loop(run, snapshot)
    if settings.export:
      export_policy(run, snapshot)
  finish(workdir, snapshot, time.monotonic() - begin)


def drawn_with(parts: Parts, start) -> Params | None:
  """Shapes of the parameters that a sampler with its own devices has."""
  if parts.rollout_shardings is None:
    return None
  return jax.tree.map(
    lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
    start.like.params,
    parts.rollout_shardings,
  )


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


def first_snapshot(workdir: Path, settings: Settings, parts, start) -> Snapshot:
  """The snapshot before the first step, with what the run has behind it.

  Raises:
    ConfigError: the run it carries on from had dropped every prompt.
  """
  stage, pool = settings.stages[0], parts.data.mixtures[0].ids
  carried = start.carried() or Carried(history.empty(), pool)
  ledger = carried.ledger
  kept = stages.first_kept(stage, pool, carried.kept, ledger)
  if not len(kept):
    raise config.ConfigError(
      f'INIT_FROM = {settings.init_from!r}: it had dropped every prompt of '
      f'{stage.mixture}; try --gin.DROPPED_RETURN=True'
    )
  at = Position(before=int(ledger.stage.max(initial=0)))
  hosts.on_first(write_carried, workdir, carried)
  line = {'step': 0, 'stage_name': stage.name, **at.when}
  return Snapshot(start.fresh(), ledger, kept, at, pending=line)


def write_carried(workdir: Path, carried: Carried) -> None:
  """The ledger of the run behind; who was kept is known of its end alone."""
  ledger = carried.ledger
  epochs = sorted(set(zip(ledger.stage, ledger.epoch, strict=True)))
  for stage, epoch in epochs:
    rows = ledger.of(stage, epoch)
    last = (stage, epoch) == epochs[-1]
    stays_n = np.isin(rows.prompt, carried.kept) if last else None
    tables.write_ledger(workdir, stage, epoch, rows, stays_n)


def cut_back(workdir: Path, snapshot: Snapshot, writer: MetricsWriter) -> None:
  """Takes back what was written after the snapshot."""
  step = snapshot.position.step
  tables.cut_back(workdir, step)
  # The line of a step whose evaluation is still to come is not there yet.
  writer.cut_back(step - bool(snapshot.pending))


def loop(run: Run, snapshot: Snapshot) -> Snapshot:
  """Trains until the last stage ends; returns what the run came to.

  Raises:
    Interrupted: SIGTERM, or the reward service stayed silent; a checkpoint of
      the last whole step was written.
  """
  with run.settings.overlap(run.settings)(run) as rollouts:
    try:
      snapshot = record(run, snapshot)
      while snapshot.position.stage < len(run.settings.stages):
        with profiling.of_step(
          run.workdir, run.settings.profile, snapshot.position.step + 1
        ):
          snapshot = step(run, rollouts, snapshot)
        snapshot = record(run, snapshot)
        run.checkpoints.maybe_save(snapshot)
    except (stopping.Stopped, RewardUnavailable) as reason:
      run.checkpoints.save_once(snapshot)
      raise config.Interrupted(
        f'{run.workdir}: stopped after step {snapshot.position.step}, '
        f'checkpoint written ({reason}); run the same command to go on'
      ) from reason
    run.checkpoints.save_once(snapshot)
    return snapshot


def step(run: Run, rollouts: Rollouts, snapshot: Snapshot) -> Snapshot:
  """One step of the algorithm (the module docstring numbers its parts)."""
  start = time.monotonic()
  with profiling.part('rollouts and verdicts'):
    asked = rollouts.take(snapshot)
  waited_s = time.monotonic() - start
  scored = score(run, asked)
  # All but the state is known from the verdicts, so that the rollouts of the
  # next step need not wait for the update.
  before = judged(run, snapshot, asked, scored)
  new = advance(run, before, asked.taken, asked.ends_epoch)
  new = dataclasses.replace(new, drawn_with=rollouts.begin(new))

  updating = time.monotonic()
  batch = to_batch(run, asked.groups, scored[0].advantage_PG)
  # The device goes on with it while the host writes.
  state, metrics = update(run, snapshot.state, batch)
  state = carry_state(run, before.position, new.position, state)
  rows = logbook.rollout_table(run, snapshot.position, scored)
  numbers = logbook.numbers(run, snapshot, scored, rows)
  logbook.write_tables(run, before, new, rows)

  with profiling.part('waiting for the update'):
    metrics = jax.device_get(metrics)
  update_s = time.monotonic() - updating
  learned = {name: float(value) for name, value in metrics.items()}
  tokens = {'tokens/train': int(np.count_nonzero(batch.segment_BT))}
  numbers = {**numbers, **learned, **tokens}
  step_s = time.monotonic() - start
  times = logbook.times(
    numbers, asked.groups.played, waited_s, update_s, step_s
  )
  return dataclasses.replace(new, state=state, pending={**numbers, **times})


def score(run: Run, asked: asking.Asked) -> list[logbook.Scored]:
  """Rewards and advantages: of what the update reads, then of the rest."""
  reward_PG = reward(run.settings, asked.groups)
  advantage_PG = run.settings.advantage(
    reward_PG, ~asked.groups.played.ended_PG
  )
  scored = [logbook.Scored(asked.groups, reward_PG, advantage_PG)]
  for groups in asked.replaced:
    scored.append(logbook.unused(groups, reward(run.settings, groups)))
  return scored


def judged(run: Run, snapshot: Snapshot, asked, scored) -> Snapshot:
  """The snapshot with the step's verdicts, and what an epoch's end keeps."""
  new = dataclasses.replace(
    snapshot,
    ledger=asked.ledger,
    rewards=np.append(snapshot.rewards, logbook.mean_reward(scored)),
  )
  if not asked.ends_epoch:
    return new
  return dataclasses.replace(new, kept=keep(run, new))


def reward(settings: Settings, groups: asking.Groups) -> np.ndarray:
  """Rewards [P, G], the length penalty in them; NaN where not judged."""
  verdict, length_PG = groups.played.verdict, groups.played.length_PG
  reward_PG = advantages.reward(verdict, settings.reward_weights)
  return reward_PG + settings.length_penalty(length_PG)


def to_batch(
  run: Run, groups: asking.Groups, advantage_PG: np.ndarray
) -> Batch:
  """What the update reads: judged rollouts, packed."""
  played, real_P = groups.played, groups.real_P
  batch = make_batch(
    played.tokens_PL,
    played.mask_PL,
    played.rollouts,
    advantage_PG,
    played.verdict.judged_PG & real_P[:, None],
  )
  return pack(batch, run.parts.packing)


def record(run: Run, snapshot: Snapshot) -> Snapshot:
  """Writes the line of the last step, after its evaluation if one is due."""
  if not snapshot.pending:
    return snapshot
  hosts.together(run.stop.check)
  at, evals = snapshot.position, {}
  # At 0 a stage begins: the one before, if there was any, has just ended.
  if at.stage_step == 0 or at.step % run.settings.eval_every == 0:
    evals = heldout.evaluate(
      run.parts,
      run.settings,
      snapshot.state.params,
      run.workdir,
      at.step,
      run.stop.check,
    )
  if at.stage_step == 0:
    mixtures = run.parts.data.mixtures
    run.progress.expect(logbook.total_steps(run.settings, mixtures, at))
  line = {**snapshot.pending, **evals}
  hosts.on_first(run.writer.write, line)
  run.progress.step(line)
  return dataclasses.replace(snapshot, pending={})


def update(run: Run, state, batch):
  """UPDATES_PER_ROLLOUT updates on one batch; the last one's metrics to be."""
  settings, functions = run.settings, run.parts.update
  batch = mesh_lib.put_batch(run.parts.mesh, batch)
  if settings.updates_per_rollout > 1:
    batch = functions.score(state.params, batch)
  for _ in range(settings.updates_per_rollout):
    state, metrics = functions.apply(state, batch)
  return state, metrics


def export_policy(run: Run, snapshot: Snapshot) -> None:
  """WORKDIR/hugging_face, for other programs."""
  folder, parts = run.workdir / export.FOLDER, run.parts
  run.progress.say(f'writing {folder}')
  export.write(
    folder,
    run.workdir / 'policy',
    parts.policy.config,
    snapshot.state.params,
    parts.tokenizer,
    run.settings.export_dtype,
  )


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
  hosts.on_first(write_done, workdir, done)
  logbook.write_report(workdir)
  n, compile_s = done['compiles'], done['compile_seconds']
  print(f'{n} programs were compiled, in {compile_s} s')


def write_done(workdir: Path, done: dict) -> None:
  """All of done.json or nothing."""
  partial = workdir / 'done.json.tmp'
  partial.write_text(json.dumps(done, indent=2) + '\n')
  partial.replace(workdir / 'done.json')
