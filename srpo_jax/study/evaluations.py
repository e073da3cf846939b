# SPDX-License-Identifier: Apache-2.0
"""pass@1 on the held-out sets: over the steps, start to end, and by level.

Computed from the samples in evals/, after reading and before the figures.
"""

import dataclasses

import numpy as np

from srpo_jax.study import intervals, read

# Of the resampling; fixed, so that a report is the same when made again.
SEED = 0


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """What a run scored on one held-out set.

  Attributes:
    set_name: the set.
    steps: when it was evaluated, in order.
    score: pass@1 at each of those steps, with its interval.
    problems: how many problems were judged at the first and the last step.
    first, last: pass@1 of those problems at the first and the last step.
    change: last minus first, paired; None with a single evaluation.
    samples: samples a problem.
    levels: pass@1 by level, where the levels are known.
    by_problem: step -> problem -> its share of correct samples.
  """

  set_name: str
  steps: tuple[int, ...]
  score: tuple[intervals.Interval, ...]
  problems: int
  first: float
  last: float
  change: intervals.Interval | None
  samples: int
  levels: tuple['Level', ...]
  by_problem: dict[int, dict[int, float]]


@dataclasses.dataclass(frozen=True)
class Level:
  """pass@1 of the problems of one level at the first and the last step."""

  name: str
  problems: int
  first: float
  last: float


def evaluations(run: read.Run) -> list[Evaluation]:
  """One for each held-out set that the run was evaluated on."""
  return [
    _evaluation(run, set_name, steps)
    for set_name, steps in read.eval_steps(run.path).items()
  ]


def problem_scores(columns: read.Columns) -> tuple[np.ndarray, np.ndarray]:
  """Ids in order and each one's share of correct among its judged samples.

  A problem without a judged sample is left out.
  """
  judged = ~np.isnan(columns['accuracy'])
  ids_P, index = np.unique(columns['prompt'][judged], return_inverse=True)
  correct_P = np.bincount(index, columns['accuracy'][judged], len(ids_P))
  return ids_P, correct_P / np.maximum(np.bincount(index), 1)[: len(ids_P)]


def _evaluation(run: read.Run, set_name: str, steps: list[int]) -> Evaluation:
  columns = ('prompt', 'accuracy', 'level')
  tables = [
    read.read_evals(run.path, set_name, step, columns) for step in steps
  ]
  scores = [problem_scores(table) for table in tables]
  before, after = _paired(scores[0], scores[-1])
  change = None
  if len(steps) > 1:
    change = intervals.paired_bootstrap(before, after, SEED)
  prompts = len(np.unique(tables[0]['prompt']))
  return Evaluation(
    set_name=set_name,
    steps=tuple(steps),
    # A fifth of the resamples is plenty for the band of a figure.
    score=tuple(
      intervals.bootstrap(score_P, SEED, intervals.RESAMPLES // 5)
      for _, score_P in scores
    ),
    problems=len(before),
    first=float(np.mean(before)) if len(before) else np.nan,
    last=float(np.mean(after)) if len(after) else np.nan,
    change=change,
    samples=round(len(tables[0]['prompt']) / max(prompts, 1)),
    levels=_levels(tables[0], tables[-1]),
    by_problem={
      step: dict(zip(ids_P.tolist(), score_P.tolist(), strict=True))
      for step, (ids_P, score_P) in zip(steps, scores, strict=True)
    },
  )


def _paired(first: tuple, last: tuple) -> tuple[np.ndarray, np.ndarray]:
  """Scores of the problems that were judged both times, in one order."""
  _, i, j = np.intersect1d(first[0], last[0], return_indices=True)
  return first[1][i], last[1][j]


def _levels(first: read.Columns, last: read.Columns) -> tuple[Level, ...]:
  """pass@1 by level, in the order of the names; empty if not known."""
  if 'level' not in first or 'level' not in last:
    return ()
  levels = []
  for name in sorted(set(first['level'])):
    ids_P, first_P = problem_scores(_rows(first, name))
    _, last_P = problem_scores(_rows(last, name))
    if len(first_P) and len(last_P):
      level = Level(name, len(ids_P), first_P.mean(), last_P.mean())
      levels.append(level)
  return tuple(levels)


def _rows(columns: read.Columns, level: str) -> read.Columns:
  """The rows of one level."""
  rows = columns['level'] == level
  return {name: column[rows] for name, column in columns.items()}
