# SPDX-License-Identifier: Apache-2.0
"""The tables of a report: history by epoch, outcome, config, every number."""

import csv
import html
import pathlib

import numpy as np

from srpo_jax.study import curves, ledgers, page, read
from srpo_jax.study.plots import number

_FILES = (
  'The command python -m srpo_jax.study also writes the folder figures: each '
  'figure as PNG and SVG, with the numbers that were measured (NAME.csv) and '
  'those that are drawn (NAME_lines.csv).'
)

# A table of more rows is folded away.
_MANY_EPOCHS = 24


def history(runs: list[read.Run]) -> list[str]:
  """What each epoch's ledger says of its prompts."""
  head = ['run', 'stage', 'epoch', 'prompts', 'always right', 'mixed']
  head += ['never right', 'not all judged', 'mean length']
  rows = [
    [run.name, str(stage), str(epoch), *ledger_cells(rows)]
    for run in runs
    for stage, epoch, rows in run.ledger
  ]
  if not rows:
    return []
  note = (
    'Prompts asked in an epoch. History resampling drops those that were '
    'always right from the next one.'
  )
  caption = 'prompts by epoch'
  table = run_table(runs, head, rows, caption)
  if len(rows) > _MANY_EPOCHS:
    table = page.details(f'Table: {caption}', [table])
  return [page.paragraph(note), table]


def ledger_cells(rows: read.Columns) -> list[str]:
  """Prompts asked, always right, mixed, never right, partly unjudged."""
  asked = ledgers.asked_counts(rows)
  right = (rows['correct'] == asked) & (asked > 0)
  partly = rows['judged'] < asked
  never = (rows['correct'] == 0) & ~partly
  mixed = ~right & ~never & ~partly
  counts = [len(asked), right.sum(), mixed.sum(), never.sum(), partly.sum()]
  length = rows['length_mean'].mean() if len(asked) else np.nan
  return [*(str(count) for count in counts), number(float(length))]


def run_table(
  runs: list[read.Run],
  head: list[str],
  rows: list[list[str]],
  caption: str,
) -> str:
  """A table whose first column is the run; one run needs no such column."""
  skip = 0 if len(runs) > 1 else 1
  return page.table(head[skip:], [row[skip:] for row in rows], caption)


def facts(runs: list[read.Run]) -> list[str]:
  """Config and outcome, a column for each run."""
  columns = [run_facts(run) for run in runs]
  names = dict.fromkeys(name for column in columns for name in column)
  rows = [
    [name, *(column.get(name, '–') for column in columns)] for name in names
  ]
  head = ['', *(run.name for run in runs)] if len(runs) > 1 else []
  return [page.table(head, rows, 'facts of the run', 'facts')]


def run_facts(run: read.Run) -> dict[str, str]:
  """Name -> text: how it ended, how long it took, its macros."""
  steps = int(run.done.get('step', run.steps.max(initial=0)))
  spent = float(np.nansum(run.metrics.get('time/step', np.zeros(0))))
  seconds = float(run.done.get('seconds', spent))
  epochs = [run.metrics.get(x, np.zeros(0)) for x in ('stage', 'epoch')]
  found = {
    'workdir': str(run.path),
    'state': 'finished' if run.done else 'not finished',
    'steps': str(steps),
    'epochs': str(len(set(zip(*(x.tolist() for x in epochs), strict=False)))),
    'seconds': f'{seconds:.0f}',
    'fingerprint': str(run.done.get('fingerprint', '–')),
  }
  return {**found, **run.macros}


def numbers(runs: list[read.Run], numbers_name: str) -> list[str]:
  """A table of every metric, and where the rest is."""
  head = ['metric', 'first', 'last', 'lowest', 'highest', 'mean']
  if len(runs) > 1:
    head.insert(1, 'run')
  names = dict.fromkeys(name for run in runs for name in run.metrics)
  rows = []
  for name in names:
    for run in runs if name not in ('step', 'stage') else ():
      _, y = curves.known(run, name)
      if len(y):
        cells = [y[0], y[-1], y.min(), y.max(), y.mean()]
        which = [run.name] if len(runs) > 1 else []
        rows.append([name, *which, *(number(float(x)) for x in cells)])
  link = (
    '<p>Every number of every step: '
    f'<a href="{html.escape(numbers_name)}">'
    f'{html.escape(numbers_name)}</a>, beside this page. '
    f'{html.escape(_FILES)}</p>'
  )
  caption = 'each metric over the run'
  return [
    link,
    page.details(f'Table: {caption}', [page.table(head, rows, caption)]),
  ]


def write_numbers(runs: list[read.Run], path: pathlib.Path) -> None:
  """CSV: a row for each run and step, a column for each metric."""
  names = dict.fromkeys(name for run in runs for name in run.metrics)
  with open(path, 'w', newline='', encoding='utf-8') as file:
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(['run', *names])
    for run in runs:
      for i in range(len(run.steps)):
        cells = [run.metrics.get(name) for name in names]
        writer.writerow([run.name, *(_cell(cell, i) for cell in cells)])


def _cell(column: np.ndarray | None, i: int) -> str:
  """The value at a row, nothing where there is none."""
  if column is None or np.isnan(column[i]):
    return ''
  value = float(column[i])
  return str(int(value)) if value.is_integer() else repr(value)
