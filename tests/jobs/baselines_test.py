# SPDX-License-Identifier: Apache-2.0
"""Baselines that change the loop run, and resume to the same bits."""

import collections
import signal

import numpy as np
import pyarrow.parquet as pq
import pytest

MATHS = {
  'STEPS': 2,
  'stage1/Stage.heldout': "('embedded_math/test',)",
}
# A loss and a rule of history in each run. dapo, with dynamic_sampling in it,
# and mopps are in the second test; those that only bind other prompts or no
# filter are in tests/gin_test.py.
TOGETHER = ['dr_grpo greso', 'gspo dps', 'cispo review', 'threshold']


@pytest.mark.parametrize('names', TOGETHER)
def test_three_steps(tiny, metrics, tmp_path, names):
  # Epochs of two steps, so that filters and selections have a past.
  given = {**MATHS, 'STEPS': 3, 'PROMPTS_PER_STEP': 17}
  given = given | {'GROUP_SIZE': 2, 'CHECKPOINT_EVERY': 9}
  files = ' '.join(f'baselines/{name}.gin' for name in names.split())
  done = tiny(f'stage1.gin {files}', tmp_path / 'run', **given)
  assert done.returncode == 0, done.stdout + done.stderr
  lines = metrics(tmp_path / 'run')
  assert len(lines) == 4
  assert all(np.isfinite(line['loss']) for line in lines[1:])


@pytest.fixture(scope='module')
def refilled(tiny, tmp_path_factory):
  """A run that refills and selects."""
  workdir = tmp_path_factory.mktemp('refilled') / 'run'
  given = {**MATHS, 'STEPS': 4, 'PROMPTS_PER_STEP': 4, 'CANDIDATES': 2}
  files = 'stage1.gin baselines/mopps.gin baselines/dapo.gin'
  return workdir, lambda w, killed=None: tiny(files, w, killed, **given)


def test_refill_is_counted_and_resumes(refilled, metrics, result, tmp_path):
  whole, start = refilled
  done = start(whole)
  assert done.returncode == 0, done.stdout + done.stderr
  lines = metrics(whole)[1:]
  assert sum(line['refill/rounds'] for line in lines) > 0
  for line in lines:
    path = whole / f'rollouts/step_{line["step"]:06d}.parquet'
    table = pq.read_table(path).to_pydict()
    # All that was played is there, and only what was not replaced taught.
    assert len(table['prompt']) == 4 * line['history/selected']
    assert sum(table['tokens']) == line['tokens/rollout']
    assert line['history/selected'] == 4 + line['refill/rollouts'] / 4
    assert set(collections.Counter(table['prompt']).values()) == {4}
    rows = zip(table['prompt'], table['advantage'], strict=True)
    assert len({prompt for prompt, advantage in rows if advantage}) <= 4
  for killed in ((2, 'before'), (3, 'after')):
    assert start(tmp_path / 'run', killed).returncode == -signal.SIGKILL
  assert start(tmp_path / 'run').returncode == 0
  assert result(tmp_path / 'run') == result(whole)
