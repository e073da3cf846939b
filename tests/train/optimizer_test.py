# SPDX-License-Identifier: Apache-2.0
"""AdamW with its moments in bfloat16."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from srpo_jax.train.optimizer import adamw


def steps(optimizer, n):
  """Parameters and state after n updates towards 1, from 0."""
  params = {'w': jnp.zeros(64)}
  state = optimizer.init(params)
  target = jnp.linspace(0.5, 1.5, 64)
  for _ in range(n):
    grads = jax.tree.map(lambda w: w - target, params)
    updates, state = optimizer.update(grads, state, params)
    params = optax.apply_updates(params, updates)
  return params, state


def test_moments_in_bfloat16_take_half_and_lead_to_the_same():
  rate = {'learning_rate': 1e-2, 'max_grad_norm': 1e9}
  whole, state = steps(adamw(**rate), 50)
  halved, small = steps(adamw(**rate, moments_dtype='bfloat16'), 50)
  moments = lambda s: [x.dtype for x in jax.tree.leaves(s) if x.size == 64]
  assert moments(state) == [jnp.float32] * 2
  assert moments(small) == [jnp.bfloat16] * 2
  np.testing.assert_allclose(halved['w'], whole['w'], rtol=0.02)
  assert not np.array_equal(halved['w'], whole['w'])


def test_in_float32_it_is_that_of_optax():
  ours = adamw(learning_rate=1e-2, weight_decay=0.1, max_grad_norm=1e9)
  theirs = optax.adamw(1e-2, b1=0.9, b2=0.95, weight_decay=0.1)
  np.testing.assert_array_equal(
    steps(ours, 9)[0]['w'], steps(theirs, 9)[0]['w']
  )
