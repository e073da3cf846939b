# SPDX-License-Identifier: Apache-2.0
"""Both stages in one run: the switch, a kill at it, and one after the other.

The runs are as small as can be, in mathematics alone.
"""

import signal

import pyarrow.parquet as pq
import pytest

MATHS = "('embedded_math/train',)"
HELDOUT = "('embedded_math/test',)"
ONE = {'stage1/Stage.heldout': HELDOUT}
TWO = {'stage2/Stage.mixture': MATHS, 'stage2/Stage.heldout': HELDOUT}
# Stage 1 ends by its plateau: the first step that is no new best. The kept
# rewards decide when, so a resume that loses them ends it later.
FLAT = {
  'STEPS': 9,
  'STAGE2_STEPS': 3,
  'PLATEAU': '@Plateau()',
  'Plateau.window': 2,
  'Plateau.patience': 2,
  'Plateau.least': 0.05,
  'FRESH_OPTIMIZER': True,
}


@pytest.fixture(scope='module')
def switched(tiny, metrics, tmp_path_factory):
  """A run of both stages, and the step at which it switched."""
  workdir = tmp_path_factory.mktemp('switched') / 'run'
  done = tiny('srpo.gin', workdir, **ONE, **TWO, **FLAT)
  assert done.returncode == 0, done.stdout + done.stderr
  step = max(line['step'] for line in metrics(workdir) if line['stage'] == 1)
  return workdir, step, done.stdout


def test_the_switch_is_visible(switched, metrics):
  workdir, step, said = switched
  lines = metrics(workdir)
  assert 2 <= step < FLAT['STEPS']
  assert [line['stage'] for line in lines] == [1] * (step + 1) + [2] * 3
  names = [line['stage_name'] for line in lines]
  assert names == ['stage1'] * (step + 1) + ['stage2'] * 3
  assert f'step {step}: stage 1 (stage1) ends: plateau; stage 2 (sta' in said
  # The policy is measured at the end of each stage.
  evaluated = [l['step'] for l in lines if 'eval/embedded_math/pass@1' in l]
  assert evaluated == [0, step, step + 3]
  assert lines[step + 1]['epoch'] == 1
  assert (workdir / 'ledger' / 'epoch_1_1.parquet').exists()
  rollouts = pq.read_table(workdir / f'rollouts/step_{step + 1:06d}.parquet')
  assert set(rollouts['stage'].to_pylist()) == {2}


def test_killed_at_the_switch_it_ends_with_the_same_bits(
  switched, tiny, result, tmp_path
):
  whole, step, _ = switched
  workdir = tmp_path / 'run'
  # Before the line of the switching step, behind it (its checkpoint is still
  # to come), and when the first step of stage 2 is about to be told.
  for killed in ((step, 'before'), (step, 'after'), (step + 1, 'before')):
    died = tiny('srpo.gin', workdir, killed, **ONE, **TWO, **FLAT)
    assert died.returncode == -signal.SIGKILL, died.stdout + died.stderr
  last = tiny('srpo.gin', workdir, **ONE, **TWO, **FLAT)
  assert last.returncode == 0, last.stdout + last.stderr
  assert result(workdir) == result(whole)


def test_one_after_the_other_is_the_same_as_both_in_one(
  tiny, result, metrics, tmp_path
):
  one, two, both = (tmp_path / name for name in ('one', 'two', 'both'))
  runs = [
    tiny('stage1.gin', one, **ONE),
    tiny('stage2.gin', two, **TWO, INIT_FROM=one),
    tiny('srpo.gin', both, **ONE, **TWO),
  ]
  for done in runs:
    assert done.returncode == 0, done.stdout + done.stderr
  assert result(two)['fingerprint'] == result(both)['fingerprint']
  behind = [line | {'step': line['step'] + 4} for line in metrics(two)[1:]]
  assert behind == metrics(both)[5:]
  # What stage 1 asked is in the ledger, at steps before the first one.
  rows = pq.read_table(two / 'ledger' / 'epoch_1_1.parquet').to_pydict()
  assert min(rows['step']) == -3
  assert max(rows['step']) <= 0
  # Who was kept at its end is known, whichever of the two runs wrote it.
  last = max((both / 'ledger').glob('epoch_1_*.parquet'))
  kept = [pq.read_table(x / 'ledger' / last.name)['kept'] for x in (two, both)]
  assert kept[0].to_pylist() == kept[1].to_pylist()
  assert None not in kept[0].to_pylist()
