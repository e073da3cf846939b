# SPDX-License-Identifier: Apache-2.0
"""Outcomes as sentences, as tables of a page and as CSV.

After outcome, for comparison and report.
"""

import csv
import pathlib
from collections.abc import Sequence

import numpy as np

from srpo_jax.study import page
from srpo_jax.study.groups import Group
from srpo_jax.study.intervals import Interval
from srpo_jax.study.outcome import Difference, Outcome, Quantity
from srpo_jax.study.plots import number, place, signed

NOTE = (
  'Everything is read at the same place for all runs, as far as the shortest '
  'has come; between two evaluations on a straight line. Over seeds: 95% '
  't-interval of the differences between runs of equal seed. Over problems: '
  '95% bootstrap interval of the difference of the means over seeds; it says '
  'nothing of other seeds. Smallest effect: what a paired t-test with these '
  'seeds sees with 80% power, two-sided at 5%.'
)
VALUES_HEAD = ('aligned_by', 'at', 'quantity', 'group', 'seed', 'value')
DIFFERENCES_HEAD = (
  'aligned_by',
  'at',
  'quantity',
  'group',
  'minus',
  'pairs',
  'difference',
  't_low',
  't_high',
  'smallest_effect',
  'problems_difference',
  'problems_low',
  'problems_high',
)


def sentences(groups: list[Group], outcomes: list[Outcome]) -> list[str]:
  """What held-out pass@1 came to, at equal rollouts if they are known."""
  if not outcomes:
    return ['Some run has made no step yet: nothing can be compared.']
  by_unit = {found.by.unit: found for found in outcomes}
  found = by_unit.get('rollouts', outcomes[0])
  rows = [x for x in found.quantities if x.name.startswith('held-out pass@1')]
  lines = [line for row in rows for line in _sentences(groups, found, row)]
  return lines or ['No held-out evaluation has been written yet.']


def _sentences(groups: list[Group], found: Outcome, row: Quantity) -> list[str]:
  """A sentence for each group: first what it came to, then the difference."""
  at = f'At equal {found.by.unit} ({place(found.at, found.by.unit)})'
  if len(groups) == 1:
    text = _mean_text(row.means[0], len(groups[0].runs))
    return [f'{at}, {row.name} is {text}.']
  lines = []
  for group, difference in zip(groups[1:], row.differences[1:], strict=True):
    change = difference.seeds
    if np.isnan(change.mean) and difference.problems:
      change = difference.problems
    text = f'{at}, {row.name}: {group.label} minus {groups[0].label} is '
    lines.append(f'{text}{signed(change.mean)}; {_evidence(difference)}.')
  return lines


def _evidence(difference: Difference) -> str:
  """The intervals of a difference in words."""
  change, problems = difference.seeds, difference.problems
  words = []
  if difference.pairs > 1:
    ends = f'{signed(change.low)} to {signed(change.high)}'
    words.append(
      f'95% t-interval over {difference.pairs} paired seeds {ends}; smallest '
      'effect that they would have shown with 80% power: '
      f'{number(difference.smallest)}'
    )
  else:
    some = 'one shared seed' if difference.pairs else 'no shared seed'
    words.append(f'{some}, so nothing is known of the spread between seeds')
  if problems:
    ends = f'{signed(problems.low)} to {signed(problems.high)}'
    words.append(f'95% bootstrap interval over problems {ends}')
  if difference.pairs > 1 and change.low <= 0 <= change.high:
    words.append('the interval over seeds holds 0: this may be chance')
  return '; '.join(words)


def tables(groups: list[Group], outcomes: list[Outcome]) -> list[str]:
  """A table for each alignment, of which one is seen."""
  if not outcomes:
    return []
  parts = [page.paragraph(NOTE, 'note')]
  for found in outcomes:
    title = f'At {place(found.at, found.by.unit)}'
    rows = [cells for row in found.quantities for cells in _rows(groups, row)]
    head = ['quantity', 'group', _mean_head(groups)]
    if len(groups) > 1:
      head += ['difference', 'over seeds', 'over problems', 'smallest effect']
    table = page.table(head, rows, f'outcome, {title.lower()}', 'outcome')
    parts.append(page.aligned(found.by.unit, [page.subtitle(title), table]))
  return parts


def _mean_head(groups: list[Group]) -> str:
  """What the column of means holds."""
  several = any(len(group.runs) > 1 for group in groups)
  return 'mean (95% t-interval)' if several else 'value'


def _rows(groups: list[Group], row: Quantity) -> list[list[str]]:
  """The rows of a quantity, one a group."""
  found = []
  for i, group in enumerate(groups):
    name = row.name if i == 0 else ''
    text = _mean_text(row.means[i], len(group.runs))
    cells = [name, group.label, text]
    found.append(
      [*cells, *_cells(row.differences[i])] if len(groups) > 1 else cells
    )
  return found


def _cells(difference: Difference | None) -> list[str]:
  """Difference, its two intervals, the smallest effect."""
  if difference is None:
    return ['', '', '', '']
  change = difference.seeds
  mean = change.mean
  if np.isnan(mean) and difference.problems:
    mean = difference.problems.mean
  return [
    signed(mean),
    _ends(change),
    _ends(difference.problems) if difference.problems else '–',
    number(difference.smallest),
  ]


def _ends(interval: Interval) -> str:
  """−0.020 to +0.136."""
  if np.isnan(interval.low):
    return '–'
  return f'{signed(interval.low)} to {signed(interval.high)}'


def _mean_text(mean: Interval, runs: int) -> str:
  """0.652 (0.601 to 0.703), of so many seeds."""
  if runs < 2 or np.isnan(mean.low):
    return number(mean.mean)
  return f'{number(mean.mean)} ({number(mean.low)} to {number(mean.high)})'


def write(
  groups: list[Group], outcomes: list[Outcome], folder: pathlib.Path
) -> None:
  """outcome.csv: the value of each run; differences.csv: between groups."""
  values, differences = [], []
  for found in outcomes:
    for row in found.quantities:
      where = [found.by.unit, found.at, row.name]
      values += _value_rows(groups, where, row)
      differences += _difference_rows(groups, where, row)
  _write(folder / 'outcome.csv', VALUES_HEAD, values)
  _write(folder / 'differences.csv', DIFFERENCES_HEAD, differences)


def _value_rows(groups: list[Group], where: list, row: Quantity) -> list[list]:
  return [
    [*where, group.label, seed, value]
    for group, values in zip(groups, row.values, strict=True)
    for seed, value in zip(group.seeds, values, strict=True)
  ]


def _difference_rows(
  groups: list[Group], where: list, row: Quantity
) -> list[list]:
  rows = []
  for group, x in zip(groups, row.differences, strict=True):
    if x is not None:
      problems = x.problems or Interval(np.nan, np.nan, np.nan)
      rows.append(
        [
          *where,
          group.label,
          groups[0].label,
          x.pairs,
          x.seeds.mean,
          x.seeds.low,
          x.seeds.high,
          x.smallest,
          problems.mean,
          problems.low,
          problems.high,
        ]
      )
  return rows


def _write(path: pathlib.Path, head: Sequence[str], rows: list[list]) -> None:
  """A CSV file; NaN is nothing."""
  blank = lambda x: '' if isinstance(x, float) and np.isnan(x) else x
  with open(path, 'w', newline='', encoding='utf-8') as file:
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(head)
    writer.writerows([blank(x) for x in row] for row in rows)
