# SPDX-License-Identifier: Apache-2.0
"""bench.gin: what it measures adds up, and what is refused."""

import contextlib
import dataclasses
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import rich.console

from srpo_jax import main
from srpo_jax.core import config
from srpo_jax.jobs import (
  bench_memory,
  bench_parts,
  bench_results,
  bench_settings,
  bench_step,
  scoring,
)
from srpo_jax.policy.config import DecoderConfig

ROOT = Path(__file__).resolve().parents[2]
SMALL = {
  'STEPS': 2,
  'PROMPTS_PER_STEP': 2,
  'GROUP_SIZE': 4,
  'MAX_NEW_TOKENS': 16,
  'REWARD_WORKERS': 1,
}


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  """A benchmark of the embedded policy: its workdir, and how to run it."""
  workdir = tmp_path_factory.mktemp('bench') / 'run'

  def run():
    flags = [f'--gin.{name}={value}' for name, value in SMALL.items()]
    command = [sys.executable, '-m', 'srpo_jax.main', '--gin_file=bench.gin']
    ran = subprocess.run(
      [*command, f'--workdir={workdir}', *flags],
      env={**os.environ, 'JAX_PLATFORMS': 'cpu', 'PYTHONPATH': str(ROOT)},
      capture_output=True,
      text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout

  return workdir, run(), run


def results(workdir) -> dict:
  return json.loads((workdir / 'bench.json').read_text())


def test_the_figures_add_up(whole):
  found = results(whole[0])
  asked, rollout, update = (found[k] for k in ('request', 'rollout', 'update'))
  # Eight quantiles of the log-normal; the longest takes all sixteen tokens.
  lengths = [1, 1, 2, 3, 4, 6, 8, 16]
  assert asked['length_longest'] == 16
  assert rollout['tokens'] == sum(lengths) == asked['length_mean'] * 8
  # Two slots draw what is left after the first token of each response.
  assert 33 / 100 < rollout['slot_steps_used'] <= 1
  assert len(rollout['seconds']) == 2
  middle = np.median(rollout['seconds'])
  assert rollout['tokens_per_s'] == pytest.approx(rollout['tokens'] / middle)
  prompts = asked['prompt_tokens'] * 8
  assert update['tokens'] == rollout['tokens'] + prompts
  assert update['tokens'] <= update['positions']
  assert 0 < update['share_useful'] < update['share_executed']
  split = found['step']['split']
  assert set(split) == {'rollout', 'verdicts', 'update'}
  assert sum(split.values()) < 1.5 * found['step']['seconds']
  assert asked['parameters'] == 223488


def test_rates_make_the_shares(whole):
  found = results(whole[0])
  rates, rollout, update = (found[k] for k in ('rates', 'rollout', 'update'))
  share = rollout['decode_bytes_per_s'] / rates['bytes_per_s']
  assert rollout['share_of_bandwidth'] == pytest.approx(share)
  share = update['operations_per_s'] / rates['update_products_per_s']
  assert update['share_executed'] == pytest.approx(share)
  assert update['mfu'] is None


def test_nothing_compiles_in_what_is_timed(whole):
  compiled = results(whole[0])['compiles']
  assert compiled['in_timed_steps'] == 0
  assert compiled['programs'] > 0


def test_memory_grows_with_the_update(whole):
  memory = results(whole[0])['memory']
  assert memory['kind'] == 'resident set'
  assert 2**26 < memory['rollout'] <= memory['step']


def test_the_table_is_printed_and_again_when_it_is_done(whole):
  workdir, said, run = whole
  speed = f'{results(workdir)["rollout"]["tokens_per_s"]:,.0f} tokens/s'
  assert f'rollout                    {speed}\n' in said
  again = run()
  assert again.startswith(f'{workdir}: already done\n')
  assert said.endswith(again.split('\n', 1)[1])


def test_on_a_terminal_every_figure_is_there(whole):
  file = io.StringIO()
  console = rich.console.Console(file=file, force_terminal=True, width=80)
  bench_results.show(whole[0], console)
  words = file.getvalue().split()
  for _, figure in bench_results.lines(results(whole[0])):
    assert figure.split()[0] in words


def test_mfu_is_useful_work_by_what_the_maker_states():
  batch = type('B', (), {'segment_BT': np.ones((2, 5), np.int32)})
  made = [type('S', (), {'update_s': s, 'batch': batch}) for s in (2, 8, 4)]
  needed = bench_results.operations.Update(80.0, 40.0, positions=12)
  rates = type('R', (), {'update': 5.0})
  found = bench_results.of_update(made, needed, rates, 2, peak=10.0)
  # Four seconds on two devices of 5 operations a second, 10 by their maker.
  assert found['operations_per_s'] == 20
  assert found['share_executed'] == 2.0
  assert found['share_useful'] == 1.0
  assert found['mfu'] == 0.5
  assert (found['tokens_per_s'], found['positions']) == (2.5, 12)


def test_a_device_that_does_not_say_its_memory(monkeypatch):
  monkeypatch.setattr(jax, 'default_backend', lambda: 'tpu')
  device = type('D', (), {'memory_stats': lambda self: None})()
  monkeypatch.setattr(jax, 'local_devices', lambda: [device])
  assert bench_memory.peak_bytes() is None
  told = type('D', (), {'memory_stats': lambda _: {'peak_bytes_in_use': 7}})()
  monkeypatch.setattr(jax, 'local_devices', lambda: [told])
  assert bench_memory.peak_bytes() == 7


# --- a shape ----------------------------------------------------------------


def tiny() -> DecoderConfig:
  return DecoderConfig(
    vocab_size=50,
    dim=16,
    n_layers=2,
    n_heads=2,
    n_kv_heads=1,
    head_dim=8,
    ffn_dim=24,
  )


@pytest.fixture
def of_shape(tmp_path):
  """(settings, parts, state) of a tiny shape with 2 × 3 responses."""
  overrides = ['PROMPTS_PER_STEP=2', 'GROUP_SIZE=3', 'MAX_NEW_TOKENS=6']
  config.load(['bench.gin'], [*overrides, 'MAX_PROMPT_TOKENS=4'])
  settings = dataclasses.replace(bench_settings.Benchmark(), shape=tiny)
  with contextlib.ExitStack() as stack:
    yield settings, *bench_parts.build(settings, tmp_path, stack)


def test_a_shape_has_random_prompts_and_is_never_judged(of_shape):
  _, parts, _ = of_shape
  assert parts.scorer is None
  assert parts.asked.mask_PL.all()
  assert parts.asked.tokens_PL.shape == (2, 4)
  assert 0 < parts.asked.tokens_PL.min() <= parts.asked.tokens_PL.max() < 50
  assert len(np.unique(parts.asked.tokens_PL)) > 4


def test_responses_are_as_long_as_they_should_be(of_shape):
  _, parts, state = of_shape
  before = jax.device_get(state.params)
  state, made = bench_step.step(parts, state, jax.random.key(1))
  limit_B = parts.asked.limit_PG.reshape(-1)
  assert made.length_B.tolist() == limit_B.tolist()
  assert made.batch.mask_BT.sum() == limit_B.sum()
  assert np.count_nonzero(made.batch.segment_BT) == limit_B.sum() + 6 * 4
  # The first token of each comes out of its prompt and takes no step.
  assert sum(chunk.used for chunk in made.chunks) == (limit_B - 1).sum()
  assert made.step_s >= made.rollout_s + made.update_s
  change = jax.tree.map(lambda a, b: np.abs(a - b).max(), before, state.params)
  assert max(jax.tree.leaves(change)) > 0


# --- refusals ---------------------------------------------------------------


@pytest.fixture
def refuse(tmp_path, capsys, monkeypatch):
  """Benchmarks in this process; it must end with 2 and one line."""

  def no_work(*_, **__):
    raise AssertionError('something was started before the refusal')

  monkeypatch.setattr(bench_parts.initial, 'params', no_work)
  monkeypatch.setattr(scoring, 'launch_service', no_work)

  def run(*overrides: str) -> str:
    flags = [f'--gin.{o}' for o in overrides]
    command = ['--gin_file=bench.gin', f'--workdir={tmp_path}/run', *flags]
    status = main.main(command)
    said = capsys.readouterr()
    assert status == 2, said.err
    (line,) = said.err.strip().splitlines()
    return line

  return run


@pytest.mark.parametrize(
  ('override', 'wanted'),
  [
    ('STEPS=0', 'STEPS = 0, but it must be an integer, at least 1'),
    ('GROUP_SIZE=2.0', 'GROUP_SIZE = 2.0, but it must be an integer'),
    ('PROMPTS_PER_STEP=1000', 'be at most 320, the prompts of embedded_math'),
    ('MAX_PROMPT_TOKENS=1', 'none of 320 prompts has at most 1'),
    ('ROW_TOKENS=99', 'ROW_TOKENS = 99, but it must be at least MAX_PROMPT'),
    ('MICRO_BATCH_TOKENS=7', 'MICRO_BATCH_TOKENS = 7, but it must be at least'),
    ('REMAT=some', "REMAT = 'some', but it must be one of None"),
    ('SHAPE=30m', "SHAPE = '30m', but it must be a function"),
    ('SHAPE=@shape_31m', 'did you mean shape_30m?'),
    ('LENGTHS=64', 'LENGTHS = 64, but it must be a function'),
    ('LENGTHS=@shape_30m', 'but it must take (rng, prompts, group_size,'),
    ('LENGTHS=@measured_lengths', 'MEASURED = None: no rollouts/*.parquet'),
    ('LENGTH_SIGMA=-1', 'LENGTH_SIGMA = -1, but it must be a number'),
    ('SAMPLER=slots', "SAMPLER = 'slots', but it must be a function"),
    ('SLOTS=0', 'SLOTS = 0, but it must be an integer, at least 1'),
    ('TEMPERATURE=0', 'TEMPERATURE = 0, but it must be above 0'),
    ('TOP_P=0', 'TOP_P = 0, but it must be above 0'),
    ('TOP_K=-1', 'TOP_K = -1, but it must be an integer'),
    ('VERDICTS=some', "VERDICTS = 'some', but it must be one of True, False"),
    ('REWARD_ADDRESS=10.0.0.1:80', "REWARD_ADDRESS = '10.0.0.1:80', but it"),
    ("CODE_LIMITS={'cpu_s': 0}", 'but it must be limits of a program'),
    ('COMPUTE_DTYPE=float8', "COMPUTE_DTYPE = 'float8', but it must be one"),
    ('PEAK=0', 'PEAK = 0, but it must be a number, at least 1'),
    ('INIT_FROM=nowhere', "INIT_FROM = 'nowhere': neither"),
    ('MESH=(3,1,1)', 'MESH = (3, 1, 1) does not fit the'),
    ('SEED=-1', 'SEED = -1, but it must be an integer'),
    ('EPOCHS=3', 'nothing uses a macro EPOCHS'),
  ],
)
def test_what_is_wrong_is_one_line(refuse, tmp_path, override, wanted):
  assert wanted in refuse(override)
  left = sorted(p.name for p in tmp_path.glob('run/*'))
  assert left in ([], ['config.gin'])


def test_a_shape_and_another_policy_are_too_much(refuse):
  line = refuse('SHAPE=@shape_30m', 'INIT_FROM=somewhere')
  assert 'but it must be None with INIT_FROM' in line


@pytest.mark.parametrize('name', ['smollm2_135m', 'gemma3_270m'])
def test_models_files_go_with_it(name, capsys):
  files = ['--gin_file=bench.gin', f'--gin_file=models/{name}.gin']
  assert main.main([*files, '--dry_run']) == 0
  assert 'INIT_FROM = ' in capsys.readouterr().out
