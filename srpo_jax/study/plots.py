# SPDX-License-Identifier: Apache-2.0
"""What a plot is: lines, units, marks, and its numbers in words.

Between reading and drawing; plain numpy. `curves` makes plots of one run,
`compare` of several.
"""

import dataclasses

import numpy as np

# A drawn line has at most so many points: a report stays small for long runs.
MAX_POINTS = 300
_EMPTY = np.zeros(0)


@dataclasses.dataclass(frozen=True)
class Line:
  """One line of a plot.

  Attributes:
    label: what it is, in the legend and in words; may be empty.
    series: which colour and dash of the palette.
    x, y: its points.
    words: the line's numbers in a sentence, for who cannot see it.
    faint_x, faint_y: single steps, drawn faintly behind; may be empty.
    low, high: a band around y; may be empty.
    strands: (x, y) of the runs that the line is the mean of.
  """

  label: str
  series: int
  x: np.ndarray
  y: np.ndarray
  words: str
  faint_x: np.ndarray = dataclasses.field(default_factory=_EMPTY.copy)
  faint_y: np.ndarray = dataclasses.field(default_factory=_EMPTY.copy)
  low: np.ndarray = dataclasses.field(default_factory=_EMPTY.copy)
  high: np.ndarray = dataclasses.field(default_factory=_EMPTY.copy)
  strands: tuple[tuple[np.ndarray, np.ndarray], ...] = ()


@dataclasses.dataclass(frozen=True)
class Switch:
  """Where a later stage begins.

  Attributes:
    x: the place, in the unit of the x axis.
    label: name of the stage that begins there.
    series: whose switch it is; None if it is that of every line.
  """

  x: float
  label: str
  series: int | None = None


@dataclasses.dataclass(frozen=True)
class Plot:
  """A title, lines, and what the axes mean.

  Attributes:
    title: what is shown.
    unit: of the y axis, in words.
    lines: at least one.
    share: True if y is a share in [0, 1].
    stepped: True if y holds until the next point.
    marks: places at which an epoch begins.
    note: how the lines were made.
    x_unit: what the x axis counts, in the plural: 'steps', 'rollouts'.
    switches: where later stages begin.
    name: of its files, such as 'reward'; letters, digits and '_'.
    metrics: the columns of the runs that it shows, for its CSV.
  """

  title: str
  unit: str
  lines: tuple[Line, ...]
  share: bool = False
  stepped: bool = False
  marks: tuple[int, ...] = ()
  note: str = ''
  x_unit: str = 'steps'
  switches: tuple[Switch, ...] = ()
  name: str = 'figure'
  metrics: tuple[str, ...] = ()


def describe(plot: Plot) -> str:
  """The plot in words: title, unit, the numbers of each line, the stages."""
  words = [f'{plot.title} ({plot.unit}), over {plot.x_unit}.']
  words += [line.words for line in plot.lines]
  return ' '.join([*words, *switch_words(plot)])


def switch_words(plot: Plot) -> list[str]:
  """A sentence for each switch of stage."""
  labels = {line.series: line.label for line in plot.lines}
  return [
    f'{switch.label} begins at {place(switch.x, plot.x_unit)}'
    + (f' ({labels[switch.series]}).' if switch.series in labels else '.')
    for switch in plot.switches
  ]


def place(x: float, unit: str) -> str:
  """A place on the x axis: step 60, 25600 rollouts, 1.5M tokens."""
  return f'step {x:.0f}' if unit == 'steps' else f'{count(x)} {unit}'


def count(value: float) -> str:
  """A count in a few characters: 812, 25600, 1.25M."""
  for size, letter in ((1e9, 'G'), (1e6, 'M')):
    if abs(value) >= size:
      return f'{value / size:.3g}{letter}'
  return f'{value:.0f}'


def number(value: float) -> str:
  """A number for a sentence: 0.123, 12.3, 1234, 1.25M, 1e-06."""
  if not np.isfinite(value):
    return '–'
  if abs(value) >= 1e6:
    return count(value)
  if value == round(value) or abs(value) >= 1000:
    return f'{value:.0f}'
  if abs(value) < 0.001:
    return f'{value:.3g}'
  return f'{value:.3f}' if abs(value) < 10 else f'{value:.1f}'


def signed(value: float) -> str:
  """A change: +0.136, −0.020, +12.3 or −1317."""
  if not np.isfinite(value):
    return '–'
  if abs(value) >= 1e6:
    return ('−' if value < 0 else '+') + count(abs(value))
  digits = 3 if abs(value) < 10 else 1 if abs(value) < 1000 else 0
  return f'{value:+.{digits}f}'.replace('-', '−')


def moving_mean(values: np.ndarray, window: int) -> np.ndarray:
  """Mean of the last `window` values at each place; of fewer at the start."""
  sums = np.cumsum(values, dtype=np.float64)
  sums[window:] -= sums[:-window].copy()
  return sums / np.minimum(np.arange(1, len(sums) + 1), window)


def window_for(steps: int) -> int:
  """Steps a mean is taken over: a twentieth of the run, from 1 to 50."""
  return int(np.clip(steps // 20, 1, 50))


def thin(x: np.ndarray, limit: int = MAX_POINTS) -> np.ndarray:
  """At most `limit` indices, evenly spaced, first and last included."""
  if len(x) <= limit:
    return np.arange(len(x))
  return np.unique(np.linspace(0, len(x) - 1, limit).round().astype(int))


def file_name(title: str) -> str:
  """A title as the name of a file: 'Reward: a/b' becomes 'reward_a_b'."""
  letters = ''.join(x if x.isalnum() else ' ' for x in title.lower())
  return '_'.join(letters.encode('ascii', 'ignore').decode().split())
