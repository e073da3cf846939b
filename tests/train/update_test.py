# SPDX-License-Identifier: Apache-2.0
"""The update does not depend on how the batch is cut, padded or laid out."""

import functools
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from srpo_jax.core import mesh as mesh_lib
from srpo_jax.core.records import Batch
from srpo_jax.policy import logprobs
from srpo_jax.policy.config import DecoderConfig
from srpo_jax.policy.policy import make_policy
from srpo_jax.srpo.importance import truncated_weights
from srpo_jax.srpo.loss import srpo_loss
from srpo_jax.srpo.loss_variants import dr_grpo_loss, grpo_loss
from srpo_jax.train import packing
from srpo_jax.train.optimizer import adamw
from srpo_jax.train.state import fingerprint, make_state
from srpo_jax.train.update import as_stored, make_update

HERE = Path(__file__).parent
LIMIT = 1e-5


def load_layouts():
  spec = importlib.util.spec_from_file_location('layouts', HERE / 'layouts.py')
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


layouts = load_layouts()


def assert_same(one, other):
  loss, gradient = layouts.difference(one, other)
  assert loss <= LIMIT
  assert gradient <= LIMIT


@pytest.fixture(scope='module')
def whole():
  return layouts.gradient((1, 1, 1), layouts.make_batch(), old=as_stored)


@pytest.mark.parametrize('n', [2, 4])
def test_micro_batches(whole, n):
  cut = layouts.gradient(
    (1, 1, 1), layouts.make_batch(), micro_rows=16 // n, old=as_stored
  )
  assert_same(whole, cut)
  for name, value in whole[2].items():
    np.testing.assert_allclose(cut[2][name], value, rtol=1e-5, atol=1e-7)


def test_every_denominator_is_that_of_the_whole_batch():
  """Micro-batches and padding, for losses that count sequences."""
  length = functools.partial(dr_grpo_loss, max_new_tokens=12)
  for loss in (grpo_loss, length):
    more = {'loss': loss, 'importance': truncated_weights, 'old': as_stored}
    one = layouts.gradient((1, 1, 1), layouts.make_batch(), **more)
    cut = layouts.gradient(
      (1, 1, 1), layouts.make_batch(pad=5), micro_rows=4, **more
    )
    assert_same(one, cut)


def test_weights_multiply_the_advantage():
  batch = layouts.make_batch()
  old = batch.logprob_old_BT
  # The sampler's probabilities were half of the trainer's, which weighs 2.
  halved = batch.replace(logprob_rollout_BT=old - np.float32(np.log(2)))
  twice = batch.replace(advantage_BT=2 * batch.advantage_BT)
  weigh = functools.partial(truncated_weights, cap=3.0)
  got = layouts.gradient((1, 1, 1), halved, old=as_stored, importance=weigh)
  assert_same(layouts.gradient((1, 1, 1), twice, old=as_stored), got)


@pytest.mark.parametrize('row_tokens', [12, 31])
def test_packing(whole, row_tokens):
  """Loss, gradient and every metric, in micro-batches that end empty."""
  shape = packing.shape_of(16, 12, row_tokens, row_tokens * 2, 1)
  batch = packing.pack(layouts.make_batch(), shape)
  assert batch.segment_BT.max() > 1
  filled = batch.segment_BT.any(axis=1).reshape(shape.micro_rows, -1)
  assert not filled.all()
  packed = layouts.gradient(
    (1, 1, 1), batch, micro_rows=shape.micro_rows, old=as_stored
  )
  assert_same(whole, packed)
  for name, value in whole[2].items():
    np.testing.assert_allclose(packed[2][name], value, rtol=1e-5, atol=1e-7)


def test_empty_micro_batches_are_not_computed():
  """NaN that only they would read; and one program, whatever is filled."""
  state, update, mesh = state_and_update(micro_rows=2)
  shape = packing.Shape(rows=20, row_tokens=12, micro_rows=2)
  for judged in (16, 6):
    batch = layouts.make_batch()
    batch.mask_BT[judged:] = False
    batch = packing.pack(batch, shape)
    # Row r is in part r % 10.
    empty_n = ~batch.segment_BT.any(axis=1).reshape(2, 10).any(axis=0)
    assert 0 < empty_n.sum() < 10
    batch.advantage_BT[np.tile(empty_n, 2)] = np.nan
    batch.mask_BT[np.tile(empty_n, 2)] = True
    state, metrics = update.apply(state, mesh_lib.put_batch(mesh, batch))
    assert np.isfinite(float(metrics['grad_norm']))
  assert update.apply._cache_size() == 1


@pytest.mark.parametrize('pad', [1, 20])
def test_padding(whole, pad):
  padded = layouts.gradient(
    (1, 1, 1), layouts.make_batch(pad=pad), old=as_stored
  )
  assert_same(whole, padded)


def test_meshes_of_eight_devices():
  environment = {
    **os.environ,
    'JAX_PLATFORMS': 'cpu',
    'XLA_FLAGS': '--xla_force_host_platform_device_count=8',
    'PYTHONPATH': os.pathsep.join(p for p in (str(HERE.parents[1]),) if p),
  }
  done = subprocess.run(
    [sys.executable, HERE / 'layouts.py'],
    env=environment,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr[-2000:]
  found = json.loads(done.stdout.splitlines()[-1])
  assert len(found['gradients']) == 17
  for name, (loss, gradient) in found['gradients'].items():
    assert loss <= LIMIT, name
    assert gradient <= LIMIT, name
  # The same keys on another mesh, and no draw here is close to a tie.
  assert found['tokens'][0] == 1
  assert found['tokens'][1] <= 1e-5


def test_gradient_against_jax_on_the_naive_loss(whole):
  batch = layouts.make_batch()
  mesh = mesh_lib.make_mesh((1, 1, 1), jax.devices()[:1])
  policy = make_policy(layouts.CONFIG, mesh)

  def naive(params):
    y = policy.hidden(
      params, batch.tokens_BT, batch.position_BT, batch.segment_BT
    )
    logp = jax.nn.log_softmax(policy.logits(params, y)[:, :-1], axis=-1)
    chosen = jnp.take_along_axis(logp, batch.tokens_BT[:, 1:, None], -1)[..., 0]
    ratio = jnp.exp(chosen - batch.logprob_old_BT[:, 1:])
    a = batch.advantage_BT[:, 1:]
    part = jnp.minimum(ratio * a, jnp.clip(ratio, 0.8, 1.28) * a)
    mask = batch.mask_BT[:, 1:]
    return -jnp.sum(jnp.where(mask, part, 0)) / mask.sum()

  loss, grads = jax.value_and_grad(naive)(policy.init(jax.random.key(0)))
  leaves = [np.asarray(x).ravel() for x in jax.tree.leaves(grads)]
  assert_same((float(loss), np.concatenate(leaves)), whole)


def state_and_update(vocab_size=32, micro_rows=None, optimizer=None):
  config = DecoderConfig(vocab_size, 16, 2, 4, 2, 8, 32)
  mesh = mesh_lib.make_mesh((1, 1, 1), jax.devices()[:1])
  policy = make_policy(config, mesh)
  optimizer = optimizer or adamw(learning_rate=1e-2)
  params = policy.init(jax.random.key(0))
  state = make_state(policy, optimizer, mesh, params)
  update = make_update(
    policy, optimizer, srpo_loss, mesh, micro_rows=micro_rows
  )
  return state, update, mesh


def test_equal_rewards_change_nothing():
  batch = layouts.make_batch()
  batch = batch.replace(advantage_BT=0 * batch.advantage_BT)
  state, update, mesh = state_and_update(optimizer=optax.sgd(1.0))
  before = fingerprint(state.params)
  state, metrics = update.apply(state, mesh_lib.put_batch(mesh, batch))
  assert fingerprint(state.params) == before
  assert float(metrics['grad_norm']) == 0
  assert int(state.step) == 1


def test_updates_make_good_tokens_likelier():
  state, update, mesh = state_and_update()
  batch = mesh_lib.put_batch(mesh, layouts.make_batch())
  start = update.score(state.params, batch).logprob_old_BT
  for _ in range(10):
    state, _ = update.apply(state, batch)
  end = update.score(state.params, batch).logprob_old_BT
  mask, a = batch.mask_BT, batch.advantage_BT[:, 0]
  gain = jnp.where(mask, end - start, 0).sum(axis=1)
  rows = np.asarray(mask.any(axis=1))
  assert np.corrcoef(np.asarray(gain)[rows], np.asarray(a)[rows])[0, 1] > 0.5


def temporaries(vocab_size: int, micro_rows: int | None) -> int:
  """Bytes of temporary memory of a compiled update."""
  state, update, _ = state_and_update(vocab_size, micro_rows)
  shape = jax.eval_shape(lambda: layouts.make_batch(B=8, T=256))
  abstract: Batch = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), shape
  )
  compiled = update.apply.lower(state, abstract).compile()
  return compiled.memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize('micro_rows', [None, 4])
def test_memory_is_flat_in_the_vocabulary(monkeypatch, micro_rows):
  """But for the head's gradient: of a micro-batch, of all, and a product."""
  monkeypatch.setattr(logprobs, 'chunk_length', lambda n, V, mesh: 2**20 // V)
  small = temporaries(8_000, micro_rows)
  for vocab_size in (64_000, 152_000):
    heads = (3 if micro_rows else 2) * 4 * 16 * (vocab_size - 8_000)
    assert temporaries(vocab_size, micro_rows) - heads <= 1.05 * small
