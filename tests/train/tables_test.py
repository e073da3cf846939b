# SPDX-License-Identifier: Apache-2.0
"""Parquet of a workdir: schemas, equal bytes, atomic writes, cutting back."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from srpo_jax.core import records
from srpo_jax.srpo import history
from srpo_jax.train import tables


def rollouts(step):
  """Two samples of a prompt whose id needs all 64 bits."""
  return {
    'step': [step, step],
    'stage': [1, 1],
    'epoch': [1, 1],
    'prompt': np.array([2**64 - 1, 2**63 + 5], np.uint64),
    'domain': ['math', 'math'],
    'sample': np.arange(2),
    'prompt_text': ['1 + 1?', '1 + 1?'],
    'response_text': ['<think></think> ½', 'no'],
    'tokens': np.array([7, 3], np.int64),
    'ended': np.array([True, False]),
    'status': np.array(['correct', 'sandbox_error']),
    'accuracy': np.array([1.0, np.nan]),
    'format': np.array([1.0, np.nan], np.float32),
    'language_mixing': np.array([0.0, np.nan]),
    'reward': np.array([1.5, np.nan]),
    'advantage': np.array([0.25, 0.0]),
  }


def evals(step):
  names = ('step', 'prompt', 'domain', 'sample', 'prompt_text')
  names += ('response_text', 'tokens', 'ended', 'status', 'accuracy')
  return {name: rollouts(step)[name] for name in names}


def ledger(*steps):
  """A row for each step, with one prompt right 3 times of 4."""
  n = len(steps)
  statuses = np.zeros((n, len(records.STATUSES)), np.int32)
  statuses[:, records.STATUSES.index('correct')] = 3
  statuses[:, records.STATUSES.index('wrong')] = 1
  return history.Ledger(
    prompt=np.full(n, 2**64 - 1, np.uint64),
    stage=np.ones(n, np.int32),
    epoch=np.full(n, 2, np.int32),
    step=np.array(steps, np.int32),
    judged=np.full(n, 4, np.int32),
    correct=np.full(n, 3, np.int32),
    length_mean=np.full(n, 12.5, np.float32),
    truncated=np.zeros(n, np.int32),
    statuses=statuses,
  )


def test_rollouts_keep_ids_texts_and_nulls(tmp_path):
  path = tables.write_rollouts(tmp_path, 12, rollouts(12))
  assert path == tmp_path / 'rollouts' / 'step_000012.parquet'
  table = pq.read_table(path)
  assert table.schema.equals(tables.ROLLOUTS)
  assert table['prompt'].to_pylist() == [2**64 - 1, 2**63 + 5]
  assert table['response_text'].to_pylist() == ['<think></think> ½', 'no']
  # Not judged is null, which no reader mistakes for wrong.
  assert table['accuracy'].to_pylist() == [1.0, None]
  assert table['advantage'].to_pylist() == [0.25, 0.0]


def test_equal_columns_give_equal_bytes(tmp_path):
  first = tables.write_rollouts(tmp_path / 'a', 3, rollouts(3))
  # The same values in other containers, their keys in another order.
  other = dict(reversed(rollouts(3).items()))
  other['tokens'] = [7, 3]
  other['prompt'] = [int(x) for x in other['prompt']]
  second = tables.write_rollouts(tmp_path / 'b', 3, other)
  assert first.read_bytes() == second.read_bytes()


def test_columns_are_checked(tmp_path):
  extra = {**rollouts(1), 'rewrad': [0, 0]}
  with pytest.raises(ValueError, match=r'unknown columns .*rewrad'):
    tables.write_rollouts(tmp_path, 1, extra)
  short = {**rollouts(1), 'sample': [0]}
  with pytest.raises(ValueError, match=r"different lengths.*'sample': 1"):
    tables.write_rollouts(tmp_path, 1, short)
  missing = rollouts(1)
  del missing['status']
  with pytest.raises(ValueError, match=r'missing columns .*status'):
    tables.write_rollouts(tmp_path, 1, missing)
  with pytest.raises(ValueError, match='column sample: not int32'):
    tables.write_rollouts(tmp_path, 1, {**rollouts(1), 'sample': ['a', 'b']})
  assert not list(tmp_path.rglob('*.parquet'))


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
  path = tables.write_rollouts(tmp_path, 1, rollouts(1))
  before = path.read_bytes()

  def half(table, file, **_):
    file.write(b'PAR1 half')
    raise OSError('disk full')

  monkeypatch.setattr(tables.pq, 'write_table', half)
  with pytest.raises(OSError, match='disk full'):
    tables.write_rollouts(tmp_path, 1, rollouts(1))
  assert path.read_bytes() == before
  # What the failed write left goes with the next resume.
  assert list(tmp_path.rglob('*.tmp'))
  tables.cut_back(tmp_path, 1)
  assert not list(tmp_path.rglob('*.tmp'))
  assert path.exists()


def test_evals_carry_the_level_where_known(tmp_path):
  path = tables.write_evals(tmp_path, 'embedded_math', 0, evals(0))
  assert path == tmp_path / 'evals' / 'embedded_math_step_000000.parquet'
  assert pq.read_table(path).schema.equals(tables.EVALS)
  columns = {**evals(0), 'level': ['gcd', 'gcd']}
  path = tables.write_evals(tmp_path, 'embedded_math', 0, columns)
  assert pq.read_table(path)['level'].to_pylist() == ['gcd', 'gcd']
  with pytest.raises(ValueError, match="set name 'a/b'"):
    tables.write_evals(tmp_path, 'a/b', 0, evals(0))


def test_ledger_holds_the_rows_of_an_epoch(tmp_path):
  stays_n = np.array([True, False])
  path = tables.write_ledger(tmp_path, 1, 2, ledger(7, 8), stays_n)
  assert path == tmp_path / 'ledger' / 'epoch_1_2.parquet'
  table = pq.read_table(path)
  assert table.schema.equals(tables.LEDGER)
  assert table['step'].to_pylist() == [7, 8]
  assert table['prompt'].to_pylist() == [2**64 - 1] * 2
  assert json.loads(table['statuses'][0].as_py()) == {'correct': 3, 'wrong': 1}
  assert table['kept'].to_pylist() == [True, False]
  # A later write takes its place; what is not known is null.
  tables.write_ledger(tmp_path, 1, 2, ledger(7))
  assert pq.read_table(path)['kept'].to_pylist() == [None]
  tables.write_ledger(tmp_path, 1, 2, ledger())
  assert len(pq.read_table(path)) == 0


def test_cut_back_deletes_what_came_later(tmp_path):
  for step in (11, 12, 13):
    tables.write_rollouts(tmp_path, step, rollouts(step))
  for step in (0, 12, 20):
    tables.write_evals(tmp_path, 'set_step_7', step, evals(step))
  tables.write_ledger(tmp_path, 1, 1, ledger(1, 12))
  tables.write_ledger(tmp_path, 1, 2, ledger(12, 13))
  tables.write_ledger(tmp_path, 1, 3, ledger())
  deleted = tables.cut_back(tmp_path, 12)
  names = {path.name for path in tmp_path.rglob('*.parquet')}
  assert names == {
    'step_000011.parquet',
    'step_000012.parquet',
    'set_step_7_step_000000.parquet',
    'set_step_7_step_000012.parquet',
    'epoch_1_1.parquet',
    'epoch_1_3.parquet',
  }
  assert len(deleted) == 3
  # A folder in which nothing was written yet is fine.
  assert tables.cut_back(tmp_path / 'new', 0) == []
