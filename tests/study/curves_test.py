# SPDX-License-Identifier: Apache-2.0
"""Lines of the plots: smoothing, thinning, colours, words."""

import numpy as np
import pytest

from srpo_jax.study import curves, derived, evaluations, plots, read


def test_moving_mean_looks_back_only():
  values = np.array([2.0, 4, 6, 8])
  # The last two: 2 alone, 2 with 4, 4 with 6, 6 with 8.
  assert plots.moving_mean(values, 2).tolist() == [2, 3, 5, 7]
  assert plots.moving_mean(values, 9).tolist() == [2, 3, 4, 5]
  assert plots.moving_mean(values, 1).tolist() == values.tolist()


def test_thin_keeps_the_ends():
  index = plots.thin(np.zeros(10_000), 500)
  assert len(index) == 500
  assert (index[0], index[-1]) == (0, 9_999)
  assert plots.thin(np.zeros(3), 500).tolist() == [0, 1, 2]


def test_numbers_in_words():
  texts = [plots.number(x) for x in (0.1234, 1, 12.34, 1234, 1e-6, np.nan)]
  assert texts == ['0.123', '1', '12.3', '1234', '1e-06', '–']


def test_one_run_has_the_figures_of_the_paper(finished_run):
  found = {x.title: x for x in curves.training_plots(_run(finished_run))}
  assert set(found) == {
    'Reward',
    'Accuracy in training: math',
    'Response length: math',
    'Groups',
    'Prompts kept',
    'Tokens spent',
    'Verdicts',
  }
  groups = found['Groups']
  labels = ['effective', 'all correct', 'all wrong']
  assert [line.label for line in groups.lines] == labels
  assert [line.series for line in groups.lines] == [0, 1, 2]
  assert groups.share
  # 160 prompts, 16 a step: the second epoch begins at step 11.
  assert groups.marks[0] == 11
  epoch = _run(finished_run).metrics['epoch']
  assert [epoch[step] - epoch[step - 1] for step in groups.marks] == [1] * int(
    epoch[-1] - 1
  )


def test_verdicts_that_occur_the_most_frequent_first(finished_run):
  found = {x.title: x for x in curves.training_plots(_run(finished_run))}
  labels = [line.label for line in found['Verdicts'].lines]
  assert labels == ['correct', 'wrong', 'no answer', 'unavailable']


def test_a_stage_is_marked_and_its_means_begin_anew(two_stages):
  run = _run(two_stages)
  found = curves.training_plots(run)
  (score,) = evaluations.evaluations(run)
  found += curves.evaluation_plots(run, [score]) + curves.response_plots(run)
  assert len(found) == 13
  for plot in found:
    assert plot.switches == (plots.Switch(25.0, 'stage 2'),), plot.title
    assert 'stage 2 begins at step 25.' in plots.describe(plot)
    assert 25 not in plot.marks
  accuracy = next(x for x in found if x.title == 'Accuracy in training')
  assert [line.label for line in accuracy.lines] == ['math', 'code']
  math, code = accuracy.lines
  raw = run.metrics['accuracy/math']
  # Steps 25 and 26: the mean of the last two is of the new stage alone.
  assert math.y[24] == raw[25]
  assert math.y[25] == pytest.approx((raw[25] + raw[26]) / 2)
  assert code.x[0] == 25


def test_a_stage_has_the_name_that_the_run_wrote(tmp_path):
  lines = '{"step": 1, "stage": 1, "stage_name": "maths", "loss": 1}\n'
  lines += '{"step": 2, "stage": 2, "stage_name": "both", "loss": 1}\n'
  (tmp_path / 'metrics.jsonl').write_text(lines)
  assert curves.switches(_run(tmp_path)) == (plots.Switch(2.0, 'both'),)


def test_a_run_without_lengths_by_domain_has_the_mean(tmp_path):
  lines = '{"step": 1, "response_length/mean": 7}\n'
  (tmp_path / 'metrics.jsonl').write_text(lines)
  (plot,) = curves.training_plots(_run(tmp_path))
  assert plot.title == 'Response length'
  assert plot.lines[0].y.tolist() == [7]


def test_prompts_kept_are_neither_smoothed_nor_sloped(finished_run):
  run = _run(finished_run)
  (kept,) = [x for x in curves.training_plots(run) if x.title == 'Prompts kept']
  assert kept.stepped
  (line,) = kept.lines
  assert set(line.y) <= set(run.metrics['history/kept'])
  assert len(line.faint_x) == 0


def test_smooth_line_over_single_steps(finished_run):
  run = _run(finished_run)
  reward = curves.training_plots(run)[0]
  (line,) = reward.lines
  # 61 lines: a mean of the last 3.
  assert reward.note == 'Dots: single steps. Line: mean of the last 3 values.'
  raw = run.metrics['reward/mean'][1:]
  assert line.faint_y.tolist() == raw.tolist()
  assert line.y[-1] == pytest.approx(raw[-3:].mean())
  assert f'last 3 values {line.y[-1]:.3f}' in line.words
  assert f'From {raw[0]:.3f} (step 1)' in line.words


def test_a_refill_is_shown_where_there_was_one(tmp_path):
  lines = '{"step": 1, "reward/mean": 1, "refill/rollouts": 0}\n'
  (tmp_path / 'metrics.jsonl').write_text(lines)
  assert [x.name for x in curves.training_plots(_run(tmp_path))] == ['reward']
  lines += '{"step": 2, "reward/mean": 1, "refill/rollouts": 8}\n'
  (tmp_path / 'metrics.jsonl').write_text(lines)
  assert curves.training_plots(_run(tmp_path))[1].title == 'Refill'


def test_pre_training_has_its_loss(tmp_path):
  lines = '{"step": 50, "loss": 2.0}\n{"step": 100, "loss": 1.5}\n'
  (tmp_path / 'metrics.jsonl').write_text(lines)
  (plot,) = curves.training_plots(_run(tmp_path))
  assert plot.title == 'Loss'
  assert plot.lines[0].y.tolist() == [2.0, 1.5]


def _run(path):
  return derived.enrich(read.read_run(path, 'x'))
