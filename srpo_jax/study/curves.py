# SPDX-License-Identifier: Apache-2.0
"""From columns to the lines of a plot: smoothing, thinning, first and last.

Between reading and drawing; plain numpy, and what a figure says in words.
"""

import dataclasses

import numpy as np

from srpo_jax.study import evaluations, read

# A drawn line has at most so many points: a report stays small for long runs.
MAX_POINTS = 500


@dataclasses.dataclass(frozen=True)
class Line:
  """One line of a plot.

  Attributes:
    label: what it is, in the legend and in words; may be empty.
    series: which colour of the palette.
    x, y: its points.
    faint_x, faint_y: single steps, drawn faintly behind; may be empty.
    low, high: a band around y; may be empty.
    words: the line's numbers in a sentence, for who cannot see it.
  """

  label: str
  series: int
  x: np.ndarray
  y: np.ndarray
  words: str
  faint_x: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))
  faint_y: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))
  low: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))
  high: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))


@dataclasses.dataclass(frozen=True)
class Plot:
  """A title, lines, and what the y axis means.

  Attributes:
    title: what is shown.
    unit: of the y axis, in words.
    lines: at least one.
    share: True if y is a share in [0, 1].
    stepped: True if y holds until the next point.
    marks: steps at which an epoch begins.
    note: how the lines were made.
  """

  title: str
  unit: str
  lines: tuple[Line, ...]
  share: bool = False
  stepped: bool = False
  marks: tuple[int, ...] = ()
  note: str = ''


# title, unit, share, metric -> label in a plot of one run.
PAPER_PLOTS = (
  ('Reward', 'mean of a step', False, {'reward/mean': ''}),
  ('Response length', 'tokens', False, {'response_length/mean': ''}),
  (
    'Groups',
    "share of the step's groups",
    True,
    {
      'groups/effective': 'effective',
      'groups/all_correct': 'all correct',
      'groups/all_wrong': 'all wrong',
    },
  ),
  ('Prompts kept', 'prompts in the epoch', False, {'history/kept': ''}),
  (
    'Accuracy in training',
    'share of rollouts',
    True,
    {'accuracy/math': 'math', 'accuracy/code': 'code'},
  ),
)
_LOSS_PLOT = ('Loss', 'mean over tokens', False, {'loss': ''})
# Constant over an epoch: a moving mean would only blur the steps.
EXACT = ('history/kept',)


def training_plots(runs: list[read.Run]) -> list[Plot]:
  """The curves of the paper's figures that there are numbers for."""
  plots = []
  for title, unit, share, names in PAPER_PLOTS:
    if len(runs) == 1:
      plots.append(_plot(runs, title, unit, share, names))
      continue
    # Several runs: colours mean runs, so each metric has its own plot.
    for name, label in names.items():
      full_title = f'{title}: {label}' if label else title
      plots.append(_plot(runs, full_title, unit, share, {name: label}))
  found = [plot for plot in plots if plot.lines]
  # A run without rollouts, such as pre-training, has its loss.
  others = [] if found else [_plot(runs, *_LOSS_PLOT)]
  return found + [plot for plot in others if plot.lines]


def evaluation_plots(
  runs: list[read.Run], found: list[list[evaluations.Evaluation]]
) -> list[Plot]:
  """Held-out pass@1 over the steps, a plot for each set."""
  names = dict.fromkeys(x.set_name for scores in found for x in scores)
  plots = []
  for set_name in names:
    lines = [
      _evaluation_line(score, run.name if len(runs) > 1 else '', series)
      for series, (run, scores) in enumerate(zip(runs, found, strict=True))
      for score in scores
      if score.set_name == set_name
    ]
    note = 'Band: 95% interval over problems.'
    title = f'Held-out pass@1: {set_name}'
    plots.append(Plot(title, 'share correct', tuple(lines), True, note=note))
  return plots


def moving_mean(values: np.ndarray, window: int) -> np.ndarray:
  """Mean of the last `window` values at each place; of fewer at the start."""
  sums = np.cumsum(values, dtype=np.float64)
  sums[window:] -= sums[:-window].copy()
  return sums / np.minimum(np.arange(1, len(sums) + 1), window)


def window_for(steps: int) -> int:
  """Steps a mean is taken over: a twentieth of the run, from 1 to 50."""
  return int(np.clip(steps // 20, 1, 50))


def known(run: read.Run, name: str) -> tuple[np.ndarray, np.ndarray]:
  """Steps and values of a metric, where it has a value."""
  values = run.metrics.get(name, np.full(len(run.steps), np.nan))
  there = ~np.isnan(values)
  return run.steps[there], values[there]


def thin(x: np.ndarray, limit: int = MAX_POINTS) -> np.ndarray:
  """At most `limit` indices, evenly spaced, first and last included."""
  if len(x) <= limit:
    return np.arange(len(x))
  return np.unique(np.linspace(0, len(x) - 1, limit).round().astype(int))


def epoch_starts(run: read.Run) -> tuple[int, ...]:
  """Steps at which a later epoch or stage begins."""
  pairs = [run.metrics.get(name) for name in ('stage', 'epoch')]
  if any(pair is None for pair in pairs):
    return ()
  changed = np.any(np.diff(np.stack(pairs)) > 0, axis=0)
  return tuple(int(step) for step in run.steps[1:][changed])


def number(value: float) -> str:
  """A number for a sentence: 0.123, 12.3, 1234, 1e-06."""
  if not np.isfinite(value):
    return '–'
  if value == round(value) and abs(value) < 1e9:
    return f'{value:.0f}'
  if abs(value) < 0.001:
    return f'{value:.3g}'
  return f'{value:.3f}' if abs(value) < 10 else f'{value:.1f}'


def _plot(
  runs: list[read.Run],
  title: str,
  unit: str,
  share: bool,
  names: dict[str, str],
) -> Plot:
  """One plot; a colour is a run, or a metric where there is one run."""
  several = len(runs) > 1
  stepped = set(names) <= set(EXACT)
  # One for all: lines of different smoothness cannot be compared.
  window = 1 if stepped else window_for(max(len(run.steps) for run in runs))
  lines = [
    _line(run, name, run.name if several else label, window)
    for run in runs
    for name, label in names.items()
  ]
  lines = [
    dataclasses.replace(line, series=series)
    for series, line in enumerate(lines)
    if line is not None
  ]
  if several:
    # Dots of several colours over each other tell nothing.
    none = np.zeros(0)
    lines = [
      dataclasses.replace(line, faint_x=none, faint_y=none) for line in lines
    ]
  elif len(lines) == 1 and lines[0].label:
    # The title says it once for all.
    title = f'{title}: {lines[0].label}'
    lines = [dataclasses.replace(lines[0], label='')]
  return Plot(
    title=title,
    unit=unit,
    lines=tuple(lines),
    share=share,
    stepped=stepped,
    marks=() if several else epoch_starts(runs[0]),
    note=_note(window, several),
  )


def _note(window: int, several: bool) -> str:
  """How the lines were made."""
  if window == 1:
    return ''
  dots = '' if several else 'Dots: single steps. '
  return f'{dots}Line: mean of the last {window} steps.'


def _line(run: read.Run, name: str, label: str, window: int) -> Line | None:
  """A metric over the steps, smoothed over faint single steps."""
  x, y = known(run, name)
  if not len(x):
    return None
  smooth = moving_mean(y, window)
  at = thin(x)
  faint = at if window > 1 else at[:0]
  return Line(
    label=label,
    series=0,
    x=x[at],
    y=smooth[at],
    words=_words(label, x, y, smooth, window),
    faint_x=x[faint],
    faint_y=y[faint],
  )


def _words(
  label: str, x: np.ndarray, y: np.ndarray, smooth: np.ndarray, window: int
) -> str:
  """The numbers of a line: first, last, mean at the end, range."""
  start = f'{label}: from' if label else 'From'
  text = f'{start} {number(y[0])} (step {x[0]}) to {number(y[-1])}'
  text += f' (step {x[-1]}'
  if window > 1:
    text += f'; last {window} steps {number(smooth[-1])}'
  return f'{text}), between {number(y.min())} and {number(y.max())}.'


def _evaluation_line(
  score: evaluations.Evaluation, label: str, series: int
) -> Line:
  """pass@1 with its band."""
  ends = ((score.steps[0], score.score[0]), (score.steps[-1], score.score[-1]))
  words = [
    f'{s.mean:.3f} at step {step} ({s.low:.3f} to {s.high:.3f})'
    for step, s in dict(ends).items()
  ]
  return Line(
    label=label,
    series=series,
    x=np.array(score.steps),
    y=np.array([s.mean for s in score.score]),
    words=f'{label}: {", ".join(words)}.' if label else f'{", ".join(words)}.',
    low=np.array([s.low for s in score.score]),
    high=np.array([s.high for s in score.score]),
  )
