# SPDX-License-Identifier: Apache-2.0
"""What the groups came to at equal cost, and how they differ.

All runs are read at the largest number of steps, rollouts or tokens that each
of them has reached. Seeds are paired where groups share them (t-interval);
problems are paired always (bootstrap over problems, of the means over seeds).
"""

import dataclasses

import numpy as np

from srpo_jax.study import compare, curves, evaluations, intervals, plots, read
from srpo_jax.study.derived import Alignment
from srpo_jax.study.groups import Group, shared_seeds

# Metrics of training in the tables, and what they are called.
TRAINING = {
  'reward/mean': 'reward in training',
  'accuracy/math': 'accuracy in training: math',
  'accuracy/code': 'accuracy in training: code',
  'response_length/math': 'response length in training: math (tokens)',
  'response_length/code': 'response length in training: code (tokens)',
  'groups/effective': 'effective groups (share)',
  'history/kept': 'prompts kept',
}
SPENT = {
  'step': 'steps made',
  'total/rollouts': 'rollouts sampled',
  'total/tokens': 'tokens sampled',
}


@dataclasses.dataclass(frozen=True)
class Quantity:
  """One row of a table of outcomes.

  Attributes:
    name: what it is, with its unit.
    values: for each group the value of each of its runs, NaN if unknown.
    means: of each group, with the t-interval over its seeds.
    differences: of each group from the first, None for the first itself.
  """

  name: str
  values: tuple[tuple[float, ...], ...]
  means: tuple[intervals.Interval, ...]
  differences: tuple['Difference | None', ...]


@dataclasses.dataclass(frozen=True)
class Difference:
  """A group minus the first group.

  Attributes:
    seeds: over the seeds that both have; NaN ends for fewer than two.
    pairs: how many seeds that are.
    smallest: the smallest effect that this could have seen.
    problems: over held-out problems; None for what is no pass@1.
  """

  seeds: intervals.Interval
  pairs: int
  smallest: float
  problems: intervals.Interval | None = None


@dataclasses.dataclass(frozen=True)
class Outcome:
  """A table: everything at one place.

  Attributes:
    by: what was made equal.
    at: how much of it.
    quantities: the rows.
  """

  by: Alignment
  at: float
  quantities: tuple[Quantity, ...]


def outcome(
  groups: list[Group],
  scores: dict[str, list[evaluations.Evaluation]],
  by: Alignment,
) -> Outcome | None:
  """The table of one alignment; None before every run has made a step."""
  runs = [run for group in groups for run in group.runs]
  if not all(len(run.steps) for run in runs):
    return None
  place = min(float(run.metrics[by.column][-1]) for run in runs)
  sets = dict.fromkeys(x.set_name for found in scores.values() for x in found)
  rows = []
  for set_name in sets:
    rows.append(_pass_at_1(groups, scores, set_name, by, place))
    name = f'eval/{set_name}/response_length'
    label = f'held-out response length on {set_name} (tokens)'
    rows.append(_metric(groups, name, label, by, place, 1))
  for name, label in TRAINING.items():
    window = max(plots.window_for(len(run.steps)) for run in runs)
    window = 1 if name == 'history/kept' else window
    rows.append(_metric(groups, name, label, by, place, window))
  for name, label in SPENT.items():
    if name != by.column:
      rows.append(_metric(groups, name, label, by, place, 1))
  known = tuple(row for row in rows if not np.all(np.isnan(_flat(row))))
  return Outcome(by, place, known)


def metric_at(
  run: read.Run, name: str, by: Alignment, place: float, window: int
) -> float:
  """A metric's mean over the last values up to a place; NaN if unknown."""
  x, _ = curves.known(run, name, by.column)
  if not len(x):
    return np.nan
  # Between two steps, what was spent and evaluated is between theirs.
  return float(compare.at(place, x, curves.smoothed(run, name, window)))


def problems_at(
  run: read.Run, score: evaluations.Evaluation, by: Alignment, place: float
) -> dict[int, float]:
  """pass@1 of each problem at a place, between two evaluations.

  A straight line for each problem, so that their mean is the line drawn.
  """
  step = dict(zip(run.steps.tolist(), run.metrics[by.column], strict=True))
  spent = np.array([step[s] for s in score.steps if s in step])
  steps = [s for s in score.steps if s in step]
  j = int(np.clip(np.searchsorted(spent, place), 1, max(len(spent) - 1, 1)))
  if len(spent) == 1:
    return score.by_problem[steps[0]]
  part = np.clip((place - spent[j - 1]) / (spent[j] - spent[j - 1]), 0, 1)
  before, after = (score.by_problem[steps[k]] for k in (j - 1, j))
  return {
    problem: (1 - part) * before[problem] + part * after[problem]
    for problem in sorted(before.keys() & after.keys())
  }


def _metric(
  groups: list[Group],
  name: str,
  label: str,
  by: Alignment,
  place: float,
  window: int,
) -> Quantity:
  """A row from a column of the runs."""
  values = [
    [metric_at(run, name, by, place, window) for run in group.runs]
    for group in groups
  ]
  return _quantity(label, groups, values, [None] * len(groups))


def _pass_at_1(
  groups: list[Group],
  scores: dict[str, list[evaluations.Evaluation]],
  set_name: str,
  by: Alignment,
  place: float,
) -> Quantity:
  """The row of a held-out set."""
  # One for each run, empty where it did not evaluate this set.
  tables = [
    [_problems_of(run, scores[run.name], set_name, by, place) for run in x.runs]
    for x in groups
  ]
  values = [[_mean(table) for table in of_group] for of_group in tables]
  known = [[table for table in of_group if table] for of_group in tables]
  problems = [
    None if i == 0 else _over_problems(known[0], of_group)
    for i, of_group in enumerate(known)
  ]
  return _quantity(f'held-out pass@1 on {set_name}', groups, values, problems)


def _problems_of(
  run: read.Run,
  found: list[evaluations.Evaluation],
  set_name: str,
  by: Alignment,
  place: float,
) -> dict[int, float]:
  """pass@1 of each problem of a set; none if the run has no such set."""
  score = next((x for x in found if x.set_name == set_name), None)
  return problems_at(run, score, by, place) if score else {}


def _over_problems(
  first: list[dict], other: list[dict]
) -> intervals.Interval | None:
  """Difference of the means over seeds, resampling the problems."""
  if not first or not other:
    return None
  ids = sorted(set.intersection(*(set(table) for table in (*first, *other))))
  mean = lambda tables: np.array(
    [np.mean([table[x] for table in tables]) for x in ids]
  )
  return intervals.paired_bootstrap(mean(first), mean(other), evaluations.SEED)


def _quantity(
  label: str,
  groups: list[Group],
  values: list[list[float]],
  problems: list[intervals.Interval | None],
) -> Quantity:
  """Means and differences of the values."""
  means = [intervals.t_interval(_known(x)) for x in values]
  differences = [
    _difference(groups, values, i, problems[i]) if i else None
    for i in range(len(groups))
  ]
  return Quantity(
    label, tuple(map(tuple, values)), tuple(means), tuple(differences)
  )


def _difference(
  groups: list[Group],
  values: list[list[float]],
  i: int,
  problems: intervals.Interval | None,
) -> Difference:
  """Group i minus the first, seed by seed."""
  pairs = shared_seeds(groups[0], groups[i])
  found = _known([values[i][b] - values[0][a] for a, b in pairs])
  return Difference(
    intervals.t_interval(found),
    len(found),
    intervals.smallest_effect(found),
    problems,
  )


def _known(values: list[float]) -> np.ndarray:
  """Without NaN."""
  array = np.array(values, np.float64)
  return array[~np.isnan(array)]


def _flat(row: Quantity) -> np.ndarray:
  """All values of a row."""
  return np.array([x for of_group in row.values for x in of_group])


def _mean(table: dict[int, float]) -> float:
  """Mean over the problems, NaN for none."""
  return float(np.mean(list(table.values()))) if table else np.nan
