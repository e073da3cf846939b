# SPDX-License-Identifier: Apache-2.0
"""What a training step leaves behind: metrics, rollouts, ledger, report."""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from srpo_jax.core.records import Prompt
from srpo_jax.jobs import heldout, rollout
from srpo_jax.jobs.settings import Settings
from srpo_jax.srpo import advantages
from srpo_jax.study import report
from srpo_jax.train import tables
from srpo_jax.train.verdicts import status_shares


class Scored(NamedTuple):
  """A round of rollouts with what was made of it."""

  prompts: Sequence[Prompt]
  real_P: np.ndarray
  played: rollout.Round
  reward_PG: np.ndarray
  advantage_PG: np.ndarray


def total_steps(parts, settings: Settings) -> int:
  """The most steps a run can take, for the progress display."""
  total = 0
  for stage, mixture in zip(settings.stages, parts.data.mixtures, strict=True):
    per_epoch = math.ceil(len(mixture) / settings.prompts_per_step)
    steps, epochs = stage.until.steps, stage.until.epochs
    limits = [steps, epochs and epochs * per_epoch]
    total += min(limit for limit in limits if limit is not None)
  return total


def write_step(run, before, after, scored, batch, learned, times) -> None:
  """Writes a finished step: evaluation if due, tables, metrics, progress."""
  step, at = after.position.step, before.position
  finished = after.position.stage == len(run.settings.stages)
  evals = {}
  if finished or step % run.settings.eval_every == 0:
    evals = heldout.evaluate(
      run.parts, run.settings, after.state.params, run.workdir, step, _never
    )
  table = _rollout_table(run, scored, step, at)
  tables.write_rollouts(run.workdir, step, table)
  if (after.position.stage, after.position.epoch) != (at.stage, at.epoch):
    rows = after.ledger.of(at.stage + 1, at.epoch + 1)
    tables.write_ledger(run.workdir, at.stage + 1, at.epoch + 1, rows)
  metrics = {
    'step': step,
    'stage': at.stage + 1,
    'epoch': at.epoch + 1,
    **_of_rollouts(table),
    **advantages.group_shares(
      scored.played.verdict, scored.advantage_PG, scored.real_P
    ),
    'history/kept': len(before.kept),
    'history/dropped': len(run.parts.data.mixtures[at.stage])
    - len(before.kept),
    **status_shares(scored.played.verdict, scored.real_P),
    **learned,
    **_of_speed(scored.played, table, batch, times),
    **evals,
  }
  run.writer.write(metrics)
  run.progress.step(metrics)


def _never() -> None:
  """An evaluation behind an update is not given up: its step is whole."""


def _rollout_table(run, scored: Scored, step: int, at) -> dict:
  keep_B = np.repeat(scored.real_P, run.settings.group_size)
  table = rollout.columns(run.parts, scored.prompts, scored.played, keep_B)
  del table['level']
  n = len(table['prompt'])
  when = {'step': step, 'stage': at.stage + 1, 'epoch': at.epoch + 1}
  return {
    **{name: np.full(n, value, np.int32) for name, value in when.items()},
    **table,
    'reward': scored.reward_PG.reshape(-1)[keep_B],
    'advantage': scored.advantage_PG.reshape(-1)[keep_B],
  }


def _mean(values: np.ndarray) -> float:
  """Mean of what is not NaN; NaN if nothing is."""
  values = np.asarray(values, np.float64)
  known = values[~np.isnan(values)]
  return float(known.mean()) if len(known) else math.nan


def _of_rollouts(table: dict) -> dict[str, float]:
  metrics = {
    'reward/mean': _mean(table['reward']),
    'format/mean': _mean(table['format']),
    'language_mixing/mean': _mean(table['language_mixing']),
    'response_length/mean': _mean(table['tokens']),
    'truncated/share': _mean(~table['ended']),
    'tokens/rollout': int(table['tokens'].sum()),
  }
  for domain in sorted(set(table['domain'])):
    here = table['domain'] == domain
    metrics[f'accuracy/{domain}'] = _mean(table['accuracy'][here])
    metrics[f'response_length/{domain}'] = _mean(table['tokens'][here])
  return metrics


def _of_speed(played, table, batch, times) -> dict[str, float]:
  read = int((batch.segment_BT > 0).sum())
  update_s = times['time/update']
  return {
    'tokens/train': read,
    'time/rollout': played.rollout_s,
    'time/reward': played.reward_s,
    'time/update': update_s,
    'time/step': time.monotonic() - times['time/start'],
    'speed/rollout_tokens_per_s': table['tokens'].sum() / played.rollout_s,
    'speed/train_tokens_per_s': read / update_s,
  }


def write_report(workdir: Path, done: dict) -> None:
  """report.html, and one line about the held-out sets."""
  print(done)
  report.write_report([workdir], Path(workdir) / 'report.html')
