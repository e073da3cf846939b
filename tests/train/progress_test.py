# SPDX-License-Identifier: Apache-2.0
"""The progress display, drawn into a string with a clock of our own."""

import io
import math

import pytest
import rich.console

from srpo_jax.train import progress


class Clock:
  """Seconds that pass only when the test says so."""

  def __init__(self):
    self.now = 0.0

  def __call__(self):
    return self.now


def step_of(step):
  return {
    'step': step,
    'stage': 1,
    'epoch': 2,
    'reward/mean': 0.5 + step / 100,
    'accuracy/math': 0.62,
    'groups/effective': 0.71,
    'history/kept': 812,
    'response_length/mean': 43.21,
    'truncated/share': 0.03,
    'speed/rollout_tokens_per_s': 12345.0,
  }


def console(*, terminal):
  return rich.console.Console(
    file=io.StringIO(), width=100, force_terminal=terminal, _environ={}
  )


def drawn(shown):
  """The panel as text, without colours."""
  paper = rich.console.Console(
    file=io.StringIO(), width=100, record=True, _environ={}
  )
  paper.print(shown.panel())
  return paper.export_text()


def test_plain_lines_align_under_their_header():
  out = console(terminal=False)
  with progress.Progress(10, 'stage1 · runs/a', console=out) as shown:
    shown.say('prompts: 812 [math], 3 dropped')
    shown.step({**step_of(1), 'eval/embedded_math/pass@1': 0.412})
    shown.step(step_of(2))
  lines = out.file.getvalue().splitlines()
  assert lines == [
    'stage1 · runs/a',
    'prompts: 812 [math], 3 dropped',
    '       step stage epoch  reward  accuracy effect   kept  length   tok/s'
    '     left    eval',
    '       1/10     1     2   0.510      0.62    71%    812    43.2   12.3k'
    '        -   0.412',
    '       2/10     1     2   0.520      0.62    71%    812    43.2   12.3k'
    '     0:00',
  ]


def test_plain_lines_fit_105_columns_and_have_no_escape_codes():
  out = console(terminal=False)
  with progress.Progress(100_000, 'x', console=out, every=1) as shown:
    for step in range(99_000, 99_030):
      code = {'accuracy/code': 0.31, 'eval/embedded_math/pass@1': 0.5}
      shown.step({**step_of(step), **code, 'eval/embedded_code/pass@1': 0.25})
  text = out.file.getvalue()
  assert '\x1b' not in text
  assert '0.62/0.31' in text
  assert ' math 0.500 code 0.250' in text
  assert max(len(line) for line in text.splitlines()) <= 105
  # 30 lines: the header at the top and once more.
  assert text.count('accuracy') == 2


def test_few_lines_for_many_steps_but_always_the_last_and_the_evaluated():
  out = console(terminal=False)
  with progress.Progress(1005, 'x', console=out) as shown:
    for step in range(1, 26):
      shown.step(step_of(step))
    shown.step({**step_of(27), 'eval/a/pass@1': 0.5})
    shown.step(step_of(1005))
  lines = out.file.getvalue().splitlines()[2:]
  steps = [line.split('/')[0].strip() for line in lines]
  assert steps == ['10', '20', '27', '1005']


def test_time_left_is_a_moving_average_without_the_compiling_step():
  clock = Clock()
  shown = progress.Progress(
    100, 'x', console=console(terminal=False), clock=clock
  )
  clock.now = 10.0
  shown.step({'step': 0, 'eval/a/pass@1': 0.5})
  clock.now = 60.0
  shown.step(step_of(1))
  assert math.isnan(shown.seconds_left())
  clock.now += 2
  shown.step(step_of(2))
  # 98 steps of 2 s.
  assert shown.seconds_left() == pytest.approx(196)
  # Steps grow to 3 s; after WINDOW of them the earlier ones are forgotten.
  for step in range(3, 3 + progress.WINDOW):
    clock.now += 3
    shown.step(step_of(step))
  assert shown.seconds_left() == pytest.approx(3 * (100 - 22))


def test_a_resumed_run_counts_from_its_own_steps():
  clock = Clock()
  shown = progress.Progress(
    100, 'x', first_step=50, console=console(terminal=False), clock=clock
  )
  assert 'step 50/100' in drawn(shown)
  for step in (51, 52, 53):
    clock.now += 4
    shown.step(step_of(step))
  assert shown.seconds_left() == pytest.approx(4 * 47)


def test_panel_shows_the_run():
  clock = Clock()
  out = console(terminal=True)
  with progress.Progress(10, 'a [b] title', console=out, clock=clock) as shown:
    for step in range(1, 5):
      clock.now += 2
      evals = {'eval/embedded_math/pass@1': step / 10} if step != 3 else {}
      shown.step({**step_of(step), **evals})
    text = drawn(shown)
    shown.say('checkpoint [4] written')
  for wanted in (
    'a [b] title',
    'step 4/10  0:08 spent, 0:12 left',
    'prompts kept            812',
    'effective groups        71%',
    'accuracy        0.62',
    'reward so far  ▁▃▆█',
    'pass@1 on embedded_math  0.100 at first, 0.400 last',
  ):
    assert wanted in text, text
  assert 'checkpoint [4] written' in out.file.getvalue()


def test_a_stage_has_a_name_and_may_end_early():
  shown = progress.Progress(20, 'x', console=console(terminal=True))
  shown.step({**step_of(4), 'stage_name': 'stage1'})
  assert '1 stage1' in drawn(shown)
  shown.expect(15)
  shown.step({**step_of(5), 'stage': 2, 'stage_name': 'stage2'})
  assert '2 stage2' in drawn(shown)
  assert 'step 5/15' in drawn(shown)


def test_panel_before_the_first_step_and_without_numbers():
  shown = progress.Progress(10, 'x', console=console(terminal=True))
  assert 'step 0/10  0:00 spent, - left' in drawn(shown)
  shown.step({'step': 1, 'reward/mean': None})
  assert 'nan' not in drawn(shown)


def test_texts():
  assert progress.clock_text(59.6) == '1:00'
  assert progress.clock_text(3723) == '1:02:03'
  counts = {812: '812', 9999: '9999', 12345: '12.3k', 123456: '123k'}
  counts |= {4.5e6: '4.5M', math.nan: '-', 0: '0'}
  assert {x: progress.count_text(x) for x in counts} == counts
  assert progress.sparkline([0, 7, math.nan, 7], 10) == '▁██'
  # Blocks of two: 0.5, 2.5 of 0, 1, 2, 3.
  assert progress.sparkline([0, 1, 2, 3], 2) == '▁█'
  assert progress.sparkline([1, 1], 5) == '▁▁'
  assert progress.sparkline([], 5) == ''


def test_a_notebook_that_forces_colour_is_no_terminal(monkeypatch, capsys):
  monkeypatch.setenv('FORCE_COLOR', '1')
  with progress.Progress(2, 'x') as shown:
    shown.step(step_of(1))
  assert '\x1b' not in capsys.readouterr().out
