# SPDX-License-Identifier: Apache-2.0
"""Draws a plot as SVG that stands inside a page, on light or dark ground.

After curves, before the report. matplotlib draws with stand-in colours; they
become CSS variables of the page (style.py), so that one drawing serves both.
It is imported when the first figure is drawn: the trainer must start quickly.
"""

import html
import io
import re

import numpy as np

from srpo_jax.study.curves import Plot, number
from srpo_jax.study.evaluations import Evaluation

# Stand-ins. SVG has them as `stroke: #0a0001` and so on.
INK = '#0a00f0'
MUTED = '#0a00f1'
RULE = '#0a00f2'
GROUND = '#0a00f3'
_SERIES = '#0a00{:02x}'
_GROUNDS = {
  INK: '--ink',
  MUTED: '--muted',
  RULE: '--rule',
  GROUND: '--ground',
}
# The palette's length; more lines begin it again, with another dash.
PALETTE = 6
DASHES = ('-', (0, (5, 2)), (0, (1.5, 1.5)))

# In inches; the page scales the figure to its column.
WIDTH, HEIGHT = 5.2, 2.5
# Room for the labels at the ends of the lines: inches for each character, and
# the least distance between two of them, as a share of the height.
_CHARACTER = 0.075
_LABEL_GAP = 0.085


def draw(plot: Plot, name: str) -> str:
  """The plot as an <svg> element.

  Args:
    plot: what to draw.
    name: prefix of the ids inside; unique on the page.
  """
  import matplotlib
  import matplotlib.figure

  with matplotlib.rc_context(_settings(name)):
    figure = matplotlib.figure.Figure(figsize=(WIDTH, HEIGHT))
    labels = [_end_label(line, plot) for line in plot.lines]
    longest = max(len(label) for label in labels)
    right = 1 - (0.1 + _CHARACTER * longest) / WIDTH
    figure.subplots_adjust(0.105, 0.17, right, 0.96)
    axes = figure.add_subplot()
    _draw_lines(axes, plot)
    _set_limits(axes, plot)
    _draw_labels(axes, plot, labels)
    _draw_frame(axes)
    _draw_steps(axes)
    return inline(_svg(figure), name, describe(plot))


def draw_levels(score: Evaluation, name: str) -> str:
  """Where each level's pass@1 began and ended, as an <svg> element.

  Args:
    score: an evaluation whose levels are known.
    name: prefix of the ids inside; unique on the page.
  """
  import matplotlib
  import matplotlib.figure

  levels = sorted(score.levels, key=lambda level: level.last)
  rows = range(len(levels))
  first = [level.first for level in levels]
  last = [level.last for level in levels]
  with matplotlib.rc_context(_settings(name)):
    # As high as the plots beside it, unless there are many levels.
    size = (WIDTH, max(HEIGHT, 0.4 + 0.19 * len(levels)))
    figure = matplotlib.figure.Figure(figsize=size, layout='constrained')
    axes = figure.add_subplot()
    axes.hlines(rows, first, last, color=series_color(0), linewidth=1.8)
    axes.plot(first, rows, 'o', color=series_color(0), markerfacecolor=GROUND)
    axes.plot(last, rows, 'o', color=series_color(0))
    axes.set_yticks(rows, [level.name for level in levels])
    axes.set_xlim(-0.02, 1.02)
    _draw_frame(axes)
    axes.set_xlabel('share correct')
    axes.tick_params(axis='y', labelcolor=INK)
    return inline(_svg(figure), name, describe_levels(score))


def describe_levels(score: Evaluation) -> str:
  """The levels in words."""
  words = [f'{x.name} {x.first:.3f} to {x.last:.3f}' for x in score.levels]
  steps = f'from step {score.steps[0]} to step {score.steps[-1]}'
  return f'pass@1 on {score.set_name} by level, {steps}: {"; ".join(words)}.'


def describe(plot: Plot) -> str:
  """The plot in words: title, unit, and the numbers of each line."""
  words = ' '.join(line.words for line in plot.lines)
  return f'{plot.title} ({plot.unit}). {words}'


def inline(svg: str, name: str, description: str) -> str:
  """A file of matplotlib's as an element that takes the page's colours."""
  svg = svg[svg.index('<svg') :]
  svg = re.sub(r'<metadata>.*?</metadata>', '', svg, flags=re.DOTALL)
  # Ids are unique in a page, not only in a figure.
  svg = re.sub(r'\bid="', f'id="{name}-', svg)
  svg = re.sub(r'(href="|url\()#', rf'\1#{name}-', svg)
  for color, variable in _variables().items():
    svg = svg.replace(color, f'var({variable})')
  # The page sets the size; the view box keeps the shape.
  svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r'\1', svg)
  svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r'\1', svg)
  label = html.escape(description, quote=True)
  return svg.replace('<svg', f'<svg role="img" aria-label="{label}"', 1)


def series_color(series: int) -> str:
  """The stand-in of a line's colour."""
  return _SERIES.format(series % PALETTE)


def _variables() -> dict[str, str]:
  """Stand-in -> CSS variable."""
  series = {_SERIES.format(i): f'--series-{i}' for i in range(PALETTE)}
  return {**_GROUNDS, **series}


def _svg(figure) -> str:
  """The figure as a file's text, the same at any time of the day."""
  file = io.StringIO()
  figure.savefig(file, format='svg', transparent=True, metadata={'Date': None})
  return file.getvalue()


def _settings(name: str) -> dict:
  """matplotlib's settings for one figure."""
  return {
    'svg.hashsalt': name,
    # Text stays text: it can be searched, and takes the page's font.
    'svg.fonttype': 'none',
    'font.family': 'DejaVu Sans',
    'font.size': 9,
    'text.color': INK,
    'axes.edgecolor': MUTED,
    'axes.labelcolor': MUTED,
    'xtick.color': MUTED,
    'ytick.color': MUTED,
    'axes.unicode_minus': True,
    # Prompts and names may hold a dollar sign.
    'text.parse_math': False,
  }


def _draw_lines(axes, plot: Plot) -> None:
  """Epoch marks, bands, faint single steps, then the lines on top."""
  for mark in plot.marks if len(plot.marks) <= 40 else ():
    axes.axvline(mark, color=RULE, linewidth=0.8, dashes=(2, 2), zorder=0)
  for line in plot.lines:
    color = series_color(line.series)
    dash = DASHES[line.series // PALETTE % len(DASHES)]
    if len(line.low):
      band = {'color': color, 'alpha': 0.15, 'linewidth': 0}
      axes.fill_between(line.x, line.low, line.high, **band)
    if len(line.low) == 1:
      # A band over one step has no width: a bar instead.
      axes.vlines(line.x, line.low, line.high, color=color, linewidth=1.2)
    if len(line.faint_x):
      dots = {'color': color, 'alpha': 0.3, 'linestyle': 'none'}
      axes.plot(line.faint_x, line.faint_y, marker='.', markersize=3, **dots)
    marker = 'o' if len(line.x) <= 12 else None
    axes.plot(
      line.x,
      line.y,
      color=color,
      linewidth=1.8,
      linestyle=dash,
      drawstyle='steps-post' if plot.stepped else 'default',
      marker=None if plot.stepped else marker,
      markersize=3.5,
      # The first and the last point are whole, not cut at the frame.
      clip_on=False,
    )


def _set_limits(axes, plot: Plot) -> None:
  """The y axis from 0 unless something is negative; a share ends at 1."""
  values = [
    y
    for line in plot.lines
    for y in (line.y, line.faint_y, line.low, line.high)
  ]
  values = np.concatenate(values)
  values = values[np.isfinite(values)]
  low, high = values.min(initial=0), values.max(initial=0)
  room = 0.08 * ((high - low) or 1)
  top = min(high + room, 1.02) if plot.share else high + room
  axes.set_ylim(low - room if low < 0 else 0, top)
  first = min(line.x[0] for line in plot.lines)
  last = max(line.x[-1] for line in plot.lines)
  axes.set_xlim(first, max(last, first + 1))


def _end_label(line, plot: Plot) -> str:
  """What stands at the end of a line: its label in a plot of one run."""
  value = number(float(line.y[-1]))
  few = len({line.series for line in plot.lines}) <= 3
  if not line.label or not few or len(line.label) > 14:
    return value
  return f'{line.label} {value}'


def _draw_labels(axes, plot: Plot, labels: list[str]) -> None:
  """Labels at the line ends, in their colours, pushed apart."""
  low, high = axes.get_ylim()
  wanted = [(line.y[-1] - low) / (high - low) for line in plot.lines]
  for line, label, y in zip(plot.lines, labels, spread(wanted), strict=True):
    axes.text(
      1.015,
      y,
      label,
      color=series_color(line.series),
      transform=axes.transAxes,
      verticalalignment='center',
    )


def spread(wanted: list[float], gap: float = _LABEL_GAP) -> list[float]:
  """Heights in [0, 1] near the wanted ones, at least `gap` apart."""
  order = sorted(range(len(wanted)), key=lambda i: wanted[i])
  placed = []
  for i in order:
    floor = placed[-1] + gap if placed else 0.0
    placed.append(max(wanted[i], floor))
  # What stuck out at the top comes down, and pushes the others.
  ceiling = 1.0
  for k in range(len(placed) - 1, -1, -1):
    placed[k] = min(placed[k], ceiling)
    ceiling = placed[k] - gap
  heights = dict(zip(order, placed, strict=True))
  return [heights[i] for i in range(len(wanted))]


def _draw_frame(axes) -> None:
  """Axes without a box, a light grid, few and round ticks."""
  for side in ('top', 'right', 'left'):
    axes.spines[side].set_visible(False)
  axes.grid(axis='y', color=RULE, linewidth=0.8)
  axes.set_axisbelow(True)
  axes.tick_params(length=0, labelsize=8.5)
  axes.xaxis.label.set_size(8.5)


def _draw_steps(axes) -> None:
  """Whole steps below, round numbers at the side."""
  import matplotlib.ticker

  whole = matplotlib.ticker.MaxNLocator(6, integer=True)
  tens = matplotlib.ticker.MaxNLocator(5, steps=[1, 2, 2.5, 5, 10])
  axes.xaxis.set_major_locator(whole)
  axes.xaxis.set_major_formatter(lambda x, _: f'{x:.0f}')
  axes.yaxis.set_major_locator(tens)
  axes.yaxis.set_major_formatter(lambda y, _: f'{y:.6g}'.replace('-', '−'))
  axes.set_xlabel('step')
