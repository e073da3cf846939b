# SPDX-License-Identifier: Apache-2.0
"""Pieces of HTML: tables, figures, samples. Every text is escaped here."""

import html
from collections.abc import Sequence

from srpo_jax.study import axes
from srpo_jax.study.evaluations import Evaluation
from srpo_jax.study.plots import Plot, number, switch_words
from srpo_jax.study.samples import Sample
from srpo_jax.study.style import style_sheet

# Sorts the rows of a table by a column: numbers as numbers, else as text. The
# table is complete without it, in the order that it was written in.
_SORT = """
for (const table of document.querySelectorAll('table.sortable')) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener('click', () => {
      const up = head.getAttribute('aria-sort') !== 'ascending';
      heads.forEach((other) => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      const text = (row) => row.cells[column].textContent;
      const order = (a, b) =>
        text(a).localeCompare(text(b), undefined, { numeric: true });
      const rows = [...table.tBodies[0].rows].sort(order);
      table.tBodies[0].append(...(up ? rows : rows.reverse()));
    });
  });
}
"""


def page(title: str, parts: Sequence[str]) -> str:
  """A whole document that asks the network for nothing."""
  body = '\n'.join(parts)
  script = f'<script>{_SORT}</script>\n' if 'sortable' in body else ''
  return (
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    '<meta name="color-scheme" content="light dark">\n'
    f'<title>{html.escape(title)}</title>\n'
    f'<style>\n{style_sheet()}</style>\n</head>\n<body>\n<main>\n{body}\n'
    f'</main>\n{script}</body>\n</html>\n'
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


def figure(plot: Plot, svg: str) -> str:
  """A drawing with its title above and its numbers in words below."""
  words = [line.words for line in plot.lines]
  caption = ' '.join([*words, *switch_words(plot), plot.note]).strip()
  return (
    f'<figure>\n<h3>{html.escape(plot.title)} '
    f'<span class="unit">{html.escape(plot.unit)}</span></h3>\n{svg}\n'
    f'<figcaption>{html.escape(caption)}</figcaption>\n</figure>'
  )


def level_figure(score: Evaluation, svg: str) -> str:
  """Where each level of a held-out set began and ended."""
  title = html.escape(f'By level: {score.set_name}')
  return (
    f'<figure>\n<h3>{title} <span class="unit">pass@1</span></h3>\n{svg}\n'
    f'<figcaption>Ring: step {score.steps[0]}; disc: step {score.steps[-1]}.'
    '</figcaption>\n</figure>'
  )


def grid(parts: Sequence[str]) -> str:
  """Figures beside each other where there is room."""
  body = '\n'.join(parts)
  return f'<div class="figures">\n{body}\n</div>'


def chooser(units: Sequence[str]) -> str:
  """Asks what runs are aligned by; the style sheet shows what is chosen.

  A browser that cannot (no `:has`) shows everything, one after the other.
  """
  if len(units) < 2:
    return ''
  choices = ''.join(
    f'<label><input type="radio" name="by" id="by-{unit}"'
    f'{" checked" if i == 0 else ""}> {html.escape(unit)}</label>'
    for i, unit in enumerate(units)
  )
  return (
    '<fieldset class="chooser"><legend>Runs are aligned by</legend>'
    f'{choices}</fieldset>'
  )


def aligned(unit: str, parts: Sequence[str]) -> str:
  """What is shown while this unit is chosen."""
  body = '\n'.join(parts)
  return f'<div class="aligned by-{unit}">\n{body}\n</div>'


def legend(names: Sequence[str]) -> str:
  """Which colour and dash is which line."""
  items = []
  for i, name in enumerate(names):
    dash = ' '.join(f'{2.5 * x:g}' for x in axes.DASHES[i % len(axes.DASHES)])
    items.append(
      '<li><svg viewBox="0 0 44 8" aria-hidden="true"><path d="M0 4H44" '
      f'style="stroke: var(--series-{i % axes.PALETTE}); stroke-width: 2.5; '
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


def subtitle(text: str) -> str:
  """A heading inside a section."""
  return f'<h3>{html.escape(text)}</h3>'
