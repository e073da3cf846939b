# SPDX-License-Identifier: Apache-2.0
"""Lines of the plots: smoothing, thinning, colours, words."""

import numpy as np
import pytest

from srpo_jax.study import curves, evaluations, read


def test_moving_mean_looks_back_only():
  values = np.array([2.0, 4, 6, 8])
  # The last two: 2 alone, 2 with 4, 4 with 6, 6 with 8.
  assert curves.moving_mean(values, 2).tolist() == [2, 3, 5, 7]
  assert curves.moving_mean(values, 9).tolist() == [2, 3, 4, 5]
  assert curves.moving_mean(values, 1).tolist() == values.tolist()


def test_thin_keeps_the_ends():
  index = curves.thin(np.zeros(10_000), 500)
  assert len(index) == 500
  assert (index[0], index[-1]) == (0, 9_999)
  assert curves.thin(np.zeros(3), 500).tolist() == [0, 1, 2]


def test_numbers_in_words():
  texts = [curves.number(x) for x in (0.1234, 1, 12.34, 1234, 1e-6, np.nan)]
  assert texts == ['0.123', '1', '12.3', '1234', '1e-06', '–']


def test_one_run_has_the_figures_of_the_paper(finished_run):
  plots = {x.title: x for x in curves.training_plots([_run(finished_run)])}
  assert set(plots) >= {'Reward', 'Response length', 'Groups', 'Prompts kept'}
  groups = plots['Groups']
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


def test_prompts_kept_are_neither_smoothed_nor_sloped(finished_run):
  run = _run(finished_run)
  (kept,) = [
    x for x in curves.training_plots([run]) if x.title == 'Prompts kept'
  ]
  assert kept.stepped
  (line,) = kept.lines
  assert set(line.y) <= set(run.metrics['history/kept'])
  assert len(line.faint_x) == 0


def test_smooth_line_over_single_steps(finished_run):
  run = _run(finished_run)
  reward = curves.training_plots([run])[0]
  (line,) = reward.lines
  # 61 lines: a mean of the last 3.
  assert reward.note == 'Dots: single steps. Line: mean of the last 3 steps.'
  raw = run.metrics['reward/mean'][1:]
  assert line.faint_y.tolist() == raw.tolist()
  assert line.y[-1] == pytest.approx(raw[-3:].mean())
  assert f'last 3 steps {line.y[-1]:.3f}' in line.words
  assert f'From {raw[0]:.3f} (step 1)' in line.words


def test_several_runs_have_a_colour_each(finished_run, new_run):
  runs = read.read_runs([finished_run, new_run('other', seed=1, steps=30)])
  plots = {x.title: x for x in curves.training_plots(runs)}
  assert 'Groups' not in plots
  effective = plots['Groups: effective']
  assert [line.label for line in effective.lines] == ['quickstart', 'other']
  assert [line.series for line in effective.lines] == [0, 1]
  assert effective.marks == ()
  found = [evaluations.evaluations(run) for run in runs]
  (held,) = curves.evaluation_plots(runs, found)
  assert [line.label for line in held.lines] == ['quickstart', 'other']
  assert [line.x[-1] for line in held.lines] == [60, 20]


def test_a_run_without_a_metric_keeps_the_colours_of_the_others(tmp_path):
  for name, metric in (('a', 'loss'), ('b', 'reward/mean')):
    (tmp_path / name).mkdir()
    line = f'{{"step": 1, "{metric}": 0.5}}\n'
    (tmp_path / name / 'metrics.jsonl').write_text(line)
  runs = read.read_runs([tmp_path / 'a', tmp_path / 'b'])
  (reward,) = curves.training_plots(runs)
  assert [(x.label, x.series) for x in reward.lines] == [('b', 1)]


def test_pre_training_has_its_loss(tmp_path):
  lines = '{"step": 50, "loss": 2.0}\n{"step": 100, "loss": 1.5}\n'
  (tmp_path / 'metrics.jsonl').write_text(lines)
  (plot,) = curves.training_plots([_run(tmp_path)])
  assert plot.title == 'Loss'
  assert plot.lines[0].y.tolist() == [2.0, 1.5]


def _run(path):
  return read.read_run(path, 'x')
