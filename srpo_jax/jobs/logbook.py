# SPDX-License-Identifier: Apache-2.0
"""What a training step leaves behind: metrics, rollouts, ledger, report."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from srpo_jax.core import hosts
from srpo_jax.data.prompts import PromptSet
from srpo_jax.jobs import rollout
from srpo_jax.jobs.asking import Groups
from srpo_jax.jobs.settings import Settings
from srpo_jax.srpo import advantages
from srpo_jax.study import read, report
from srpo_jax.study.evaluations import evaluations
from srpo_jax.train import tables
from srpo_jax.train.snapshot import Position, Snapshot
from srpo_jax.train.verdicts import status_shares


class Scored(NamedTuple):
  """Groups with what was made of them."""

  groups: Groups
  reward_PG: np.ndarray
  advantage_PG: np.ndarray


def unused(groups: Groups, reward_PG: np.ndarray) -> Scored:
  """Groups that were replaced: nothing learned from them."""
  return Scored(groups, reward_PG, np.zeros_like(reward_PG))


def total_steps(
  settings: Settings, mixtures: Sequence[PromptSet], at: Position
) -> int:
  """The most steps a run can take from here, for the progress display."""
  total = at.step - at.stage_step
  for stage, mixture in zip(
    settings.stages[at.stage :], mixtures[at.stage :], strict=True
  ):
    per_epoch = math.ceil(len(mixture) / settings.prompts_per_step)
    steps, epochs = stage.until.steps, stage.until.epochs
    limits = [steps, epochs and epochs * per_epoch]
    total += min(limit for limit in limits if limit is not None)
  return total


def rollout_table(run, at: Position, scored: Sequence[Scored]) -> dict:
  """Columns of rollouts/step_*.parquet: every rollout that was played."""
  parts = [_rollout_rows(run, one) for one in scored]
  table = {
    name: np.concatenate([part[name] for part in parts]) for name in parts[0]
  }
  when = {'step': at.step + 1, **at.when}
  n = len(table['prompt'])
  return {
    **{name: np.full(n, value, np.int32) for name, value in when.items()},
    **table,
  }


def _rollout_rows(run, scored: Scored) -> dict:
  prompts, real_P, played = scored.groups
  keep_B = np.repeat(real_P, run.settings.group_size)
  table = rollout.columns(run.parts, prompts, played, keep_B)
  del table['level']
  return {
    **table,
    'reward': scored.reward_PG.reshape(-1)[keep_B],
    'advantage': scored.advantage_PG.reshape(-1)[keep_B],
  }


def write_tables(run, before, after, rollouts: dict) -> None:
  """Rollouts of the step; the ledger of an epoch that ended with it.

  Args:
    before, after: the snapshots on both sides of `advance`.
    rollouts: the table of the step.
  """
  at, ended = before.position, after.position
  hosts.on_first(tables.write_rollouts, run.workdir, ended.step, rollouts)
  if (ended.stage, ended.epoch) != (at.stage, at.epoch):
    rows = before.ledger.of(**at.when)
    stays_n = np.isin(rows.prompt, before.kept)
    when = at.when.values()
    hosts.on_first(tables.write_ledger, run.workdir, *when, rows, stays_n)


def numbers(
  run, before: Snapshot, scored: Sequence[Scored], rollouts: dict
) -> dict[str, float | str]:
  """What the step was, by name; the same in every run that is the same.

  Args:
    before: the snapshot that the step began with.
    scored: groups that the update reads, then those it replaced.
    rollouts: the table of all of them.
  """
  at, kept = before.position, len(before.kept)
  (_, real_P, played), _, advantage_PG = scored[0]
  refilled = sum(int(one.groups.real_P.sum()) for one in scored[1:])
  return {
    'step': at.step + 1,
    'stage_name': run.settings.stages[at.stage].name,
    **at.when,
    **_of_rollouts(rollouts),
    **advantages.group_shares(played.verdict, advantage_PG, real_P),
    'history/kept': kept,
    'history/dropped': len(run.parts.data.mixtures[at.stage]) - kept,
    'history/selected': int(real_P.sum()) + refilled,
    'refill/rounds': len(scored) - 1,
    'refill/rollouts': refilled * run.settings.group_size,
    **status_shares(rollouts['status']),
  }


def mean_reward(scored: Sequence[Scored]) -> float:
  """'reward/mean', which is needed before there is a table."""
  real = [one.reward_PG[one.groups.real_P].reshape(-1) for one in scored]
  return _mean(np.concatenate(real))


def times(
  numbers: dict[str, float],
  played: rollout.Round,
  waited_s: float,
  update_s: float,
  step_s: float,
) -> dict[str, float]:
  """How long its parts took, in seconds, and how fast they were."""
  return {
    'time/waiting': waited_s,
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
  if not hosts.is_first():
    return
  path = report.write_report([workdir], Path(workdir) / 'report.html')
  for score in evaluations(read.read_run(workdir, workdir.name)):
    print(report.evaluation_sentence(score))
  print(f'report: {path}')
