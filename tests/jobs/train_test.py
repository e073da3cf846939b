# SPDX-License-Identifier: Apache-2.0
"""The loop's own decisions, and that nothing compiles twice."""

import types

import jax
import numpy as np
import pytest

from srpo_jax import main
from srpo_jax.core import compiles
from srpo_jax.jobs import heldout, initial, train
from srpo_jax.srpo import history
from srpo_jax.srpo.stages import Stage, Until
from srpo_jax.study import read as study_read
from srpo_jax.train.checkpoint import Position, Snapshot
from srpo_jax.train.metrics import MetricsWriter

IDS = np.arange(6).astype(np.uint64)


def fake_run(*untils, keep=history.keep_all):
  """As much of a run as `advance` and `select` look at."""
  stages = tuple(Stage(f's{i}', (), (), u) for i, u in enumerate(untils))
  settings = types.SimpleNamespace(
    seed=0, stages=stages, history=keep, select=history.as_they_come
  )
  mixture = types.SimpleNamespace(ids=IDS)
  data = types.SimpleNamespace(mixtures=(mixture,) * len(untils))
  return types.SimpleNamespace(
    settings=settings, parts=types.SimpleNamespace(data=data)
  )


def advance(run, position, kept=IDS, n_batches=3):
  snapshot = Snapshot(None, history.empty(), kept, position)
  return train.advance(run, snapshot, history.empty(), n_batches)


def test_inside_an_epoch_only_the_batch_moves():
  _, at = advance(fake_run(Until(steps=9)), Position(step=4, batch=1))
  assert at == Position(step=5, stage_step=1, batch=2)


def test_an_epoch_ends_with_the_filter():
  run = fake_run(Until(steps=9), keep=lambda kept, ledger, rng: kept[:2])
  kept, at = advance(run, Position(batch=2))
  assert kept.tolist() == [0, 1]
  assert at == Position(step=1, stage_step=1, epoch=1)


def test_a_stage_ends_by_steps_inside_an_epoch():
  run = fake_run(Until(steps=2), Until(steps=5))
  kept, at = advance(run, Position(step=1, stage_step=1), kept=IDS[:1])
  assert at == Position(step=2, stage=1)
  assert kept.tolist() == IDS.tolist()


def test_a_stage_ends_by_epochs_and_when_nothing_is_left():
  _, at = advance(fake_run(Until(epochs=1)), Position(batch=2))
  assert at.stage == 1
  run = fake_run(Until(steps=99), keep=lambda kept, ledger, rng: kept[:0])
  assert advance(run, Position(batch=2))[1].stage == 1


def test_what_selection_leaves_out_is_padding():
  run = fake_run(Until(steps=1))
  run.settings.select = lambda ledger, ids, rng: ids[::2]
  real = np.array([True, True, True, False])
  ids, chosen = train.select(run.settings, None, IDS[:4], real, None)
  assert chosen.tolist() == [True, True, False, False]
  assert ids[chosen].tolist() == [0, 2]


def test_pass_at_1_is_a_mean_over_problems():
  prompt = np.array([5, 5, 9, 9, 9, 7])
  accuracy = np.array([1, 0, 1, 1, np.nan, np.nan])
  assert heldout.pass_at_1(prompt, accuracy) == 0.75
  assert np.isnan(heldout.pass_at_1(prompt[-1:], accuracy[-1:]))


def small(workdir, **macros):
  given = {
    'STEPS': 6,
    'PROMPTS_PER_STEP': 4,
    'GROUP_SIZE': 2,
    'MAX_NEW_TOKENS': 8,
    'EVAL_EVERY': 3,
    'EVAL_SAMPLES': 1,
    'CHECKPOINT_EVERY': 1,
    'REWARD_WORKERS': 1,
    **macros,
  }
  flags = [f'--gin.{name}={value}' for name, value in given.items()]
  return ['--gin_file=stage1.gin', f'--workdir={workdir}', *flags]


@pytest.fixture(scope='module')
def counted(tmp_path_factory):
  """Programs compiled by the end of each step of a run in this process."""
  workdir, by_step = tmp_path_factory.mktemp('counted') / 'run', {}
  write = MetricsWriter.write

  def spy(self, metrics):
    by_step[metrics['step']] = compiles.count()
    write(self, metrics)

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(MetricsWriter, 'write', spy)
    assert main.main(small(workdir)) == 0
  return workdir, by_step


def test_nothing_compiles_after_the_second_step(counted):
  _, by_step = counted
  assert by_step[1] > by_step[0] > 0
  assert by_step[6] == by_step[2], (
    'something retraces: look for shapes or Python values that change from '
    'step to step (JAX_EXPLAIN_CACHE_MISSES=1 names them)'
  )


def test_a_workdir_can_be_started_from(counted, tmp_path):
  workdir, _ = counted
  source = initial.find(str(workdir))
  assert source.checkpoint.name == '6'
  trained, start = initial.params(source), initial.params(initial.find(None))
  assert jax.tree.structure(trained) == jax.tree.structure(start)
  assert not np.array_equal(trained['embed']['table'], start['embed']['table'])
  flags = small(tmp_path / 'next', STEPS=1, INIT_FROM=workdir)
  assert main.main(flags) == 0


def test_a_long_prompt_is_dropped_counted_and_said(tmp_path, capsys):
  flags = small(tmp_path / 'run', STEPS=1, MAX_PROMPT_TOKENS=12)
  assert main.main(flags) == 0
  said = capsys.readouterr().out
  assert 'prompts are longer than MAX_PROMPT_TOKENS = 12 and' in said


def test_several_updates_clip_and_one_does_not(counted, tmp_path):
  fast = {'STEPS': 2, 'LEARNING_RATE': 0.05, 'MAX_NEW_TOKENS': 24}
  shares = {}
  for n in (1, 3):
    workdir = tmp_path / f'run{n}'
    assert main.main(small(workdir, UPDATES_PER_ROLLOUT=n, **fast)) == 0
    shares[n] = study_read.read_metrics(workdir)['clip/share'][1:]
  assert (shares[1] == 0).all()
  assert (shares[3] > 0).any()
