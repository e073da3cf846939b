# SPDX-License-Identifier: Apache-2.0
"""Prints the tables of docs/results.md from a comparison.

`python benchmarks/tables.py runs/experiments/history/comparison` reads its
outcome.csv and differences.csv (docs/study.md). A table for each quantity: mean
over seeds, difference from the first group with its 95% t-interval over paired
seeds, and the smallest effect that these seeds would have shown.
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np

from srpo_jax.study import intervals

QUANTITIES = ('held-out', 'effective groups', 'prompts kept', 'tokens sampled')
HEAD = '| | mean | minus {first}, 95% interval | smallest effect |'
Rows = list[dict[str, str]]


def main() -> int:
  """Prints the tables of a folder."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('comparison', type=Path)
  parser.add_argument('--by', default='rollouts', help='steps or tokens')
  asked = parser.parse_args()
  read = lambda name: read_rows(asked.comparison / name, asked.by)
  values, differences = read('outcome.csv'), read('differences.csv')
  names = dict.fromkeys(row['quantity'] for row in values)
  for name in names:
    if name.startswith(QUANTITIES):
      of = lambda rows, name=name: [r for r in rows if r['quantity'] == name]
      print_table(name, of(values), of(differences))
  return 0


def read_rows(path: Path, by: str) -> Rows:
  """The rows of one alignment."""
  with open(path, newline='') as file:
    return [row for row in csv.DictReader(file) if row['aligned_by'] == by]


def print_table(name: str, values: Rows, differences: Rows) -> None:
  """One quantity, a line for each group."""
  groups = list(dict.fromkeys(row['group'] for row in values))
  against = {row['group']: row for row in differences}
  print(f'\n{name}, at {float(values[0]["at"]):,.0f}:\n')
  print(HEAD.format(first=groups[0]))
  print('|---|---|---|---|')
  for group in groups:
    mine = [known(r['value']) for r in values if r['group'] == group]
    cells = [group, interval(intervals.t_interval(np.array(mine)))]
    print(f'| {" | ".join([*cells, *difference(against.get(group))])} |')


def interval(found: intervals.Interval) -> str:
  """A mean and its ends."""
  return f'{number(found.mean)} ({number(found.low)} to {number(found.high)})'


def difference(row: dict[str, str] | None) -> tuple[str, str]:
  """A group against the first; nothing for the first itself."""
  if row is None or not row['difference']:
    return '', ''
  names = ('difference', 't_low', 't_high', 'smallest_effect')
  mean, low, high, least = (known(row[name]) for name in names)
  change = f'{number(mean, "+")} ({number(low, "+")} to {number(high, "+")})'
  return change, number(least)


def known(text: str) -> float:
  """A number of the CSV; NaN where it says nothing, as for a single seed."""
  return float(text or 'nan')


def number(value: float, sign: str = '') -> str:
  """Three digits behind the point for shares, fewer for counts."""
  if np.isnan(value):
    return '–'
  digits = 3 if abs(value) < 10 else 1 if abs(value) < 1000 else 0
  return f'{value:{sign},.{digits}f}'


if __name__ == '__main__':
  sys.exit(main())
