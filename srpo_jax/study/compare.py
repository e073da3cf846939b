# SPDX-License-Identifier: Apache-2.0
"""The plots of several runs: a line a group, over steps, rollouts or tokens.

After groups and derived, before drawing. A line is the mean over the seeds of
a group, as far as all of them have come; its band is the 95% t-interval.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from srpo_jax.study import curves, intervals, plots, specs
from srpo_jax.study.derived import Alignment
from srpo_jax.study.evaluations import Evaluation
from srpo_jax.study.groups import Group
from srpo_jax.study.plots import Line, Plot, Switch, number, place
from srpo_jax.study.specs import Spec

# A line is drawn through so many points.
POINTS = 200
# A status that never passes this share has no figure in a comparison.
SELDOM = 0.01
# Single seeds are drawn where they do not hide the means.
_MOST_STRANDS = 10


def training_plots(groups: list[Group], by: Alignment) -> list[Plot]:
  """The curves of training; each metric has its own plot."""
  runs = [run for group in groups for run in group.runs]
  verdicts = specs.verdicts(curves.verdict_means(runs, SELDOM))
  shown = [*specs.TRAINING, verdicts]
  return _plots(groups, [x for x in shown if curves.happened(runs, x)], by)


def response_plots(groups: list[Group], by: Alignment) -> list[Plot]:
  """Reflection, code in mathematics answers, and their lengths."""
  return _plots(groups, specs.RESPONSES, by)


def evaluation_plots(
  groups: list[Group],
  scores: dict[str, list[Evaluation]],
  by: Alignment,
) -> list[Plot]:
  """Held-out pass@1 and response length, for each set.

  Args:
    groups: what is compared.
    scores: name of a run -> its evaluations.
    by: what the runs are aligned by.
  """
  names = dict.fromkeys(x.set_name for found in scores.values() for x in found)
  found = []
  for set_name in names:
    pass_1 = Spec(
      f'Held-out pass@1: {set_name}',
      'share correct',
      {f'eval/{set_name}/pass@1': ''},
      share=True,
      exact=True,
    )
    length = Spec(
      f'Held-out response length: {set_name}',
      'tokens',
      {f'eval/{set_name}/response_length': ''},
      exact=True,
    )
    found += _plots(groups, [pass_1, length], by)
  return found


def _plots(
  groups: list[Group], shown: Sequence[Spec], by: Alignment
) -> list[Plot]:
  """A plot for each metric that any run has."""
  found = []
  for spec in shown:
    names = spec.names
    if not any(_has(group, name) for group in groups for name in names):
      names = spec.instead
    for name, label in names.items():
      title = f'{spec.title}: {label}' if label else spec.title
      one = dataclasses.replace(spec, title=title, names={name: ''}, instead={})
      found.append(_plot(groups, one, by))
  # Tokens over tokens is a straight line.
  return [x for x in found if x.lines and x.metrics != (by.column,)]


def _plot(groups: list[Group], spec: Spec, by: Alignment) -> Plot:
  """One metric of all groups."""
  (name,) = spec.names
  runs = [run for group in groups for run in group.runs]
  window = curves.window_for(runs, spec)
  lines = [
    _line(group, series, name, by, window, spec)
    for series, group in enumerate(groups)
    if _has(group, name)
  ]
  note = f'Each run: mean of the last {window} values.' if window > 1 else ''
  return Plot(
    title=spec.title,
    unit=spec.unit,
    lines=tuple(lines),
    share=spec.share,
    stepped=spec.stepped,
    note=note,
    x_unit=by.unit,
    switches=switches(groups, by),
    name=plots.file_name(spec.title),
    metrics=(name,),
  )


def switches(groups: list[Group], by: Alignment) -> tuple[Switch, ...]:
  """Where stages begin: one mark for all if all agree, else one a group.

  A group's mark is the mean over its seeds.
  """
  found = [_switches(group, series, by) for series, group in enumerate(groups)]
  places = {tuple((x.x, x.label) for x in marks) for marks in found}
  if len(places) == 1:
    return tuple(dataclasses.replace(x, series=None) for x in found[0])
  return tuple(mark for marks in found for mark in marks)


def _switches(group: Group, series: int, by: Alignment) -> list[Switch]:
  """The marks of a group."""
  places = {}
  for run in group.runs:
    for switch in curves.switches(run, by.column):
      places.setdefault(switch.label, []).append(switch.x)
  return [Switch(float(np.mean(x)), k, series) for k, x in places.items()]


def _has(group: Group, name: str) -> bool:
  """True if a run of the group has the metric."""
  return any(len(curves.known(run, name)[1]) for run in group.runs)


def _line(
  group: Group,
  series: int,
  name: str,
  by: Alignment,
  window: int,
  spec: Spec,
) -> Line:
  """The mean of a group over a grid that all its seeds reach."""
  runs = [run for run in group.runs if len(curves.known(run, name)[0])]
  smooth = [
    (
      curves.known(run, name, by.column)[0],
      curves.smoothed(run, name, window),
    )
    for run in runs
  ]
  grid = _grid([x for x, _ in smooth])
  rows = np.stack([at(grid, x, y, spec.stepped) for x, y in smooth])
  low, high = _band(rows)
  n, few = len(smooth), len(group.runs) <= _MOST_STRANDS
  return Line(
    label=group.label,
    series=series,
    x=grid,
    y=rows.mean(axis=0),
    words=_words(group.label, grid, rows, low, high, by),
    low=low,
    high=high,
    strands=tuple((grid, row) for row in rows) if n > 1 and few else (),
  )


def at(
  grid: np.ndarray, x: np.ndarray, y: np.ndarray, stepped: bool = False
) -> np.ndarray:
  """Values at the grid: between two known ones, or the one before."""
  if not stepped:
    return np.interp(grid, x, y)
  return y[np.maximum(np.searchsorted(x, grid, side='right') - 1, 0)]


def _grid(places: list[np.ndarray]) -> np.ndarray:
  """Where a group's line has points: as far as all its seeds have come."""
  first, last = max(x[0] for x in places), min(x[-1] for x in places)
  # One run, or evaluations after the same steps: at their own places.
  lengths = {len(x) for x in places}
  if len(lengths) == 1 and max(lengths) <= POINTS:
    mean = np.clip(np.mean(places, axis=0), first, max(first, last))
    if len(places) == 1 or len(mean) <= POINTS // 4:
      return mean
  if first >= last:
    return np.array([float(min(first, last))])
  if len(places) == 1:
    return places[0][plots.thin(places[0], POINTS)]
  return np.linspace(first, last, POINTS)


def _band(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Ends of the t-interval at each point, [n, points]; none for one run."""
  n = len(rows)
  if n < 2:
    return np.zeros(0), np.zeros(0)
  mean = rows.mean(axis=0)
  error = rows.std(axis=0, ddof=1) / np.sqrt(n)
  reach = intervals.t_quantile(n - 1) * error
  return mean - reach, mean + reach


def _words(
  label: str,
  grid: np.ndarray,
  rows: np.ndarray,
  low: np.ndarray,
  high: np.ndarray,
  by: Alignment,
) -> str:
  """A group's line in a sentence."""
  y = rows.mean(axis=0)
  text = f'{label}: from {number(y[0])} ({place(grid[0], by.unit)}) to '
  text += f'{number(y[-1])} ({place(grid[-1], by.unit)}'
  if len(rows) > 1:
    ends = f'{number(low[-1])} to {number(high[-1])}'
    text += f'; {len(rows)} seeds, 95% t-interval {ends}'
  return f'{text}), between {number(y.min())} and {number(y.max())}.'
