# SPDX-License-Identifier: Apache-2.0
"""The page of several runs: groups of seeds, laid over each other.

Called by report. Everything that depends on what the runs are aligned by is
there once for steps, once for rollouts and once for tokens; the reader chooses.
"""

import html

from srpo_jax.study import (
  compare,
  derived,
  evaluations,
  explorer,
  facts,
  outcome,
  outcome_page,
  page,
  read,
  single,
)
from srpo_jax.study.derived import Alignment
from srpo_jax.study.evaluations import Evaluation
from srpo_jax.study.gallery import Gallery
from srpo_jax.study.groups import Group

# Samples of more runs than this would be the whole page.
_SAMPLED = 4
_LINES = (
  'Line: mean over the seeds of a group; band: its 95% t-interval; thin lines: '
  'single seeds.'
)


def report(
  groups: list[Group],
  numbers_name: str,
  gallery: Gallery,
  outcomes: list[outcome.Outcome],
  scores: dict[str, list[Evaluation]],
  gone: explorer.Found,
) -> str:
  """The page as text; its figures go through the gallery.

  Args:
    groups: what is compared.
    numbers_name: the CSV of all metrics, beside the page.
    gallery: draws the figures.
    outcomes: a table for each alignment.
    scores: name of a run -> its evaluations.
    gone: what became of the prompts of every run.
  """
  runs = [run for group in groups for run in group.runs]
  units = derived.alignments(runs)
  labels = [group.label for group in groups]
  title = ' against '.join(labels) if len(labels) < 4 else f'{len(runs)} runs'
  found = [scores[run.name] for run in runs]
  parts = [
    f'<h1>{html.escape(title)}</h1>',
    *[page.paragraph(x, 'lede') for x in summary(groups, outcomes)],
    page.chooser([by.unit for by in units]),
    page.legend(labels),
    page.paragraph(_LINES, 'note') if len(runs) > len(groups) else '',
    page.section('Outcome', outcome_page.tables(groups, outcomes)),
    page.section('Held-out problems', held_out(groups, scores, units, gallery)),
    *figures(groups, units, gallery),
    page.section('History', facts.history(runs)),
    page.section('Dropped prompts', explorer.parts(groups, gone)),
    page.section('Samples', _samples(runs)),
    page.section('What differs', differing(groups)),
    page.section('Runs', [*_tables(runs, found), *facts.facts(runs)]),
    page.section('Numbers', facts.numbers(runs, numbers_name)),
  ]
  return page.page(f'{title} · srpo_jax', [part for part in parts if part])


def evaluate(groups: list[Group]) -> dict[str, list[Evaluation]]:
  """Name of a run -> its evaluations."""
  return {
    run.name: evaluations.evaluations(run)
    for group in groups
    for run in group.runs
  }


def summary(groups: list[Group], outcomes: list[outcome.Outcome]) -> list[str]:
  """The comparison in sentences, and which runs are not whole."""
  lines = outcome_page.sentences(groups, outcomes)
  running = [x.name for group in groups for x in group.runs if not x.done]
  if running:
    lines.append(
      f'Not finished: {", ".join(running)}; the report shows what is there.'
    )
  return lines


def held_out(
  groups: list[Group],
  scores: dict[str, list[Evaluation]],
  units: list[Alignment],
  gallery: Gallery,
) -> list[str]:
  """pass@1 and response length of each set, by each alignment."""
  return _aligned(
    units, lambda by: compare.evaluation_plots(groups, scores, by), gallery
  )


def figures(
  groups: list[Group], units: list[Alignment], gallery: Gallery
) -> list[str]:
  """The sections of training and of responses."""
  runs = [run for group in groups for run in group.runs]
  training = _aligned(
    units, lambda by: compare.training_plots(groups, by), gallery
  )
  responses = _aligned(
    units, lambda by: compare.response_plots(groups, by), gallery
  )
  note = page.paragraph(single.patterns_note(runs), 'note')
  nothing = [page.paragraph('No step has been written yet.')]
  return [
    page.section('Training', training or nothing),
    page.section('Responses', [note, *responses] if responses else []),
  ]


def differing(groups: list[Group]) -> list[str]:
  """The bindings that differ, a column for each group."""
  names = dict.fromkeys(name for group in groups for name in group.differs)
  rows = [
    ['seeds', *(', '.join(group.seeds) for group in groups)],
    *([name, *(group.differs[name] for group in groups)] for name in names),
  ]
  head = ['', *(group.label for group in groups)]
  return [page.table(head, rows, 'what differs between the groups', 'facts')]


def _aligned(units, plots_of, gallery: Gallery) -> list[str]:
  """A grid of figures for each alignment, of which one is seen."""
  parts = []
  for by in units:
    drawn = [gallery.figure(x, f'_by_{by.unit}') for x in plots_of(by)]
    if drawn:
      parts.append(page.aligned(by.unit, [page.grid(drawn)]))
  return parts


def _tables(runs: list[read.Run], found: list[list[Evaluation]]) -> list[str]:
  """Every evaluation of every run."""
  return single.tables(runs, found) if any(found) else []


def _samples(runs: list[read.Run]) -> list[str]:
  """Samples, where the runs are few."""
  return single.rollouts(runs) if len(runs) <= _SAMPLED else []
