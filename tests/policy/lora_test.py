# SPDX-License-Identifier: Apache-2.0
"""Adapters: nothing at the start, trained alone, and gone when merged."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from srpo_jax.core import mesh as mesh_lib
from srpo_jax.core.records import Batch
from srpo_jax.policy import lora
from srpo_jax.policy.config import DecoderConfig, Lora
from srpo_jax.policy.policy import SCANNED, UNROLLED, make_policy
from srpo_jax.srpo.loss import ClipConfig, srpo_loss
from srpo_jax.train.state import add_adapters, init_params, make_state
from srpo_jax.train.update import make_update

PLAIN = DecoderConfig(31, 16, 3, 4, 2, 6, 24, qkv_bias=True, qk_norm=True)
ADAPTED = dataclasses.replace(PLAIN, lora=Lora(rank=3, alpha=6.0))
MESH = mesh_lib.make_mesh((1, 1, 1), jax.devices()[:1])


def base():
  return init_params(make_policy(PLAIN, MESH), MESH, jax.random.key(0))


def adapted(seed=1, noise=0.0):
  """Base parameters with adapters; `noise` makes them do something."""
  policy = make_policy(ADAPTED, MESH)
  params = add_adapters(policy, MESH, base(), jax.random.key(seed))
  trained, frozen = lora.split(params)
  rng = np.random.default_rng(0)
  shake = lambda x: x + noise * rng.normal(size=x.shape).astype(np.float32)
  return lora.join(jax.tree.map(shake, trained), frozen)


def batch(B=4, T=9):
  rng = np.random.default_rng(1)
  tokens = rng.integers(0, PLAIN.vocab_size, (B, T)).astype(np.int32)
  position = np.ascontiguousarray(np.broadcast_to(np.arange(T), (B, T)))
  zeros = np.zeros((B, T), np.float32)
  return Batch(
    tokens_BT=tokens,
    logprob_old_BT=zeros,
    logprob_rollout_BT=zeros,
    advantage_BT=np.repeat(rng.normal(size=(B, 1)), T, axis=1).astype('f4'),
    mask_BT=np.broadcast_to(np.arange(T) > 2, (B, T)),
    segment_BT=np.ones((B, T), np.int32),
    position_BT=position.astype(np.int32),
  )


def logprobs(config, params, walk=None):
  b = batch()
  policy = make_policy(config, MESH, walk)
  args = (b.tokens_BT, b.position_BT, b.segment_BT, 1.0)
  return jax.jit(policy.logprobs)(params, *args)[0]


def test_fresh_adapters_change_nothing():
  got = logprobs(ADAPTED, adapted())
  np.testing.assert_allclose(got, logprobs(PLAIN, base()), atol=2e-6)


def test_merged_is_the_same_policy():
  params = adapted(noise=0.3)
  got = logprobs(PLAIN, lora.merged(params, ADAPTED.lora))
  wanted = logprobs(ADAPTED, params)
  np.testing.assert_allclose(got, wanted, atol=1e-4)
  assert np.abs(wanted - logprobs(PLAIN, base())).max() > 0.1
  scanned = logprobs(ADAPTED, params, SCANNED)
  np.testing.assert_allclose(
    scanned, logprobs(ADAPTED, params, UNROLLED), atol=2e-5
  )


def test_merging_gives_what_merged_gives_one_kernel_at_a_time(monkeypatch):
  params, calls, add_up = adapted(noise=0.3), [], lora._sum
  whole = jax.jit(functools.partial(lora.merged, lora=ADAPTED.lora))(params)

  def spy(kernel, adapter, lora):
    calls.append(kernel.shape)
    return add_up(kernel, adapter, lora)

  monkeypatch.setattr(lora, '_sum', spy)
  tree = lora.Merging(params, ADAPTED.lora)
  assert not calls
  for path, wanted in jax.tree_util.tree_leaves_with_path(whole):
    found = tree
    for key in path:
      found = found[key.key]
    np.testing.assert_array_equal(found, wanted)
  assert len(calls) == len(Lora.PROJECTIONS)
  attention, plain = tree['layers']['attention']['q'], params['embed']['table']
  assert set(attention) == {'kernel', 'bias'}
  assert len(attention) == 2
  # What has no adapter is not copied.
  assert tree['embed']['table'] is plain


@pytest.mark.parametrize('name', Lora.PROJECTIONS)
def test_an_adapter_of_one_projection(name):
  one = Lora(rank=2, alpha=1.0, targets=(name,))
  config = dataclasses.replace(PLAIN, lora=one)
  policy = make_policy(config, MESH)
  params = add_adapters(policy, MESH, base(), jax.random.key(3))
  trained, frozen = lora.split(params)
  assert len(jax.tree.leaves(trained)) == 2
  assert jax.tree.structure(frozen) == jax.tree.structure(base())
  trained = jax.tree.map(lambda x: x + 0.2, trained)
  params = lora.join(trained, frozen)
  got = logprobs(PLAIN, lora.merged(params, one))
  np.testing.assert_allclose(got, logprobs(config, params), atol=1e-4)
  assert np.abs(got - logprobs(PLAIN, base())).max() > 1e-3


def test_only_adapters_are_trained_and_have_moments():
  policy, optimizer = make_policy(ADAPTED, MESH), optax.adamw(1e-2)
  params = adapted()
  loss = lambda *args: srpo_loss(*args, clip=ClipConfig(0.2, 0.28))
  before = jax.tree.map(np.array, lora.split(params))
  state = make_state(policy, optimizer, MESH, params)
  moments = optax.tree.get(state.opt_state, 'mu')
  assert jax.tree.structure(moments) == jax.tree.structure(before[0])
  update = make_update(policy, optimizer, loss, MESH, micro_rows=2)
  for _ in range(2):  # the first moves B alone, since A's gradient is B's
    state, metrics = update.apply(state, mesh_lib.put_batch(MESH, batch()))
  after = lora.split(state.params)
  jax.tree.map(np.testing.assert_array_equal, after[1], before[1])
  moved = jax.tree.map(lambda x, y: bool((x != y).any()), after[0], before[0])
  assert all(jax.tree.leaves(moved))
  assert float(metrics['grad_norm']) > 0


def test_a_bfloat16_base_keeps_float32_adapters():
  config = dataclasses.replace(ADAPTED, param_dtype='bfloat16')
  policy = make_policy(config, MESH)
  trained, frozen = lora.split(policy.init(jax.random.key(0)))
  assert {x.dtype for x in jax.tree.leaves(trained)} == {jnp.dtype('float32')}
  assert {x.dtype for x in jax.tree.leaves(frozen)} == {jnp.dtype('bfloat16')}
  both = lora.join(trained, frozen)
  merged = lora.merged(both, config.lora)
  assert {x.dtype for x in jax.tree.leaves(merged)} == {jnp.dtype('bfloat16')}
