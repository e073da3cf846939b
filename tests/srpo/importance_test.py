# SPDX-License-Identifier: Apache-2.0
"""Weights between sampler and trainer."""

import jax
import jax.numpy as jnp
import numpy as np

from srpo_jax.srpo.importance import (
  no_weights,
  truncated_sequence_weights,
  truncated_weights,
)

# Ratios 0.5, 3 and, outside the mask, whatever.
OLD = jnp.log(jnp.array([[0.5, 3.0, jnp.nan]]))
SAMPLER = jnp.zeros((1, 3))
MASK = jnp.array([[True, True, False]])
ONE = jnp.array([[1, 1, 1]])


def test_golden_by_hand():
  np.testing.assert_allclose(
    truncated_weights(OLD, SAMPLER, MASK, ONE), [[0.5, 2, 1]], rtol=1e-6
  )
  # 0.5 · 3 = 1.5, and 1.2 where that is the cap.
  np.testing.assert_allclose(
    truncated_sequence_weights(OLD, SAMPLER, MASK, ONE), [[1.5] * 3], rtol=1e-6
  )
  np.testing.assert_allclose(
    truncated_sequence_weights(OLD, SAMPLER, MASK, ONE, cap=1.2), [[1.2] * 3]
  )


def test_equal_numbers_weigh_exactly_one():
  old = jnp.array([[-1.2, -0.3]])
  mask = jnp.ones((1, 2), bool)
  for weights in (no_weights, truncated_weights, truncated_sequence_weights):
    np.testing.assert_array_equal(weights(old, old, mask, ONE[:, :2]), [[1, 1]])


def test_an_overflowing_sequence_is_held():
  old, mask = jnp.full((1, 9), 50.0), jnp.ones((1, 9), bool)
  one = jnp.ones((1, 9), jnp.int32)
  weight = truncated_sequence_weights(old, jnp.zeros((1, 9)), mask, one)
  np.testing.assert_array_equal(weight, np.full((1, 9), 2))


def test_no_gradient_flows_through_a_weight():
  for weights in (truncated_weights, truncated_sequence_weights):
    slope = jax.grad(lambda x, f=weights: f(x, SAMPLER, MASK, ONE).sum())(OLD)
    np.testing.assert_array_equal(slope, np.zeros((1, 3)))
