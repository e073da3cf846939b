# SPDX-License-Identifier: Apache-2.0
"""What a training step leaves behind: metrics, rollouts, ledger, report."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from srpo_jax.core.records import Prompt
from srpo_jax.jobs import rollout
from srpo_jax.jobs.settings import Settings
from srpo_jax.srpo import advantages
from srpo_jax.study import read, report
from srpo_jax.study.evaluations import evaluations
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


def rollout_table(run, at, scored: Scored) -> dict:
  """Columns of rollouts/step_*.parquet."""
  keep_B = np.repeat(scored.real_P, run.settings.group_size)
  table = rollout.columns(run.parts, scored.prompts, scored.played, keep_B)
  del table['level']
  n = len(table['prompt'])
  when = {
    'step': at.step + 1,
    'stage': at.stage + 1,
    'epoch': at.epoch + 1,
  }
  return {
    **{name: np.full(n, value, np.int32) for name, value in when.items()},
    **table,
    'reward': scored.reward_PG.reshape(-1)[keep_B],
    'advantage': scored.advantage_PG.reshape(-1)[keep_B],
  }


def write_tables(run, before, after, rollouts: dict) -> None:
  """Rollouts of the step; the ledger of an epoch that ended with it."""
  at, ended = before.position, after.position
  tables.write_rollouts(run.workdir, ended.step, rollouts)
  if (ended.stage, ended.epoch) != (at.stage, at.epoch):
    rows = after.ledger.of(at.stage + 1, at.epoch + 1)
    tables.write_ledger(run.workdir, at.stage + 1, at.epoch + 1, rows)


def numbers(
  run, before, scored: Scored, rollouts: dict, batch, learned
) -> dict[str, float]:
  """What the step was, by name; the same in every run that is the same."""
  at, kept = before.position, len(before.kept)
  verdict, real_P = scored.played.verdict, scored.real_P
  real_B = np.repeat(real_P, run.settings.group_size)
  return {
    'step': at.step + 1,
    'stage': at.stage + 1,
    'epoch': at.epoch + 1,
    **_of_rollouts(rollouts),
    **advantages.group_shares(verdict, scored.advantage_PG, real_P),
    'history/kept': kept,
    'history/dropped': len(run.parts.data.mixtures[at.stage]) - kept,
    'history/selected': int(real_P.sum()),
    **status_shares(verdict, real_P),
    **learned,
    'tokens/train': int(batch.segment_BT[real_B].sum()),
  }


def times(
  numbers: dict[str, float], played: rollout.Round, update_s, step_s
) -> dict[str, float]:
  """How long its parts took, in seconds, and how fast they were."""
  return {
    'time/rollout': played.rollout_s,
    'time/reward': played.reward_s,
    'time/update': update_s,
    'time/step': step_s,
    'speed/rollout_tokens_per_s': numbers['tokens/rollout'] / played.rollout_s,
    'speed/train_tokens_per_s': numbers['tokens/train'] / update_s,
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


def write_report(workdir: Path) -> None:
  """report.html, and what it says first."""
  path = report.write_report([workdir], Path(workdir) / 'report.html')
  for score in evaluations(read.read_run(workdir, workdir.name)):
    print(report.evaluation_sentence(score))
  print(f'report: {path}')
