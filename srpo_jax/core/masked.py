# SPDX-License-Identifier: Apache-2.0
"""Sums and means over the tokens that count."""

import jax
import jax.numpy as jnp


def masked_sum(x: jax.Array, mask: jax.Array) -> jax.Array:
  """Sum of x where mask is True; a NaN outside the mask does not spread."""
  return jnp.sum(jnp.where(mask, x, 0))


def masked_mean(x: jax.Array, mask: jax.Array) -> jax.Array:
  """Mean of x where mask is True; 0 where nothing is."""
  return masked_sum(x, mask) / jnp.maximum(jnp.sum(mask), 1)
