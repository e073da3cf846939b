# SPDX-License-Identifier: Apache-2.0
"""Readers of a workdir: what the trainer wrote, and what a kill left."""

import json

import numpy as np
import pytest

from srpo_jax.core import config
from srpo_jax.study import read


def test_metrics_are_columns_with_nan_where_there_is_nothing(finished_run):
  columns = _metrics(finished_run)
  assert columns['step'].tolist() == list(range(61))
  passed = columns['eval/embedded_math/pass@1']
  assert np.flatnonzero(~np.isnan(passed)).tolist() == [0, 20, 40, 60]
  # Step 0 is only evaluated, and the loss of step 5 was null.
  assert np.flatnonzero(np.isnan(columns['loss'])).tolist() == [0, 5]


def test_half_a_last_line_is_left_out(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  path.write_text('{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.2')
  columns = _metrics(tmp_path)
  assert columns['step'].tolist() == [1]
  assert columns['loss'].tolist() == [0.5]


def test_damage_inside_names_the_line(tmp_path):
  (tmp_path / 'metrics.jsonl').write_text('{"step": 1}\nxx\n{"step": 2}\n')
  with pytest.raises(config.ConfigError, match=r'metrics\.jsonl, line 2'):
    read.read_lines(tmp_path)


def test_two_lines_of_a_step_are_merged_and_steps_are_ordered(tmp_path):
  rows = [{'step': 2, 'loss': 1}, {'step': 1}, {'step': 2, 'entropy': 3}]
  text = ''.join(json.dumps(row) + '\n' for row in rows)
  (tmp_path / 'metrics.jsonl').write_text(text)
  columns = _metrics(tmp_path)
  assert columns['step'].tolist() == [1, 2]
  assert (columns['loss'][1], columns['entropy'][1]) == (1, 3)


def test_run_has_macros_and_done(finished_run):
  run = read.read_run(finished_run, 'x')
  assert run.macros['SEED'] == '0'
  assert run.macros['HISTORY'] == '@keep_unsolved'
  assert 'run.job' not in run.macros
  assert run.done['fingerprint'] == 'f00d'
  assert run.steps[-1] == 60


def test_parquet_comes_back(finished_run):
  assert read.rollout_steps(finished_run) == list(range(1, 61))
  assert read.eval_steps(finished_run) == {'embedded_math': [0, 20, 40, 60]}
  columns = read.read_rollouts(finished_run, 7)
  assert columns['prompt'].dtype == np.uint64
  assert columns['ended'].dtype == bool
  assert columns['status'][3] == 'unavailable'
  assert np.flatnonzero(np.isnan(columns['accuracy'])).tolist() == [3]
  assert len(read.read_evals(finished_run, 'embedded_math', 20)['step']) == 480
  epochs = [
    (stage, epoch) for stage, epoch, _ in read.read_ledger(finished_run)
  ]
  assert len(epochs) > 4
  assert epochs == [(1, epoch + 1) for epoch in range(len(epochs))]


def test_epochs_are_ordered_as_numbers(new_run):
  workdir = new_run('long', steps=100)
  epochs = [epoch for _, epoch, _ in read.read_ledger(workdir)]
  assert len(epochs) > 10
  assert epochs == sorted(epochs)


def test_runs_of_one_folder_name_are_told_apart(tmp_path, new_run):
  first, second = new_run('a/run', steps=1), new_run('b/run', steps=1)
  names = [run.name for run in read.read_runs([first, second])]
  assert names == [str(first), str(second)]
  assert read.read_runs([first])[0].name == 'run'


def test_no_workdir_is_refused(tmp_path):
  with pytest.raises(config.ConfigError, match='no such folder'):
    read.read_runs([tmp_path / 'nothing'])
  (tmp_path / 'file').touch()
  with pytest.raises(config.ConfigError, match='no such folder'):
    read.read_runs([tmp_path / 'file'])
  with pytest.raises(config.ConfigError, match=r'neither metrics\.jsonl nor'):
    read.read_runs([tmp_path])


def test_texts_of_a_line_are_no_columns(tmp_path):
  lines = '{"step": 1, "stage": 2, "stage_name": "both"}\n{"step": 2}\n'
  (tmp_path / 'metrics.jsonl').write_text(lines)
  run = read.read_run(tmp_path, 'x')
  assert set(run.metrics) == {'step', 'stage'}
  assert run.stage_names == {2: 'both'}


def test_only_the_columns_asked_for_are_read(finished_run):
  path = read.rollout_path(finished_run, 7)
  columns = read.read_parquet(path, ('tokens', 'prompt', 'not_written_yet'))
  assert set(columns) == {'tokens', 'prompt'}
  assert read.rollout_count(finished_run, 7) == 128


def _metrics(workdir):
  return read.to_columns(read.read_lines(workdir))
