# SPDX-License-Identifier: Apache-2.0
"""The axes of a figure: lines, bands, marks, labels and ticks, by matplotlib.

Called by figures with the colours to draw in: stand-ins that a page replaces,
or the colours of the light page for a file.
"""

import numpy as np

from srpo_jax.study import derived
from srpo_jax.study.evaluations import Evaluation
from srpo_jax.study.plots import Line, Plot, count, number

# The palette's length; more lines begin it again.
PALETTE = 6
# A line's dash tells it from the others where colours do not: on and off, in
# units of its width.
DASHES = (
  (),
  (4, 1.6),
  (1.2, 1.4),
  (7, 1.6, 1.2, 1.6),
  (9, 3),
  (3, 1, 1, 1, 1, 1),
)
# SVG has them as `stroke: #0a0001` and so on, and nothing else in it does.
STAND_INS = {
  'ink': '#0a00f0',
  'muted': '#0a00f1',
  'rule': '#0a00f2',
  'ground': '#0a00f3',
  **{f'series-{i}': f'#0a00{i:02x}' for i in range(PALETTE)},
}

# Room for the labels at the ends of the lines: inches for each character, and
# the least distance between two of them, as a share of the height.
_CHARACTER = 0.075
_LABEL_GAP = 0.085
# More epochs than this are a hatching, not marks.
MAX_MARKS = 40
# Room at the top for the names of stages.
_HEAD = 0.16


def plot_figure(
  plot: Plot,
  colors: dict[str, str],
  size: tuple[float, float],
  above: float = 0,
):
  """A figure with the plot; `above` inches at the top stay free."""
  import matplotlib.figure

  figure = matplotlib.figure.Figure(figsize=size)
  labels = [_end_label(line, plot) for line in plot.lines]
  longest = max(len(label) for label in labels)
  right = 1 - (0.1 + _CHARACTER * longest) / size[0]
  head = above + 0.1 + (_HEAD if plot.switches else 0)
  figure.subplots_adjust(0.105, 0.425 / size[1], right, 1 - head / size[1])
  axes = figure.add_subplot()
  _draw_lines(axes, plot, colors)
  _set_limits(axes, plot)
  _draw_switches(axes, plot, colors)
  _draw_labels(axes, plot, labels, colors)
  _draw_frame(axes, colors)
  _draw_ticks(axes, plot)
  return figure


def level_figure(
  score: Evaluation,
  colors: dict[str, str],
  size: tuple[float, float],
  above: float = 0,
):
  """A figure with where each level's pass@1 began and ended."""
  import matplotlib.figure

  levels = sorted(score.levels, key=lambda level: level.last)
  rows = range(len(levels))
  first = [level.first for level in levels]
  last = [level.last for level in levels]
  # As high as the plots beside it, unless there are many levels.
  size = (size[0], max(size[1], 0.4 + above + 0.19 * len(levels)))
  figure = matplotlib.figure.Figure(figsize=size, layout='constrained')
  # What is constrained keeps out of the room above.
  figure.get_layout_engine().set(rect=(0.01, 0, 0.98, 1 - above / size[1]))
  axes, color = figure.add_subplot(), colors['series-0']
  axes.hlines(rows, first, last, color=color, linewidth=1.8)
  axes.plot(first, rows, 'o', color=color, markerfacecolor=colors['ground'])
  axes.plot(last, rows, 'o', color=color)
  axes.set_yticks(rows, [level.name for level in levels])
  axes.set_xlim(-0.02, 1.02)
  _draw_frame(axes, colors)
  axes.set_xlabel('share correct')
  axes.tick_params(axis='y', labelcolor=colors['ink'])
  return figure


def series_color(series: int, colors: dict[str, str]) -> str:
  """A line's colour."""
  return colors[f'series-{series % PALETTE}']


def _draw_lines(axes, plot: Plot, colors: dict[str, str]) -> None:
  """Epoch marks, bands, faint runs and steps, then the lines on top."""
  for mark in plot.marks if len(plot.marks) <= MAX_MARKS else ():
    axes.axvline(
      mark, color=colors['rule'], linewidth=0.8, dashes=(2, 2), zorder=0
    )
  for line in plot.lines:
    _draw_behind(axes, line, series_color(line.series, colors), plot.stepped)
  for line in plot.lines:
    axes.plot(
      line.x,
      line.y,
      color=series_color(line.series, colors),
      linewidth=1.8,
      # Steep stairs would tear a dashed line apart.
      dashes=DASHES[line.series % len(DASHES)] or (None, None),
      drawstyle='steps-post' if plot.stepped else 'default',
      marker='o' if len(line.x) <= 12 and not plot.stepped else None,
      markersize=3.5,
      # The first and the last point are whole, not cut at the frame.
      clip_on=False,
    )


def _draw_behind(axes, line: Line, color: str, stepped: bool) -> None:
  """What stands faintly behind a line: band, other runs, single steps."""
  if len(line.low):
    step = 'post' if stepped else None
    band = {'color': color, 'alpha': 0.15, 'linewidth': 0, 'step': step}
    axes.fill_between(line.x, line.low, line.high, **band)
  if len(line.low) == 1:
    # A band over one step has no width: a bar instead.
    axes.vlines(line.x, line.low, line.high, color=color, linewidth=1.2)
  for x, y in line.strands:
    axes.plot(
      x,
      y,
      color=color,
      alpha=0.35,
      linewidth=0.7,
      drawstyle='steps-post' if stepped else 'default',
    )
  if len(line.faint_x):
    dots = {'color': color, 'alpha': 0.3, 'linestyle': 'none'}
    axes.plot(line.faint_x, line.faint_y, marker='.', markersize=3, **dots)


def _set_limits(axes, plot: Plot) -> None:
  """The y axis from 0 unless something is negative; a share ends at 1."""
  values = [
    y
    for line in plot.lines
    for y in (line.y, line.faint_y, line.low, line.high)
  ]
  values += [y for line in plot.lines for _, y in line.strands]
  values = np.concatenate(values)
  values = values[np.isfinite(values)]
  low, high = values.min(initial=0), values.max(initial=0)
  if plot.share:
    # An interval may leave [0, 1]; a share cannot.
    low = max(low, 0)
  room = 0.08 * ((high - low) or 1)
  top = min(high + room, 1.02) if plot.share else high + room
  axes.set_ylim(low - room if low < 0 else 0, top)
  # From the beginning: figures of the later stage line up with the others.
  axes.set_xlim(0, max(1, *(line.x[-1] for line in plot.lines)))


def _draw_switches(axes, plot: Plot, colors: dict[str, str]) -> None:
  """An upright line with a name above where a later stage begins."""
  left, right = axes.get_xlim()
  free = -1.0
  for switch in sorted(plot.switches, key=lambda switch: switch.x):
    if not left <= switch.x <= right:
      continue
    color = colors['ink']
    if switch.series is not None:
      color = series_color(switch.series, colors)
    axes.axvline(switch.x, color=color, linewidth=1.0, zorder=1)
    # Names that would lie over each other are left to the words below.
    at = (switch.x - left) / (right - left)
    width = 0.017 * len(switch.label)
    if at - width / 2 > free:
      _name_switch(axes, switch, color)
      free = at + width / 2


def _name_switch(axes, switch, color: str) -> None:
  """The name of a stage above the frame."""
  axes.annotate(
    switch.label,
    (switch.x, 1),
    (0, 2),
    xycoords=('data', 'axes fraction'),
    textcoords='offset points',
    ha='center',
    va='bottom',
    fontsize=8,
    color=color,
  )


def _end_label(line: Line, plot: Plot) -> str:
  """What stands at the end of a line: its label in a plot of one run."""
  value = number(float(line.y[-1]))
  longest = max(len(line.label) for line in plot.lines)
  if not line.label or longest > 16:
    return value
  return f'{line.label} {value}'


def _draw_labels(
  axes, plot: Plot, labels: list[str], colors: dict[str, str]
) -> None:
  """Labels at the line ends, in their colours, pushed apart."""
  low, high = axes.get_ylim()
  wanted = [(line.y[-1] - low) / (high - low) for line in plot.lines]
  for line, label, y in zip(plot.lines, labels, spread(wanted), strict=True):
    axes.text(
      1.015,
      y,
      label,
      color=series_color(line.series, colors),
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


def _draw_frame(axes, colors: dict[str, str]) -> None:
  """Axes without a box, a light grid, few and round ticks."""
  for side in ('top', 'right', 'left'):
    axes.spines[side].set_visible(False)
  axes.grid(axis='y', color=colors['rule'], linewidth=0.8)
  axes.set_axisbelow(True)
  axes.tick_params(length=0, labelsize=8.5)
  axes.xaxis.label.set_size(8.5)


def _draw_ticks(axes, plot: Plot) -> None:
  """Whole places below, round numbers at the side."""
  import matplotlib.ticker

  whole = matplotlib.ticker.MaxNLocator(6, integer=True)
  tens = matplotlib.ticker.MaxNLocator(5, steps=[1, 2, 2.5, 5, 10])
  axes.xaxis.set_major_locator(whole)
  axes.xaxis.set_major_formatter(lambda x, _: tick(x))
  axes.yaxis.set_major_locator(tens)
  axes.yaxis.set_major_formatter(lambda y, _: tick(y))
  axes.set_xlabel(derived.AXES[plot.x_unit])


def tick(value: float) -> str:
  """A number beside an axis: −0.5, 0.25, 4000, 25k, 1.5M."""
  if abs(value) >= 1e6:
    text = count(value)
  elif abs(value) >= 1e4:
    text = f'{value / 1e3:.4g}k'
  else:
    text = f'{value:.6g}'
  return text.replace('-', '−')
