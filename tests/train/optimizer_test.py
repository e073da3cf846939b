# SPDX-License-Identifier: Apache-2.0
"""Moments that lie in bfloat16 between updates."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from srpo_jax.core import mesh as mesh_lib
from srpo_jax.core.config import ConfigError
from srpo_jax.policy.config import DecoderConfig
from srpo_jax.policy.policy import make_policy
from srpo_jax.train.optimizer import adamw
from srpo_jax.train.state import abstract_state

CONFIG = DecoderConfig(32, 16, 2, 4, 2, 8, 32)


def walk(optimizer, steps=40):
  """Each step's update of some parameters, gradients in float32, noisy."""
  rng = np.random.default_rng(0)
  params = {'w': jnp.asarray(rng.normal(size=(64, 8)), jnp.float32)}
  mean, state = rng.normal(size=(64, 8)), optimizer.init(params)
  update, found = jax.jit(optimizer.update), []
  for _ in range(steps):
    noisy = mean + 0.5 * rng.normal(size=mean.shape)
    grads = {'w': jnp.asarray(noisy, jnp.float32)}
    updates, state = update(grads, state, params)
    params = optax.apply_updates(params, updates)
    found.append(np.asarray(updates['w']))
  return np.stack(found), state


def test_bfloat16_moments_stay_close_to_float32():
  wide, _ = walk(adamw(learning_rate=1e-3))
  narrow, state = walk(adamw(learning_rate=1e-3, moment_dtype='bfloat16'))
  # The first update rounds nothing: only what is stored is rounded.
  np.testing.assert_array_equal(narrow[0], wide[0])
  apart = np.linalg.norm(narrow - wide, axis=(1, 2))
  share = apart / np.linalg.norm(wide, axis=(1, 2))
  assert 0 < share.max() < 0.02
  moments = [x for x in jax.tree.leaves(state) if x.ndim]
  assert {x.dtype for x in moments} == {jnp.dtype('bfloat16')}
  assert len(moments) == 2


def moment_bytes(moment_dtype):
  mesh = mesh_lib.make_mesh((1, 1, 1), jax.devices()[:1])
  policy = make_policy(CONFIG, mesh)
  shapes = jax.eval_shape(policy.init, jax.random.key(0))
  optimizer = adamw(learning_rate=1e-3, moment_dtype=moment_dtype)
  state = abstract_state(policy, optimizer, mesh, shapes)
  moments = [x for x in jax.tree.leaves(state.opt_state) if x.ndim]
  weights = sum(x.size for x in jax.tree.leaves(shapes))
  return sum(x.size * x.dtype.itemsize for x in moments) / weights, state


def test_they_take_half_the_memory_in_the_same_tree():
  (wide, one), (narrow, other) = map(moment_bytes, ('float32', 'bfloat16'))
  assert (wide, narrow) == (8, 4)  # bytes a weight
  assert jax.tree.structure(one) == jax.tree.structure(other)
  place = lambda x: x.sharding
  assert jax.tree.map(place, one) == jax.tree.map(place, other)


def test_a_decay_at_the_limit_still_moves_every_number():
  """What the refusal of a slower decay rests on."""
  every = jnp.linspace(1, 2, 129, dtype=jnp.bfloat16)[:-1]
  decayed = lambda b: (every.astype(jnp.float32) * b).astype(jnp.bfloat16)
  assert (decayed(0.99609375 - 1e-6) < every).all()
  assert (decayed(0.999) == every).any()


@pytest.mark.parametrize(
  ('asked', 'wanted'),
  [
    ({'moment_dtype': 'float16'}, "MOMENT_DTYPE = 'float16'"),
    ({'moment_dtype': 'bfloat16', 'b2': 0.999}, 'adamw.b2 = 0.999'),
    ({'moment_dtype': 'bfloat16', 'b1': 0.9999}, 'adamw.b1 = 0.9999'),
  ],
)
def test_what_cannot_be_kept_is_refused(asked, wanted):
  with pytest.raises(ConfigError, match=wanted):
    adamw(learning_rate=1e-3, **asked)
