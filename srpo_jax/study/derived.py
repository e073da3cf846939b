# SPDX-License-Identifier: Apache-2.0
"""Columns that a run does not write but its files tell.

What was spent so far, by which comparisons are aligned, and the patterns in
the responses. After reading; everything later treats them as metrics.
"""

import dataclasses

import numpy as np

from srpo_jax.study import patterns, read


@dataclasses.dataclass(frozen=True)
class Alignment:
  """A quantity that runs are laid over each other by.

  Attributes:
    unit: of the x axis, in the plural.
    column: the metric that holds it.
    axis: what stands under the x axis.
  """

  unit: str
  column: str
  axis: str


ALIGNMENTS = (
  Alignment('steps', 'step', 'step'),
  Alignment('rollouts', 'total/rollouts', 'rollouts sampled so far'),
  Alignment('tokens', 'total/tokens', 'tokens sampled so far'),
)
AXES = {alignment.unit: alignment.axis for alignment in ALIGNMENTS}


def enrich(run: read.Run) -> read.Run:
  """The run with `total/*` and the columns of `patterns`."""
  more = {**totals(run), **patterns.columns(run)}
  return dataclasses.replace(run, metrics={**run.metrics, **more})


def totals(run: read.Run) -> read.Columns:
  """Rollouts and tokens sampled up to each step; absent if not known."""
  found = {}
  rollouts = rollouts_of_steps(run)
  if rollouts.any() and not np.isnan(rollouts).any():
    found['total/rollouts'] = np.cumsum(rollouts)
  if 'tokens/rollout' in run.metrics:
    tokens = np.nan_to_num(run.metrics['tokens/rollout'])
    found['total/tokens'] = np.cumsum(tokens)
  return found


def rollouts_of_steps(run: read.Run) -> np.ndarray:
  """Rollouts of each step, [steps]; NaN where nothing tells.

  The rows of its file count what was sampled, refills included; without the
  file, prompts times group size.
  """
  written = set(read.rollout_steps(run.path))
  planned = _planned(run)
  return np.array(
    [
      read.rollout_count(run.path, step) if step in written else planned[i]
      for i, step in enumerate(run.steps.tolist())
    ],
    np.float64,
  )


def alignments(runs: list[read.Run]) -> list[Alignment]:
  """Those that every run with a metric at all can be laid by."""
  begun = [run for run in runs if len(run.steps)]
  return [x for x in ALIGNMENTS if all(x.column in r.metrics for r in begun)]


def _planned(run: read.Run) -> np.ndarray:
  """Prompts of a step times the group size, 0 before the first step."""
  prompts = run.metrics.get('history/selected')
  if prompts is None:
    prompts = np.full(len(run.steps), _macro(run, 'PROMPTS_PER_STEP'))
  return np.where(run.steps > 0, prompts * _macro(run, 'GROUP_SIZE'), 0)


def _macro(run: read.Run, name: str) -> float:
  """The number of a macro, NaN if there is none."""
  text = run.macros.get(name, '')
  return float(text) if text.isdecimal() else np.nan
