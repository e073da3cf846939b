# SPDX-License-Identifier: Apache-2.0
"""The page of one run: what came of it, its curves, prompts and samples.

Called by report; the page of several runs is in comparison.
"""

import html

from srpo_jax.study import (
  curves,
  evaluations,
  explorer,
  facts,
  page,
  patterns,
  read,
  samples,
)
from srpo_jax.study.axes import MAX_MARKS
from srpo_jax.study.evaluations import Evaluation
from srpo_jax.study.gallery import Gallery
from srpo_jax.study.groups import Group
from srpo_jax.study.intervals import Interval
from srpo_jax.study.plots import signed

UNFINISHED = 'This run has not finished; the report shows what is there.'


def report(
  run: read.Run,
  numbers_name: str,
  gallery: Gallery,
  gone: explorer.Found,
) -> str:
  """The page as text; its figures go through the gallery.

  Args:
    run: the run.
    numbers_name: the CSV of all metrics, beside the page.
    gallery: draws the figures.
    gone: what became of its prompts.
  """
  scores = evaluations.evaluations(run)
  alone = [Group(run.name, (run,), {})]
  parts = [
    f'<h1>{html.escape(run.name)}</h1>',
    *[page.paragraph(line, 'lede') for line in summary(run, scores)],
    page.section('Held-out problems', held_out(run, scores, gallery)),
    page.section('Training', training(run, gallery)),
    page.section('Responses', responses(run, gallery)),
    page.section('History', facts.history([run])),
    page.section('Dropped prompts', explorer.parts(alone, gone)),
    page.section('Samples', rollouts([run])),
    page.section('Run', facts.facts([run])),
    page.section('Numbers', facts.numbers([run], numbers_name)),
  ]
  return page.page(f'{run.name} · srpo_jax', [part for part in parts if part])


def summary(run: read.Run, scores: list[Evaluation]) -> list[str]:
  """What came of the run, in a sentence for each held-out set."""
  lines = [evaluation_sentence(score) for score in scores]
  if not scores:
    lines = ['No held-out evaluation has been written yet.']
  for switch in curves.switches(run):
    lines.append(f'The run went on to {switch.label} at step {switch.x:.0f}.')
  return lines if run.done else [*lines, UNFINISHED]


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


def interval_text(interval: Interval) -> str:
  """0.652 (0.601 to 0.703)."""
  return f'{interval.mean:.3f} ({interval.low:.3f} to {interval.high:.3f})'


def held_out(
  run: read.Run, scores: list[Evaluation], gallery: Gallery
) -> list[str]:
  """Figures and tables of pass@1."""
  if not scores:
    return []
  plots = curves.evaluation_plots(run, scores)
  drawn = [gallery.figure(plot) for plot in plots]
  drawn += [gallery.levels(x) for x in scores if x.levels and x.change]
  return [page.grid(drawn), *tables([run], [scores])]


def tables(runs: list[read.Run], found: list[list[Evaluation]]) -> list[str]:
  """Every evaluation, and pass@1 by level, folded away."""
  rows, levels = [], []
  for run, scores in zip(runs, found, strict=True):
    for score in scores:
      rows += evaluation_rows(run, score)
      levels += level_rows(run, score)
  head = ['run', 'set', 'step', 'pass@1 (95% interval)']
  caption = 'each evaluation'
  by_step = facts.run_table(runs, head, rows, caption)
  parts = [page.details(f'Table: {caption}', [by_step])]
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


def training(run: read.Run, gallery: Gallery) -> list[str]:
  """The curves of the paper's figures."""
  plots = curves.training_plots(run)
  if not plots:
    return [page.paragraph('No step has been written yet.')]
  parts = [page.grid([gallery.figure(plot) for plot in plots])]
  if any(0 < len(plot.marks) <= MAX_MARKS for plot in plots):
    note = 'Upright dashed lines stand where an epoch begins.'
    parts.insert(0, page.paragraph(note, 'note'))
  return parts


def responses(run: read.Run, gallery: Gallery) -> list[str]:
  """Reflection and code in the texts."""
  plots = curves.response_plots(run)
  if not plots:
    return []
  drawn = [gallery.figure(plot) for plot in plots]
  return [page.paragraph(patterns_note([run]), 'note'), page.grid(drawn)]


def patterns_note(runs: list[read.Run]) -> str:
  """What the patterns are, and in which texts they were looked for."""
  counts = [(len(patterns.searched_steps(run)), run) for run in runs]
  parts = [n for n, run in counts if n < len(read.rollout_steps(run.path))]
  text = (
    'Found by keywords, English and Chinese, from our own list '
    '(srpo_jax/assets/study/patterns.json); the paper gives none. A keyword '
    'is a sign of reflection, not a proof.'
  )
  if parts:
    text += f' Texts of {min(parts)} steps, evenly spaced, were searched.'
  return text


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
