# SPDX-License-Identifier: Apache-2.0
"""rehearse.gin: the programs of training itself, counted, judged, refused."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import gin
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from srpo_jax import main
from srpo_jax.core import config
from srpo_jax.core import mesh as mesh_lib
from srpo_jax.jobs import parts, rehearse, rehearse_parts, rehearse_results
from srpo_jax.jobs.bench_shapes import KNOWN, shape_32b
from srpo_jax.jobs.rehearse_results import GIB, Asked, Chip, Parts, Row
from srpo_jax.jobs.rehearse_work import Work, work_of
from srpo_jax.policy.policy import param_shapes
from srpo_jax.sampler import ahead, engine, sampler

ROOT = Path(__file__).resolve().parents[2]
TINY = ('PROMPTS_PER_STEP=2', 'GROUP_SIZE=2', 'MAX_NEW_TOKENS=128')


def settings(*overrides):
  """The settings of a small run of the embedded policy."""
  config.load(['rehearse.gin'], [*TINY, *overrides])
  return gin.get_configurable('Settings')()


# --- the very functions of training -----------------------------------------


@pytest.fixture
def here(monkeypatch):
  """The devices of this machine in place of a topology's."""
  monkeypatch.setattr(rehearse_parts, 'chips', lambda _: jax.devices()[:1])


def test_training_and_rehearsal_make_their_programs_in_one_place(
  here, monkeypatch, tmp_path
):
  """Both end in parts.make_programs, and take what it returns."""
  asked = []

  class Seen(Exception):
    pass

  def seen(settings, decoder, mesh, tokenizer):
    asked.append((decoder, mesh.size))
    raise Seen

  monkeypatch.setattr(parts, 'make_programs', seen)
  monkeypatch.setattr(rehearse_parts, 'make_programs', seen)
  told = settings('MESH=(1, 1, 1)')
  with pytest.raises(Seen):
    rehearse_parts.build(told, None, 'v6e:1x1')
  monkeypatch.setattr(
    parts,
    'device_mesh',
    lambda _: mesh_lib.make_mesh((1, 1, 1), jax.devices()[:1]),
  )
  with pytest.raises(Seen):
    parts.build(told, tmp_path, None)
  assert asked[0] == asked[1]


def test_what_is_compiled_is_what_a_step_calls(here, monkeypatch):
  """The jitted functions of the update and of the engine, by identity."""
  engines, called = [], []
  real_make, real_ahead = engine.make_engine, ahead.compile_ahead

  def make(plan):
    engines.append(real_make(plan))
    return engines[-1]

  def compile_ahead(name, function, *args, **more):
    called.append((name, function))
    return real_ahead(name, function, *args, **more)

  monkeypatch.setattr(sampler, 'make_engine', make)
  monkeypatch.setattr(ahead, 'compile_ahead', compile_ahead)
  monkeypatch.setattr(rehearse_parts, 'compile_ahead', compile_ahead)
  told = settings('UPDATES_PER_ROLLOUT=2')
  of = rehearse_parts.build(told, None, 'v6e:1x1')
  programs = list(rehearse_parts.compiled(told, of))
  (own,) = engines
  wanted = {
    'update': of.made.update.apply,
    'score': of.made.update.score,
    **{name: getattr(own, name) for name in ('begin', 'start', 'fit', 'chunk')},
  }
  assert [p.name for p in programs] == list(wanted)
  assert all(function is wanted[name] for name, function in called)


def test_the_shapes_are_those_of_a_step(here):
  """A draw and an update of real arrays compile nothing more."""
  told = settings()
  of = rehearse_parts.build(told, None, 'v6e:1x1')
  programs = {p.name: p for p in rehearse_parts.compiled(told, of)}
  zeros = jax.tree.map(
    lambda x: jax.device_put(np.zeros(x.shape, x.dtype), x.sharding),
    (of.state, of.batch),
  )
  state, metrics = programs['update'].compiled(*zeros)
  assert int(state.step) == 1
  assert np.isfinite(metrics['loss'])


# --- counting ---------------------------------------------------------------


def test_loops_count_by_their_rounds():
  def f(x, n):
    y, _ = jax.lax.scan(lambda c, _: (c @ c, None), x, None, length=5)
    return jax.lax.fori_loop(0, n, lambda _, c: c @ c, y)

  jaxpr = jax.jit(f).trace(jnp.ones((4, 4)), 3).jaxpr
  one = Work(2 * 4**3, 3 * 4 * 16)  # a product, its three matrices
  assert work_of(jaxpr, (7,)) == one.times(12)
  assert work_of(jaxpr) == one.times(6)


def test_a_loop_inside_a_loop_has_its_own_rounds():
  def f(x, n):
    inner = lambda _, c: jax.lax.fori_loop(0, n, lambda _, c: c @ c, c)
    return jax.lax.fori_loop(0, n, inner, x)

  jaxpr = jax.jit(f).trace(jnp.ones((4, 4)), 3).jaxpr
  assert work_of(jaxpr, (3, 5)).flops == 15 * 128


def test_a_backward_pass_makes_two_products_and_the_forward_again():
  def f(w, x):
    layer = jax.checkpoint(lambda x, w: (jnp.tanh(x @ w), None))
    return jax.lax.scan(layer, x, w)[0].sum()

  w, x = jnp.ones((3, 8, 8)), jnp.ones((2, 8))
  jaxpr = jax.jit(jax.grad(f)).trace(w, x).jaxpr
  assert work_of(jaxpr).flops == 3 * 4 * (2 * 2 * 8 * 8)


def test_the_update_counts_what_arithmetic_says(here):
  """Layers 3 or 4 times forward; the head 4 times at the most."""
  told = settings("REMAT='nothing'")
  of = rehearse_parts.build(told, None, 'v6e:1x1')
  c, shape = of.decoder, of.made.packing
  args = (of.state, of.batch)
  jaxpr = of.made.update.apply.trace(*args).jaxpr
  found = work_of(jaxpr, rehearse_parts.loops(of)).flops
  tokens = shape.rows * shape.row_tokens
  weights = sum(x.size for x in jax.tree.leaves(param_shapes(c)))
  assert 3 * 2 * weights * tokens < found < 8 * 2 * weights * tokens


# --- what fits, and what to do ----------------------------------------------

CHIP = Chip(hbm=32 * GIB, flops=100e12, bandwidth=1e12)
PARTS = Parts(params=2 * GIB, moments=4 * GIB, prompts=GIB, ring=8 * GIB)
ASKED = Asked(256, 64, 2048, 2560, 5120, 'nothing', 'bfloat16', 32)


def row(name, peak, beside=0, flops=0.0, moved=0.0):
  return Row(name, 1, 2, 3, 0, peak * GIB, beside * GIB, flops, moved, 1.0)


def test_what_is_beside_counts_too():
  fits, not_ = row('update', 28), row('chunk', 20, 9)
  assert rehearse_results.misfit([fits], CHIP, 0.1) is None
  assert rehearse_results.misfit([fits, not_], CHIP, 0.1) is not_
  assert rehearse_results.misfit([fits, not_], CHIP, 0.05) is None


@pytest.mark.parametrize(
  ('name', 'parts', 'asked', 'wanted'),
  [
    ('update', {}, {}, '--gin.MICRO_BATCH_TOKENS=2560'),
    ('update', {}, {'micro': 2560, 'remat': 'dots'}, "--gin.REMAT='nothing'"),
    ('update', {}, {'micro': 2560}, 'more sequence or tensor in MESH'),
    ('update', {}, {'micro': 2560}, '--gin.MAX_NEW_TOKENS=1024'),
    ('chunk', {}, {}, '--gin.SLOTS=32'),
    ('fit', {}, {}, "--gin.CACHE_DTYPE='int8'"),
    ('chunk', {}, {'slots': 1, 'cache': 'int8'}, '--gin.MAX_NEW_TOKENS=1024'),
    ('begin', {}, {}, 'fewer PROMPTS_PER_STEP'),
    (
      'update',
      {'params': 7 * GIB, 'moments': 14 * GIB},
      {},
      "--gin.MOMENT_DTYPE='bfloat16'",
    ),
    (
      'update',
      {'params': 9 * GIB, 'moments': 9 * GIB},
      {},
      '--gin_file=lora.gin',
    ),
  ],
)
def test_advice_follows_what_takes_most(name, parts, asked, wanted):
  parts, asked = PARTS._replace(**parts), ASKED._replace(**asked)
  assert wanted in rehearse_results.advice(name, parts, asked, 28.8 * GIB)


def test_the_roofline_of_a_step_by_hand():
  rows = [
    row('update', 1, flops=200e12, moved=1e12),  # 2 s of products
    row('begin', 1, flops=10e12, moved=0.5e12),  # 0.5 s of memory
    row('chunk', 1, flops=1e12, moved=0.25e12),  # 0.25 s of memory
  ]
  # 256 samples by 64 are 4 waves of 2,047 steps, 32 to a chunk.
  step = rehearse_results.step_seconds(rows, CHIP, ASKED)
  assert step == {'begin': 0.5, 'decode': 0.25 * 4 * 64, 'update': 2.0}


# --- what is refused --------------------------------------------------------


def refused(capsys, *flags) -> str:
  """The line with which the command ends."""
  assert main.main(['--gin_file=rehearse.gin', *flags]) == 2
  line = capsys.readouterr().err
  assert line.count('\n') == 1
  return line


def test_without_libtpu_the_line_says_what_to_install(
  capsys, monkeypatch, tmp_path
):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda _: None)
  line = refused(capsys, f'--workdir={tmp_path}')
  assert "pip install 'srpo_jax[tpu]'" in line


@pytest.mark.parametrize(
  ('flag', 'wanted'),
  [
    ("TOPOLOGY='v9x:4x4'", 'v5e, v5p, v6e'),
    ('TOPOLOGY=3', 'v5e, v5p, v6e'),
    ('MARGIN=2', 'from 0 to 1'),
    ('MOMENT_DTYPE=8', "'float32', 'bfloat16'"),
  ],
)
def test_wrong_values_are_refused(capsys, tmp_path, flag, wanted, monkeypatch):
  monkeypatch.setattr(rehearse_parts, 'use_libtpu', lambda: None)
  monkeypatch.setattr(rehearse_parts, 'chips', lambda _: jax.devices()[:1])
  line = refused(capsys, f'--workdir={tmp_path}', f'--gin.{flag}')
  assert wanted in line
  assert flag.split('=')[0] in line


@pytest.mark.parametrize(
  ('error', 'size'),
  [
    ('Used 34.10G of 31.25G hbm', '34.1 GiB of'),
    ('for HLO temporaries (32.10G) exceeds available HBM', '32.1 GiB of'),
    ('who knows', 'more than'),
  ],
)
def test_a_compiler_without_room_becomes_a_line(here, error, size):
  told = settings()
  of = rehearse_parts.build(told, None, 'v6e:1x1')
  found = jax.errors.JaxRuntimeError(f'RESOURCE_EXHAUSTED: {error}')
  with pytest.raises(config.ConfigError) as caught:
    rehearse.refuse_exhausted(found, told, of, [], 'v6e:1x1', 0.1)
  assert f'update needs {size} the 32 GiB' in caught.value.line
  other = jax.errors.JaxRuntimeError('INTERNAL: other')
  with pytest.raises(jax.errors.JaxRuntimeError):
    rehearse.refuse_exhausted(other, told, of, [], 'v6e:1x1', 0.1)


# --- models -----------------------------------------------------------------


@pytest.mark.parametrize(
  ('name', 'parameters'),
  [('1.5B', 1_543_714_304), ('7B', 7_615_616_512), ('32B', 32_763_876_352)],
)
def test_shapes_have_as_many_parameters_as_published(name, parameters):
  shapes = param_shapes(KNOWN[f'hf://Qwen/Qwen2.5-{name}']())
  assert sum(x.size for x in jax.tree.leaves(shapes)) == parameters


def test_the_known_models_are_not_fetched():
  told = settings("INIT_FROM='hf://Qwen/Qwen2.5-32B'")
  name, decoder = rehearse_parts.decoder_of(told, None)
  assert name == 'hf://Qwen/Qwen2.5-32B'
  assert decoder == shape_32b()


# --- a real one -------------------------------------------------------------


@pytest.fixture(scope='module')
def libtpu():
  pytest.importorskip('libtpu', reason="pip install 'srpo_jax[tpu]'")


def run(workdir, *flags):
  command = [sys.executable, '-m', 'srpo_jax.main', '--gin_file=rehearse.gin']
  return subprocess.run(
    [*command, f'--workdir={workdir}', *(f'--gin.{flag}' for flag in flags)],
    env={**os.environ, 'PYTHONPATH': os.pathsep.join([str(ROOT), *sys.path])},
    capture_output=True,
    text=True,
  )


def test_a_small_decoder_fits_four_chips(libtpu, tmp_path):
  ran = run(tmp_path, *TINY, "TOPOLOGY='v6e:2x2'", 'MESH=(1, 2, 2)')
  assert ran.returncode == 0, ran.stderr
  found = json.loads((tmp_path / 'rehearse.json').read_text())
  names = [program['name'] for program in found['programs']]
  assert names == ['update', 'begin', 'start', 'fit', 'chunk']
  assert found['request']['chips'] == 4
  for program in found['programs']:
    assert 0 < program['peak'] <= program['live'] < found['chip']['hbm']
  assert 'roofline of a step' in ran.stdout


def test_too_long_a_response_does_not_fit(libtpu, tmp_path):
  long = ('MAX_NEW_TOKENS=1048576', 'PROMPTS_PER_STEP=512', 'MESH=(4, 1, 1)')
  ran = run(tmp_path, "TOPOLOGY='v5e:2x2'", 'GROUP_SIZE=8', *long)
  assert ran.returncode == 2
  line = ran.stderr.splitlines()[-1]
  assert 'MAX_NEW_TOKENS=524288' in line or 'SLOTS' in line
