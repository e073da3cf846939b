# SPDX-License-Identifier: Apache-2.0
"""Pieces of HTML: tables, figures, samples. Every text is escaped here."""

import html
from collections.abc import Sequence

from srpo_jax.study import figures
from srpo_jax.study.curves import Plot, number
from srpo_jax.study.evaluations import Evaluation
from srpo_jax.study.samples import Sample
from srpo_jax.study.style import style_sheet


def page(title: str, parts: Sequence[str]) -> str:
  """A whole document that asks the network for nothing."""
  body = '\n'.join(parts)
  return (
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    '<meta name="color-scheme" content="light dark">\n'
    f'<title>{html.escape(title)}</title>\n'
    f'<style>\n{style_sheet()}</style>\n</head>\n<body>\n<main>\n{body}\n'
    '</main>\n</body>\n</html>\n'
  )


def paragraph(text: str, kind: str = '') -> str:
  """A paragraph; `kind` is its class."""
  mark = f' class="{kind}"' if kind else ''
  return f'<p{mark}>{html.escape(text)}</p>'


def section(title: str, parts: Sequence[str]) -> str:
  """A heading with what belongs under it; nothing if that is nothing."""
  if not parts:
    return ''
  body = '\n'.join(parts)
  return f'<section>\n<h2>{html.escape(title)}</h2>\n{body}\n</section>'


def table(
  head: Sequence[str],
  rows: Sequence[Sequence[str]],
  caption: str,
  kind: str = '',
) -> str:
  """A table whose first column names the rows.

  Args:
    head: names of the columns; none for a list of facts.
    rows: cells as text.
    caption: what a screen reader says first.
    kind: its class.
  """
  cells = ''.join(f'<th scope="col">{html.escape(name)}</th>' for name in head)
  top = f'<thead><tr>{cells}</tr></thead>\n' if head else ''
  body = '\n'.join(_row(row) for row in rows)
  return (
    f'<div class="scroll"><table class="{kind}" '
    f'aria-label="{html.escape(caption)}">\n'
    f'{top}<tbody>\n{body}\n</tbody></table></div>'
  )


def _row(row: Sequence[str]) -> str:
  first, *rest = (html.escape(cell) for cell in row)
  cells = ''.join(f'<td>{cell}</td>' for cell in rest)
  return f'<tr><th scope="row">{first}</th>{cells}</tr>'


def details(summary: str, parts: Sequence[str]) -> str:
  """What is folded away at first."""
  body = '\n'.join(parts)
  return (
    f'<details>\n<summary>{html.escape(summary)}</summary>\n{body}\n</details>'
  )


def figure(plot: Plot, name: str) -> str:
  """A drawing with its title above and its numbers in words below."""
  words = ' '.join(line.words for line in plot.lines)
  caption = f'{words} {plot.note}'.strip()
  return (
    f'<figure>\n<h3>{html.escape(plot.title)} '
    f'<span class="unit">{html.escape(plot.unit)}</span></h3>\n'
    f'{figures.draw(plot, name)}\n'
    f'<figcaption>{html.escape(caption)}</figcaption>\n</figure>'
  )


def level_figure(score: Evaluation, name: str) -> str:
  """Where each level of a held-out set began and ended."""
  title = html.escape(f'By level: {score.set_name}')
  return (
    f'<figure>\n<h3>{title} <span class="unit">pass@1</span></h3>\n'
    f'{figures.draw_levels(score, name)}\n'
    f'<figcaption>Ring: step {score.steps[0]}; disc: step {score.steps[-1]}.'
    '</figcaption>\n</figure>'
  )


def grid(parts: Sequence[str]) -> str:
  """Figures beside each other where there is room."""
  body = '\n'.join(parts)
  return f'<div class="figures">\n{body}\n</div>'


def legend(names: Sequence[str]) -> str:
  """Which colour and dash is which run."""
  items = []
  for i, name in enumerate(names):
    dash = ('', '5 2', '1.5 1.5')[i // figures.PALETTE % 3]
    items.append(
      '<li><svg viewBox="0 0 18 8" aria-hidden="true"><path d="M0 4H18" '
      f'style="stroke: var(--series-{i % figures.PALETTE}); stroke-width: 2.5; '
      f'stroke-dasharray: {dash or "none"}"/></svg>{html.escape(name)}</li>'
    )
  return f'<ul class="legend">{"".join(items)}</ul>'


def sample(shown: Sample) -> str:
  """One rollout: the verdict, the prompt, the response."""
  cut = '' if shown.ended else ', cut off at the limit'
  what = f'reward {number(shown.reward)}, {shown.tokens} tokens{cut}'
  return (
    f'<article class="sample">\n<p><b>{html.escape(shown.status)}</b> '
    f'<span class="what">{html.escape(what)}</span></p>\n'
    f'<div class="what">prompt</div>\n<pre>{html.escape(shown.prompt)}</pre>\n'
    '<div class="what">response</div>\n'
    f'<pre>{html.escape(shown.response)}</pre>\n</article>'
  )


def samples(title: str, shown: Sequence[Sample]) -> str:
  """The samples of a step beside each other."""
  parts = '\n'.join(sample(x) for x in shown)
  return (
    f'<h3>{html.escape(title)}</h3>\n<div class="samples">\n{parts}\n</div>'
  )
