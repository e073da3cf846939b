# SPDX-License-Identifier: Apache-2.0
"""What a person sees while a run trains.

On a terminal a panel that redraws itself; elsewhere (a log file, a notebook's
output, CI) one aligned line every few steps, without escape codes. The loop
gives it the numbers of a step as they went to metrics.jsonl.
"""

import collections
import itertools
import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping

import rich.box
import rich.console
import rich.live
import rich.panel
import rich.progress_bar
import rich.table
import rich.text

# The time left comes from this many steps: evaluations and checkpoints are
# averaged in, and a change of length shows soon.
WINDOW = 20
SPARKS = '▁▂▃▄▅▆▇█'
# Plain lines repeat their header this often.
HEADER_EVERY = 25
_LINE = '{:>11} {:>5} {:>5} {:>7} {:>9} {:>6} {:>6} {:>7} {:>7} {:>8} {:>7}'
_HEADER = (
  'step',
  'stage',
  'epoch',
  'reward',
  'accuracy',
  'effect',
  'kept',
  'length',
  'tok/s',
  'left',
  'eval',
)


class Progress:
  """Shows a run's progress: `with Progress(200, 'stage1') as progress`.

  Args:
    total_steps: the step at which the run ends.
    title: what runs, such as the job and the workdir.
    first_step: the step a resumed run starts from.
    every: a plain line each so many steps; None for about 100 lines a run.
    console: where to draw; None for standard output.
    clock: seconds from any origin, for tests.
  """

  def __init__(
    self,
    total_steps: int,
    title: str,
    *,
    first_step: int = 0,
    every: int | None = None,
    console: rich.console.Console | None = None,
    clock: Callable[[], float] = time.monotonic,
  ):
    # FORCE_COLOR, which a notebook sets, makes no terminal.
    self._console = console or rich.console.Console(
      highlight=False, force_terminal=sys.stdout.isatty()
    )
    self._total_steps = total_steps
    self._title = title
    self._first_step = first_step
    self._step = first_step
    self._every = every or max(1, total_steps // 100)
    self._clock = clock
    self._start = clock()
    self._marks = collections.deque(maxlen=WINDOW + 1)
    self._metrics: dict[str, float] = {}
    self._stage_name = ''
    self._rewards: list[float] = []
    self._evals: dict[str, list[float]] = {}
    self._lines = 0
    self._live = None

  def __enter__(self) -> 'Progress':
    if self._console.is_terminal:
      self._live = rich.live.Live(
        console=self._console,
        get_renderable=self.panel,
        refresh_per_second=4,
      )
      self._live.start()
    else:
      self._print(self._title)
    return self

  def __exit__(self, *_) -> None:
    if self._live is not None:
      self._live.stop()
    self._live = None

  def expect(self, total_steps: int) -> None:
    """Corrects the step at which the run ends: a stage ended early."""
    self._total_steps = total_steps

  def step(self, metrics: Mapping[str, float | str]) -> None:
    """Takes the numbers of a finished step and shows them."""
    self._step = int(metrics['step'])
    if self._step > self._first_step:
      # The first step compiles, and would spoil the average: its end is the
      # first mark. The evaluation before it is none.
      self._marks.append((self._step, self._clock()))
    self._stage_name = metrics.get('stage_name', self._stage_name)
    self._metrics = {
      name: _number(value)
      for name, value in metrics.items()
      if name != 'stage_name'
    }
    if 'reward/mean' in self._metrics:
      self._rewards.append(self._metrics['reward/mean'])
    evaluated = self._take_evals()
    if self._live is None and (
      evaluated
      or self._step % self._every == 0
      or self._step >= self._total_steps
    ):
      self._print_line(evaluated)

  def say(self, line: str) -> None:
    """Prints a line of text above the panel, or among the plain lines."""
    self._print(line)

  def seconds_left(self) -> float:
    """Expected seconds to the last step; NaN before two steps are done."""
    if len(self._marks) < 2:
      return math.nan
    (step_0, time_0), (step_1, time_1) = self._marks[0], self._marks[-1]
    a_step = (time_1 - time_0) / max(step_1 - step_0, 1)
    return a_step * max(self._total_steps - self._step, 0)

  def panel(self) -> rich.panel.Panel:
    """The display on a terminal, in the state of this moment."""
    rows = rich.console.Group(self._bar(), '', self._numbers(), *self._tail())
    return rich.panel.Panel(
      rows,
      title=rich.text.Text(self._title),
      title_align='left',
      box=rich.box.ROUNDED,
      border_style='dim',
      width=min(100, self._console.width),
    )

  def _take_evals(self) -> bool:
    """Keeps held-out results; True if the step has one."""
    names = [name for name in self._metrics if name.endswith('/pass@1')]
    for name in names:
      set_name = name.split('/')[1]
      self._evals.setdefault(set_name, []).append(self._metrics[name])
    return bool(names)

  def _bar(self) -> rich.table.Table:
    """Progress bar, steps, time spent and time left."""
    grid = rich.table.Table.grid(expand=True, padding=(0, 1))
    grid.add_column(ratio=1)
    grid.add_column(justify='right', no_wrap=True)
    spent = clock_text(self._clock() - self._start)
    left = clock_text(self.seconds_left())
    bar = rich.progress_bar.ProgressBar(
      total=max(self._total_steps, 1), completed=self._step
    )
    steps = f'step {self._step}/{self._total_steps}'
    grid.add_row(bar, f'[b]{steps}[/b]  {spent} spent, {left} left')
    return grid

  def _numbers(self) -> rich.table.Table:
    """The step's numbers, three pairs of name and value in a row."""
    grid = rich.table.Table.grid(padding=(0, 2, 0, 0))
    for _ in range(3):
      grid.add_column(style='dim', no_wrap=True)
      grid.add_column(justify='right', no_wrap=True, min_width=9)
    cells = [cell for pair in self._pairs() for cell in pair]
    for start in range(0, len(cells), 6):
      grid.add_row(*cells[start : start + 6])
    return grid

  def _pairs(self) -> Iterable[tuple[str, str]]:
    """Names and values in reading order."""
    get = self._get
    stage = count_text(get('stage'))
    yield 'stage', f'{stage} {self._stage_name}'.rstrip()
    yield 'epoch', count_text(get('epoch'))
    yield 'prompts kept', count_text(get('history/kept'))
    yield 'reward', decimal_text(get('reward/mean'), 3)
    yield 'accuracy', self._accuracy()
    yield 'effective groups', percent_text(get('groups/effective'))
    yield 'length', decimal_text(get('response_length/mean'), 1)
    yield 'truncated', percent_text(get('truncated/share'))
    yield 'tokens/s', count_text(get('speed/rollout_tokens_per_s'))

  def _tail(self) -> list[rich.text.Text]:
    """The curve of the reward and the held-out results, once there are."""
    rows = []
    if len(self._rewards) > 1 and self._console.encoding.startswith('utf'):
      curve = sparkline(self._rewards, min(60, self._console.width - 22))
      rows += ['', rich.text.Text.assemble(('reward so far  ', 'dim'), curve)]
    for set_name, values in self._evals.items():
      text = f'{values[-1]:.3f}'
      if len(values) > 1:
        text = f'{values[0]:.3f} at first, {values[-1]:.3f} last'
      label = (f'pass@1 on {set_name}  ', 'dim')
      rows.append(rich.text.Text.assemble(label, text))
    return rows

  def _print_line(self, evaluated: bool) -> None:
    """One plain line; at its end what was evaluated."""
    if self._lines % HEADER_EVERY == 0:
      self._print(_LINE.format(*_HEADER))
    self._lines += 1
    get = self._get
    self._print(
      _LINE.format(
        f'{self._step}/{self._total_steps}',
        count_text(get('stage')),
        count_text(get('epoch')),
        decimal_text(get('reward/mean'), 3),
        self._accuracy(),
        percent_text(get('groups/effective')),
        count_text(get('history/kept')),
        decimal_text(get('response_length/mean'), 1),
        count_text(get('speed/rollout_tokens_per_s')),
        clock_text(self.seconds_left()),
        self._evaluated() if evaluated else '',
      ).rstrip()
    )

  def _evaluated(self) -> str:
    """pass@1 last: 0.412, or of several sets 'code 0.31 math 0.412'."""
    last = [
      (name.removeprefix('embedded_'), decimal_text(values[-1], 3))
      for name, values in self._evals.items()
    ]
    if len(last) == 1:
      return last[0][1]
    return ' '.join(f'{name} {value}' for name, value in last)

  def _print(self, line: str) -> None:
    """Text as it is: no markup, no wrapping."""
    self._console.print(
      line, markup=False, highlight=False, soft_wrap=True, emoji=False
    )

  def _get(self, name: str) -> float:
    return self._metrics.get(name, math.nan)

  def _accuracy(self) -> str:
    """Accuracy of each domain, mathematics first: 0.62 or 0.62/0.31."""
    found = [self._get(f'accuracy/{domain}') for domain in ('math', 'code')]
    texts = [decimal_text(x, 2) for x in found if not math.isnan(x)]
    return '/'.join(texts) or '-'


def clock_text(seconds: float) -> str:
  """Seconds as 4:05 or 1:02:03; '-' where unknown."""
  if not math.isfinite(seconds):
    return '-'
  minutes, rest = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  if hours:
    return f'{hours}:{minutes:02d}:{rest:02d}'
  return f'{minutes}:{rest:02d}'


def count_text(value: float) -> str:
  """A count in at most five characters: 812, 1204, 12.3k, 4.5M; or '-'."""
  if not math.isfinite(value):
    return '-'
  for unit, size in (('M', 1e6), ('k', 1e3)):
    # Up to 9999 all digits fit.
    if value >= size and value >= 1e4:
      scaled = value / size
      return f'{scaled:.0f}{unit}' if scaled >= 100 else f'{scaled:.1f}{unit}'
  return f'{value:.0f}'


def decimal_text(value: float, digits: int) -> str:
  """A number with so many digits after the point; '-' where unknown."""
  return f'{value:.{digits}f}' if math.isfinite(value) else '-'


def percent_text(share: float) -> str:
  """A share in [0, 1] as a percentage; '-' where unknown."""
  return f'{share:.0%}' if math.isfinite(share) else '-'


def sparkline(values: list[float], width: int) -> str:
  """The values as a row of bars; more than `width` are averaged in blocks."""
  values = [value for value in values if math.isfinite(value)]
  count = min(len(values), width)
  edges = [len(values) * i // max(count, 1) for i in range(count + 1)]
  means = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
  low, high = min(means, default=0), max(means, default=0)
  scale = (len(SPARKS) - 1) / (high - low) if high > low else 0
  return ''.join(SPARKS[round((mean - low) * scale)] for mean in means)


def _number(value: float | None) -> float:
  """A Python float of a scalar on the host or the device."""
  return math.nan if value is None else float(value)
