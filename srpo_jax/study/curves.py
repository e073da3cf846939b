# SPDX-License-Identifier: Apache-2.0
"""The plots of one run; what a figure says in words is made here.

Between reading and drawing; `specs` says which numbers are drawn.
"""

import dataclasses

import numpy as np

from srpo_jax.study import evaluations, plots, read, specs
from srpo_jax.study.plots import Line, Plot, Switch, number, place
from srpo_jax.study.specs import Spec


def training_plots(run: read.Run) -> list[Plot]:
  """The curves of training that there are numbers for."""
  found = [
    _plot(run, spec)
    for spec in (*specs.TRAINING, specs.verdicts(verdict_means([run])))
    if happened([run], spec)
  ]
  found = [plot for plot in found if plot.lines]
  # A run without rollouts, such as pre-training, has its loss.
  others = [] if found else [_plot(run, specs.LOSS)]
  return found + [plot for plot in others if plot.lines]


def happened(runs: list[read.Run], spec: Spec) -> bool:
  """False for what is seldom and is 0 in all steps of all runs."""
  if not spec.seldom:
    return True
  return any(known(run, x)[1].any() for run in runs for x in spec.names)


def verdict_means(runs: list[read.Run], seldom: float = 0) -> dict[str, float]:
  """Mean share of each verdict status, the largest of the runs.

  A status that passes the share `seldom` in no step is left out.
  """
  means = {}
  for run in runs:
    for name in run.metrics:
      _, y = known(run, name)
      if name.startswith('verdict/') and len(y) and y.max() > seldom:
        means[name] = max(means.get(name, 0), float(y.mean()))
  return means


def response_plots(run: read.Run) -> list[Plot]:
  """Reflection, code in mathematics answers, and their lengths."""
  plots_ = [_plot(run, spec) for spec in specs.RESPONSES]
  return [plot for plot in plots_ if plot.lines]


def evaluation_plots(
  run: read.Run, scores: list[evaluations.Evaluation]
) -> list[Plot]:
  """Held-out pass@1 and response length over the steps, for each set."""
  found = []
  for score in scores:
    title = f'Held-out pass@1: {score.set_name}'
    plot = Plot(
      title,
      'share correct',
      (_evaluation_line(score),),
      share=True,
      note='Band: 95% interval over problems.',
      switches=switches(run),
      name=plots.file_name(title),
      metrics=(f'eval/{score.set_name}/pass@1',),
    )
    length = Spec(
      f'Held-out response length: {score.set_name}',
      'tokens',
      {f'eval/{score.set_name}/response_length': ''},
      exact=True,
    )
    found += [plot, _plot(run, length)]
  return [plot for plot in found if plot.lines]


def known(
  run: read.Run, name: str, along: str = 'step'
) -> tuple[np.ndarray, np.ndarray]:
  """Places and values of a metric, where it has a value."""
  values = run.metrics.get(name, np.full(len(run.steps), np.nan))
  there = ~np.isnan(values)
  if not there.any():
    return np.zeros(0), np.zeros(0)
  x = run.steps if along == 'step' else run.metrics[along]
  return x[there], values[there]


def smoothed(run: read.Run, name: str, window: int) -> np.ndarray:
  """The moving mean of a metric's known values; each stage begins anew.

  A mean over the switch would draw a slope where there is a step.
  """
  values = run.metrics.get(name, np.zeros(0))
  there = ~np.isnan(values)
  stage = run.metrics.get('stage', np.zeros(len(values)))[there]
  starts = np.flatnonzero(np.diff(stage) != 0) + 1
  parts = [
    plots.moving_mean(part, window) for part in np.split(values[there], starts)
  ]
  return np.concatenate(parts)


def epoch_starts(run: read.Run) -> tuple[int, ...]:
  """Steps at which a later epoch begins, without those of a later stage."""
  # A later stage begins with epoch 1 again.
  epoch = run.metrics.get('epoch', run.steps * 0)
  changed = np.diff(epoch) > 0
  return tuple(int(step) for step in run.steps[1:][changed])


def switches(run: read.Run, along: str = 'step') -> tuple[Switch, ...]:
  """Where later stages begin: the end of the last step of the one before.

  Over steps it is the first step of the new stage.
  """
  stage = run.metrics.get('stage', np.zeros(0))
  rows = np.flatnonzero(np.diff(stage) > 0) + 1
  if not len(rows):
    return ()
  x = run.steps[rows] if along == 'step' else run.metrics[along][rows - 1]
  return tuple(
    Switch(float(at), stage_name(run, int(stage[row])))
    for at, row in zip(x, rows, strict=True)
  )


def stage_name(run: read.Run, stage: int) -> str:
  """What the run calls a stage, 'stage 2' if it does not say."""
  return run.stage_names.get(stage, f'stage {stage}')


def _plot(run: read.Run, spec: Spec) -> Plot:
  """One plot of one run; a colour is a metric."""
  window = window_for([run], spec)
  lines = _lines(run, spec.names, window)
  lines = lines or _lines(run, spec.instead, window)
  title = spec.title
  if len(lines) == 1 and lines[0].label:
    # The title says it once for all.
    title = f'{title}: {lines[0].label}'
    lines = [dataclasses.replace(lines[0], label='')]
  return Plot(
    title=title,
    unit=spec.unit,
    lines=tuple(lines),
    share=spec.share,
    stepped=spec.stepped,
    marks=epoch_starts(run),
    note=_note(window, lines),
    switches=switches(run),
    name=plots.file_name(spec.title),
    metrics=tuple(
      x for x in (*spec.names, *spec.instead) if len(known(run, x)[1])
    ),
  )


def window_for(runs: list[read.Run], spec: Spec) -> int:
  """Values a mean is taken over: one for all lines of the figure.

  Lines of different smoothness cannot be compared.
  """
  if spec.exact:
    return 1
  names = (*spec.names, *spec.instead)
  counts = [len(known(run, name)[1]) for run in runs for name in names]
  return plots.window_for(max(counts, default=0))


def _lines(run: read.Run, names: dict[str, str], window: int) -> list[Line]:
  """The lines of the metrics that the run has, a colour each."""
  found = [_line(run, name, label, window) for name, label in names.items()]
  there = [line for line in found if line is not None]
  return [
    dataclasses.replace(line, series=series)
    for series, line in enumerate(there)
  ]


def _note(window: int, lines: list[Line]) -> str:
  """How the lines were made."""
  if window == 1 or not any(len(line.faint_x) for line in lines):
    return ''
  return f'Dots: single steps. Line: mean of the last {window} values.'


def _line(run: read.Run, name: str, label: str, window: int) -> Line | None:
  """A metric over the steps, smoothed over faint single steps."""
  x, y = known(run, name)
  if not len(x):
    return None
  smooth = smoothed(run, name, window)
  at = plots.thin(x)
  faint = at if window > 1 else at[:0]
  return Line(
    label=label,
    series=0,
    x=x[at],
    y=smooth[at],
    words=line_words(label, x, y, smooth, window),
    faint_x=x[faint],
    faint_y=y[faint],
  )


def line_words(
  label: str,
  x: np.ndarray,
  y: np.ndarray,
  smooth: np.ndarray,
  window: int,
  unit: str = 'steps',
) -> str:
  """The numbers of a line: first, last, mean at the end, range."""
  start = f'{label}: from' if label else 'From'
  text = f'{start} {number(y[0])} ({place(x[0], unit)}) to {number(y[-1])}'
  text += f' ({place(x[-1], unit)}'
  if window > 1:
    text += f'; mean of the last {window} values {number(smooth[-1])}'
  return f'{text}), between {number(y.min())} and {number(y.max())}.'


def _evaluation_line(score: evaluations.Evaluation) -> Line:
  """pass@1 with its band."""
  ends = ((score.steps[0], score.score[0]), (score.steps[-1], score.score[-1]))
  words = [
    f'{s.mean:.3f} at step {step} ({s.low:.3f} to {s.high:.3f})'
    for step, s in dict(ends).items()
  ]
  return Line(
    label='',
    series=0,
    x=np.array(score.steps),
    y=np.array([s.mean for s in score.score]),
    words=f'{", ".join(words)}.',
    low=np.array([s.low for s in score.score]),
    high=np.array([s.high for s in score.score]),
  )
