# SPDX-License-Identifier: Apache-2.0
"""Writes report.html, which needs nothing beside it, and the numbers as CSV.

The last step: runs are read, evaluated, drawn and put on one page. The trainer
calls `write_report` at the end of a run; `python -m srpo_jax.study` any time.
"""

import html
import os
import pathlib
from collections.abc import Sequence

from srpo_jax.study import curves, facts, page, read, samples
from srpo_jax.study.evaluations import Evaluation, evaluations
from srpo_jax.study.intervals import Interval

_UNFINISHED = 'This run has not finished; the report shows what is there.'


def write_report(
  workdirs: Sequence[str | os.PathLike], out: str | os.PathLike
) -> pathlib.Path:
  """Writes the report on one run, or on several laid over each other.

  Args:
    workdirs: folders of the runs, finished or not.
    out: the HTML file; the numbers go beside it under the same name, as .csv.

  Returns: the HTML file.

  Raises:
    ConfigError: a path is no workdir, or a file in it is damaged.
  """
  runs = read.read_runs([pathlib.Path(workdir) for workdir in workdirs])
  out = pathlib.Path(out)
  numbers = out.with_suffix('.csv')
  text = report(runs, numbers.name)
  out.parent.mkdir(parents=True, exist_ok=True)
  facts.write_numbers(runs, numbers)
  # In one step: a browser that reloads never sees half a page.
  temporary = out.with_name(out.name + '.tmp')
  temporary.write_text(text, encoding='utf-8')
  os.replace(temporary, out)
  return out


def report(runs: list[read.Run], numbers_name: str) -> str:
  """The page as text."""
  found = [evaluations(run) for run in runs]
  several = len(runs) > 1
  title = f'{len(runs)} runs' if several else runs[0].name
  names = [run.name for run in runs]
  parts = [
    f'<h1>{html.escape(title)}</h1>',
    *[
      page.paragraph(line, 'lede')
      for run, scores in zip(runs, found, strict=True)
      for line in summary(run, scores, several)
    ],
    page.legend(names) if several else '',
    page.section('Held-out problems', held_out(runs, found)),
    page.section('Training', training(runs)),
    page.section('History', facts.history(runs)),
    page.section('Samples', rollouts(runs)),
    page.section('Runs' if several else 'Run', facts.facts(runs)),
    page.section('Numbers', facts.numbers(runs, numbers_name)),
  ]
  return page.page(f'{title} · srpo_jax', [part for part in parts if part])


def summary(
  run: read.Run, scores: list[Evaluation], several: bool
) -> list[str]:
  """What came of the run, in a sentence for each held-out set."""
  name = f'{run.name}: ' if several else ''
  lines = [name + evaluation_sentence(score) for score in scores]
  if not scores:
    lines = [f'{name}No held-out evaluation has been written yet.']
  if not run.done:
    lines.append(name + _UNFINISHED)
  return lines


def evaluation_sentence(score: Evaluation) -> str:
  """pass@1 from start to end, with the paired interval."""
  if score.change is None:
    return (
      f'pass@1 on the held-out set {score.set_name} is {score.first:.3f} at '
      f'step {score.steps[0]}; there is no later evaluation to compare with.'
    )
  change = score.change
  text = (
    f'pass@1 on the held-out set {score.set_name} went from {score.first:.3f} '
    f'at step {score.steps[0]} to {score.last:.3f} at step {score.steps[-1]}: '
    f'{signed(change.mean)}, 95% interval {signed(change.low)} to '
    f'{signed(change.high)} (paired bootstrap over {score.problems} problems; '
    f'samples a problem: {score.samples}).'
  )
  if change.low <= 0 <= change.high:
    text += ' The interval holds 0: this may be chance.'
  return text


def signed(value: float) -> str:
  """A change: +0.136 or −0.020."""
  return f'{value:+.3f}'.replace('-', '−')


def interval_text(interval: Interval) -> str:
  """0.652 (0.601 to 0.703)."""
  return f'{interval.mean:.3f} ({interval.low:.3f} to {interval.high:.3f})'


def held_out(runs: list[read.Run], found: list[list[Evaluation]]) -> list[str]:
  """Figures and tables of pass@1."""
  plots = curves.evaluation_plots(runs, found)
  if not plots:
    return []
  rows, levels = [], []
  for run, scores in zip(runs, found, strict=True):
    for score in scores:
      rows += evaluation_rows(run, score)
      levels += level_rows(run, score)
  head = ['run', 'set', 'step', 'pass@1 (95% interval)']
  drawn = [page.figure(plot, f'eval{i}') for i, plot in enumerate(plots)]
  if len(runs) == 1:
    drawn += [
      page.level_figure(score, f'level{i}')
      for i, score in enumerate(found[0])
      if score.levels and score.change
    ]
  caption = 'each evaluation'
  by_step = facts.run_table(runs, head, rows, caption)
  parts = [page.grid(drawn), page.details(f'Table: {caption}', [by_step])]
  if levels:
    head = ['run', 'set', 'level', 'problems', 'first', 'last', 'change']
    caption = 'pass@1 by level'
    by_level = facts.run_table(runs, head, levels, caption)
    parts.append(page.details(f'Table: {caption}', [by_level]))
  return parts


def evaluation_rows(run: read.Run, score: Evaluation) -> list[list[str]]:
  """A row for each step of an evaluation."""
  return [
    [run.name, score.set_name, str(step), interval_text(interval)]
    for step, interval in zip(score.steps, score.score, strict=True)
  ]


def level_rows(run: read.Run, score: Evaluation) -> list[list[str]]:
  """A row for each level of an evaluation."""
  return [
    [
      run.name,
      score.set_name,
      level.name,
      str(level.problems),
      f'{level.first:.3f}',
      f'{level.last:.3f}',
      signed(level.last - level.first),
    ]
    for level in score.levels
  ]


def training(runs: list[read.Run]) -> list[str]:
  """The curves of the paper's figures."""
  plots = curves.training_plots(runs)
  if not plots:
    return [page.paragraph('No step has been written yet.')]
  drawn = [page.figure(plot, f'train{i}') for i, plot in enumerate(plots)]
  parts = [page.grid(drawn)]
  if any(plot.marks for plot in plots):
    note = 'Upright dashed lines stand where an epoch begins.'
    parts.insert(0, page.paragraph(note, 'note'))
  return parts


def rollouts(runs: list[read.Run]) -> list[str]:
  """The first rollouts of the first and the last step."""
  parts = []
  for run in runs:
    name = f'{run.name}: step' if len(runs) > 1 else 'Step'
    parts += [
      page.samples(f'{name} {step}', shown)
      for step, shown in samples.first_and_last(run)
    ]
  rule = (
    'From the first and the last step: the first rollout of each verdict, not '
    'picked by hand.'
  )
  return [page.paragraph(rule), *parts] if parts else []
