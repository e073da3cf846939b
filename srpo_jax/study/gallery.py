# SPDX-License-Identifier: Apache-2.0
"""The figures of a report: drawn once for the page, then written as files.

After curves and compare, between the drawing and the report.
"""

import csv
import pathlib

import numpy as np

from srpo_jax.study import derived, figures, page
from srpo_jax.study.evaluations import Evaluation
from srpo_jax.study.groups import Group, seed
from srpo_jax.study.plots import Plot, file_name


class Gallery:
  """Draws plots for a page and remembers them for the folder of figures."""

  def __init__(self):
    self._plots: dict[str, tuple[Plot, str]] = {}
    self._levels: dict[str, tuple[Evaluation, str]] = {}

  def figure(self, plot: Plot, suffix: str = '') -> str:
    """The plot as a <figure>; `suffix` is added to the name of its file."""
    name = plot.name + suffix
    svg = figures.draw(plot, name.replace('_', '-'))
    self._plots[name] = (plot, svg)
    return page.figure(plot, svg)

  def levels(self, score: Evaluation) -> str:
    """Where each level of a held-out set began and ended, as a <figure>."""
    name = file_name(f'levels {score.set_name}')
    svg = figures.draw_levels(score, name.replace('_', '-'))
    self._levels[name] = (score, svg)
    return page.level_figure(score, svg)

  def write(self, folder: pathlib.Path, groups: list[Group]) -> None:
    """Each as NAME.svg and NAME.png; by NAME.csv what was measured, by
    NAME_lines.csv what is drawn.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, (plot, svg) in self._plots.items():
      title = f'{plot.title} ({plot.unit})'
      (folder / f'{name}.svg').write_text(figures.alone(svg, title), 'utf-8')
      (folder / f'{name}.png').write_bytes(figures.draw_png(plot))
    by_name = {}
    for plot, _ in self._plots.values():
      by_name.setdefault(plot.name, []).append(plot)
    for name, same in by_name.items():
      _write_values(same[0], groups, folder / f'{name}.csv')
      _write_lines(same, folder / f'{name}_lines.csv')
    for name, (score, svg) in self._levels.items():
      title = f'By level: {score.set_name} (pass@1)'
      (folder / f'{name}.svg').write_text(figures.alone(svg, title), 'utf-8')
      (folder / f'{name}.png').write_bytes(figures.draw_levels_png(score))
      _write_levels(score, folder / f'{name}.csv')


def _write_values(plot: Plot, groups: list[Group], path: pathlib.Path) -> None:
  """What was measured: a row for each run, metric and step, not smoothed."""
  extra = [x for x in derived.ALIGNMENTS if x.column != 'step']
  head = ['run', 'group', 'seed', 'metric', 'step', 'stage']
  rows = [
    [run.name, group.label, seed(run), name, *cells]
    for group in groups
    for run in group.runs
    for name in plot.metrics
    for cells in _cells(
      run, name, ['step', 'stage', *(x.column for x in extra)]
    )
  ]
  _write(path, [*head, *(x.unit for x in extra), 'value'], rows)


def _cells(run, name: str, columns: list[str]) -> list[list]:
  """The rows of a metric: the columns, then its value."""
  values = run.metrics.get(name, np.zeros(0))
  there = np.flatnonzero(~np.isnan(values))
  found = [run.metrics.get(x, np.full(len(values), np.nan)) for x in columns]
  return [
    [*(_plain(column[i]) for column in found), _plain(values[i])]
    for i in there.tolist()
  ]


def _write_lines(same: list[Plot], path: pathlib.Path) -> None:
  """What is drawn: a row for each alignment, line and point."""
  rows = []
  for plot in same:
    for line in plot.lines:
      nothing = np.full(len(line.x), np.nan)
      ends = [x if len(x) else nothing for x in (line.low, line.high)]
      for cells in zip(line.x, line.y, *ends, strict=True):
        rows.append([plot.x_unit, line.label, *map(_plain, cells)])
  _write(path, ['aligned_by', 'line', 'at', 'value', 'low', 'high'], rows)


def _write_levels(score: Evaluation, path: pathlib.Path) -> None:
  """pass@1 by level."""
  head = [
    'set',
    'level',
    'problems',
    'first_step',
    'first',
    'last_step',
    'last',
  ]
  rows = [
    [
      score.set_name,
      level.name,
      level.problems,
      score.steps[0],
      _plain(level.first),
      score.steps[-1],
      _plain(level.last),
    ]
    for level in score.levels
  ]
  _write(path, head, rows)


def _write(path: pathlib.Path, head: list[str], rows: list[list]) -> None:
  """A CSV file."""
  with open(path, 'w', newline='', encoding='utf-8') as file:
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(head)
    writer.writerows(rows)


def _plain(value: float) -> str:
  """A number as text; nothing for NaN."""
  value = float(value)
  if np.isnan(value):
    return ''
  return str(int(value)) if value.is_integer() else repr(value)
