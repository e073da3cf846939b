# SPDX-License-Identifier: Apache-2.0
"""Every attention of whole sequences is `causal`, forward and backward."""

import dataclasses
import functools
import itertools
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from srpo_jax.core import mesh as mesh_lib
from srpo_jax.policy import attention
from srpo_jax.policy.attention import backend, splash
from srpo_jax.policy.attention.flash import flash
from srpo_jax.policy.attention.over_mesh import over_mesh
from srpo_jax.policy.attention.tiled import tiled
from srpo_jax.policy.config import DecoderConfig
from srpo_jax.policy.policy import SCANNED, UNROLLED, make_policy


def arrays(T, *, B=2, N=6, K=2, H=8):
  """q, k, v, and segments that neither tiles nor rows have in common."""
  rng = np.random.default_rng(0)
  q, k, v = (rng.normal(size=(B, T, n, H)) for n in (N, K, K))
  share = np.linspace(0, 1, T, endpoint=False)
  segment = np.stack(
    [np.digitize(share, [0.2 + b / 50, 0.6, 0.8]) + 1 for b in range(B)]
  )
  segment[0, -T // 8 :] = 0
  return (*(x.astype(np.float32) for x in (q, k, v)), segment.astype(np.int32))


def results(attend, q, k, v, segment):
  """Output and gradients of a sum that weighs every output differently."""
  weight = np.cos(np.arange(q.size)).reshape(q.shape)

  def loss(q, k, v):
    out = attend(q, k, v, segment)
    return jnp.sum(jnp.square(out) * weight), out

  run = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True))
  (_, out), gradients = run(q, k, v)
  return [out, *gradients]


def same(attend, args, atol=2e-5, **own):
  want = results(functools.partial(attention.causal, **own), *args)
  got = results(attend, *args)
  for a, b in zip(got, want, strict=True):
    np.testing.assert_allclose(a, b, atol=atol, rtol=1e-4)


OWN = [
  {'window': window, 'softcap': softcap, 'scale': scale}
  for window, softcap, scale in [
    (None, None, None),
    (11, None, 0.7),
    (None, 2.0, None),
    (1, 2.0, 0.7),
    (500, None, None),
  ]
]


@pytest.mark.parametrize('own', OWN, ids=str)
@pytest.mark.parametrize(('tile', 'rows'), [(8, 1), (16, 2), (13, None)])
def test_tiles_are_the_whole(own, tile, rows):
  attend = functools.partial(tiled, tile=tile, rows=rows, **own)
  same(attend, arrays(37), **own)


def test_tiles_in_bfloat16_are_close():
  args = [jnp.asarray(x, jnp.bfloat16) for x in arrays(37)[:3]]
  got = tiled(*args, arrays(37)[3], tile=8)
  want = attention.causal(*arrays(37))
  assert got.dtype == jnp.bfloat16
  np.testing.assert_allclose(got.astype(np.float32), want, atol=0.03)


def test_segments_out_of_order_are_found():
  """Padding in front and an id that comes back: nothing sorts them."""
  *qkv, _ = arrays(40)
  segment = np.repeat([[0, 3, 1, 3, 2], [2, 2, 1, 0, 2]], 8, axis=1)
  same(functools.partial(tiled, tile=8), (*qkv, segment))


def test_tiles_of_other_segments_are_not_computed():
  """NaN in what must not be visited would reach the sums."""
  q, k, v, _ = arrays(32, B=1)
  segment = np.repeat([[1, 2]], 16, axis=1)
  k[:, :16] = np.nan
  out = tiled(q, k, v, segment, tile=8)
  assert np.isfinite(out[:, 16:]).all()
  out = tiled(q, k, v, np.ones_like(segment), tile=8, window=8)
  assert np.isfinite(out[:, 24:]).all()


def test_memory_of_the_backward_pass_is_linear():
  def temporary(attend, T):
    shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in arrays(T, B=1)]
    loss = lambda q, k, v, segment: jnp.sum(attend(q, k, v, segment))
    run = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))
    memory = run.lower(*shapes).compile().memory_analysis()
    return memory.temp_size_in_bytes

  in_tiles = functools.partial(tiled, tile=64)
  assert temporary(in_tiles, 1024) < 2.5 * temporary(in_tiles, 512)
  assert temporary(attention.causal, 1024) > 3 * temporary(in_tiles, 1024)


@pytest.mark.parametrize('own', OWN[:1] + OWN[3:4], ids=str)
def test_the_tpu_kernel_is_the_whole(own, monkeypatch):
  monkeypatch.setattr(splash, 'BLOCK', 128)
  attend = functools.partial(splash.splash, **own, interpret=True)
  same(attend, arrays(140), atol=1e-4, **own)


@pytest.mark.parametrize('scale', [None, 0.7])
def test_the_gpu_kernel_is_the_whole(scale):
  attend = functools.partial(flash, scale=scale, interpret=True)
  same(attend, arrays(140), atol=1e-4, scale=scale)


def test_the_gpu_kernel_becomes_triton_code():
  """Forward and backward, in bfloat16; no GPU is needed for that."""
  shapes = [jax.ShapeDtypeStruct(x.shape, jnp.bfloat16) for x in arrays(140)]
  shapes[3] = jax.ShapeDtypeStruct(shapes[3].shape, jnp.int32)
  loss = lambda *args: jnp.sum(flash(*args).astype(jnp.float32))
  traced = jax.jit(jax.grad(loss, argnums=(0, 1, 2))).trace(*shapes)
  text = traced.lower(lowering_platforms=('cuda',)).as_text()
  for name in ('mha_forward', 'mha_preprocess_backward', 'mha_backward'):
    assert name in text
  assert 'xla.gpu.triton' in text


SHAPES = [((2, 2, 2), 6, 2), ((2, 1, 4), 8, 2), ((1, 1, 8), 6, 2)]


def meshes():
  """What `test_a_mesh_changes_nothing` runs with eight devices."""
  for shape, N, K in SHAPES:
    mesh = mesh_lib.make_mesh(shape, jax.devices())
    attend = over_mesh(mesh, functools.partial(tiled, tile=8))
    same(attend, arrays(20, B=4, N=N, K=K))


def test_a_mesh_changes_nothing():
  """Heads that divide, key heads that do not, query heads that do not."""
  environment = {
    **os.environ,
    'XLA_FLAGS': '--xla_force_host_platform_device_count=8',
    'PYTHONPATH': str(Path(__file__).parents[2]),
  }
  done = subprocess.run(
    [sys.executable, __file__],
    env=environment,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr[-2000:]


GEMMA = DecoderConfig(
  vocab_size=31,
  dim=16,
  n_layers=2,
  n_heads=4,
  n_kv_heads=2,
  head_dim=6,
  ffn_dim=24,
  window=5,
  local_layers=(0,),
  attention_softcap=2.0,
  query_scale=0.3,
)
LAYERS = [((0,), UNROLLED), ((0,), SCANNED), ((0, 1), SCANNED), ((), SCANNED)]


@pytest.fixture(scope='module')
def params():
  """Of GEMMA, whatever its windows."""
  policy = make_policy(GEMMA, mesh_lib.make_mesh((1, 1, 1), jax.devices()[:1]))
  return jax.jit(policy.init)(jax.random.key(0))


@pytest.mark.parametrize(('local_layers', 'walk'), LAYERS)
def test_each_layer_has_its_window(local_layers, walk, params, monkeypatch):
  """By tiles with known windows what `causal` gives with those of kinds.py."""
  config = dataclasses.replace(GEMMA, local_layers=local_layers)
  mesh = mesh_lib.make_mesh((1, 1, 1), jax.devices()[:1])
  tokens = np.random.default_rng(1).integers(0, 31, (2, 19))
  rows = tokens, np.arange(19)[None].repeat(2, 0), np.ones((2, 19), np.int32)

  def hidden():
    policy = make_policy(config, mesh, walk)
    loss = lambda p: jnp.sum(jnp.sin(policy.hidden(p, *rows)))
    return jax.jit(jax.value_and_grad(loss))(params)

  monkeypatch.setattr(backend, 'TILE', 8)
  monkeypatch.setattr(
    backend, 'tiled', functools.partial(tiled, tile=8, rows=1)
  )
  got = hidden()
  monkeypatch.setattr(attention, 'whole_sequences', by_masks)
  for a, b in itertools.zip_longest(*map(jax.tree.leaves, (got, hidden()))):
    np.testing.assert_allclose(a, b, atol=1e-5 * jnp.max(jnp.abs(b)), rtol=1e-4)


def by_masks(config, mesh, rules=mesh_lib.RULES):
  del mesh, rules
  own = {'scale': config.query_scale, 'softcap': config.attention_softcap}
  return lambda q, k, v, segment, window: attention.causal(
    q, k, v, segment, window=window, **own
  )


def test_short_rows_are_the_scores_of_the_whole(monkeypatch):
  """To the bit, as it was before there were tiles."""
  monkeypatch.setattr(
    backend, 'tiled', lambda *args, **own: pytest.fail('tiled')
  )
  mesh = mesh_lib.make_mesh((1, 1, 1), jax.devices()[:1])
  args, numbers = arrays(backend.TILE, B=1), {'softcap': 2.0, 'scale': 0.3}
  for window in (5, 2**30):
    got = attention.whole_sequences(GEMMA, mesh)(*args, window)
    want = attention.causal(*args, **numbers, window=window)
    np.testing.assert_array_equal(got, want)


if __name__ == '__main__':
  meshes()
