# SPDX-License-Identifier: Apache-2.0
"""Draws a plot: as SVG inside a page, and as SVG and PNG files.

After curves, before the report. matplotlib draws with stand-in colours; in a
page they become CSS variables (style.py), so that one drawing serves light and
dark. Lines differ in colour and in dash, so that they read in grey too.
matplotlib is imported when the first figure is drawn: the trainer must start
quickly.
"""

import html
import io
import re

from srpo_jax.study import axes as axes_lib
from srpo_jax.study import style
from srpo_jax.study.evaluations import Evaluation
from srpo_jax.study.plots import Plot, describe

# In inches; the page scales the figure to its column.
WIDTH, HEIGHT = 5.2, 2.5
# Of the files: room for the title above, and dots an inch.
_TITLE = 0.3
_DPI = 130
# The view box of matplotlib's SVG is in points.
_POINTS = 72


def draw(plot: Plot, name: str) -> str:
  """The plot as an <svg> element.

  Args:
    plot: what to draw.
    name: prefix of the ids inside; unique on the page.
  """
  import matplotlib

  with matplotlib.rc_context(settings(name, axes_lib.STAND_INS)):
    figure = axes_lib.plot_figure(plot, axes_lib.STAND_INS, (WIDTH, HEIGHT))
    return inline(_svg(figure), name, describe(plot))


def draw_png(plot: Plot) -> bytes:
  """The plot as a PNG on white ground, its title above."""
  import matplotlib

  with matplotlib.rc_context(settings('png', style.LIGHT)):
    size = (WIDTH, HEIGHT + _TITLE)
    figure = axes_lib.plot_figure(plot, style.LIGHT, size, _TITLE)
    return _png(figure, f'{plot.title} ({plot.unit})')


def draw_levels_png(score: Evaluation) -> bytes:
  """Where each level's pass@1 began and ended, as a PNG."""
  import matplotlib

  with matplotlib.rc_context(settings('png', style.LIGHT)):
    size = (WIDTH, HEIGHT + _TITLE)
    figure = axes_lib.level_figure(score, style.LIGHT, size, _TITLE)
    return _png(figure, f'By level: {score.set_name} (pass@1)')


def draw_levels(score: Evaluation, name: str) -> str:
  """Where each level's pass@1 began and ended, as an <svg> element.

  Args:
    score: an evaluation whose levels are known.
    name: prefix of the ids inside; unique on the page.
  """
  import matplotlib

  with matplotlib.rc_context(settings(name, axes_lib.STAND_INS)):
    size = (WIDTH, HEIGHT)
    figure = axes_lib.level_figure(score, axes_lib.STAND_INS, size)
    return inline(_svg(figure), name, describe_levels(score))


def describe_levels(score: Evaluation) -> str:
  """The levels in words."""
  words = [f'{x.name} {x.first:.3f} to {x.last:.3f}' for x in score.levels]
  steps = f'from step {score.steps[0]} to step {score.steps[-1]}'
  return f'pass@1 on {score.set_name} by level, {steps}: {"; ".join(words)}.'


def inline(svg: str, name: str, description: str) -> str:
  """A file of matplotlib's as an element that takes the page's colours."""
  svg = svg[svg.index('<svg') :]
  svg = re.sub(r'<metadata>.*?</metadata>', '', svg, flags=re.DOTALL)
  # Ids are unique in a page, not only in a figure.
  svg = re.sub(r'\bid="', f'id="{name}-', svg)
  svg = re.sub(r'(href="|url\()#', rf'\1#{name}-', svg)
  for variable, color in axes_lib.STAND_INS.items():
    svg = svg.replace(color, f'var(--{variable})')
  # The page sets the size; the view box keeps the shape.
  svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r'\1', svg)
  svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r'\1', svg)
  label = html.escape(description, quote=True)
  return svg.replace('<svg', f'<svg role="img" aria-label="{label}"', 1)


def alone(svg: str, title: str) -> str:
  """An <svg> element of a page as a file: light, with its title above."""
  for variable, color in style.LIGHT.items():
    svg = svg.replace(f'var(--{variable})', color)
  above = _TITLE * _POINTS
  box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
  width, height = float(box[1]), float(box[2]) + above
  shape = f'viewBox="0 -{above:g} {width:g} {height:g}"'
  svg = svg.replace(
    box[0], f'{shape} width="{width:g}pt" height="{height:g}pt"'
  )
  first = svg.index('>') + 1
  ground = (
    f'<rect y="-{above:g}" width="{width:g}" height="{height:g}" '
    f'fill="{style.LIGHT["ground"]}"/><text x="4" y="-7" font-size="9" '
    f'font-family="DejaVu Sans, sans-serif" fill="{style.LIGHT["ink"]}">'
    f'{html.escape(title)}</text>'
  )
  head = '<?xml version="1.0" encoding="utf-8"?>\n'
  return f'{head}{svg[:first]}{ground}{svg[first:]}\n'


def settings(name: str, colors: dict[str, str]) -> dict:
  """matplotlib's settings for one figure; equal ids for equal names."""
  return {
    'svg.hashsalt': name,
    # Text stays text: it can be searched, and takes the page's font.
    'svg.fonttype': 'none',
    'font.family': 'DejaVu Sans',
    'font.size': 9,
    'text.color': colors['ink'],
    'axes.edgecolor': colors['muted'],
    'axes.labelcolor': colors['muted'],
    'xtick.color': colors['muted'],
    'ytick.color': colors['muted'],
    'axes.unicode_minus': True,
    # Prompts and names may hold a dollar sign.
    'text.parse_math': False,
  }


def _png(figure, title: str) -> bytes:
  """The figure as a file's bytes, with a title in the room above it."""
  height = figure.get_size_inches()[1]
  figure.text(0.012, 1 - 0.6 * _TITLE / height, title, va='center')
  file = io.BytesIO()
  figure.savefig(file, format='png', dpi=_DPI, metadata={'Software': None})
  return file.getvalue()


def _svg(figure) -> str:
  """The figure as a file's text, the same at any time of the day."""
  file = io.StringIO()
  figure.savefig(file, format='svg', transparent=True, metadata={'Date': None})
  return file.getvalue()
