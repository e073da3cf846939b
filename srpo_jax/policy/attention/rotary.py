# SPDX-License-Identifier: Apache-2.0
"""Rotary positions."""

import jax
import jax.numpy as jnp


def rope(
  x_BTNH: jax.Array, position_BT: jax.Array, frequency_h: jax.Array
) -> jax.Array:
  """Rotary position embedding; halves of H are paired (as in Llama).

  x'ᵢ = xᵢ cos(m θᵢ) − xᵢ₊ₕ sin(m θᵢ), θ the frequencies [H/2], m the position.
  RoFormer, Su et al. 2021, equation 34.
  """
  return turn_by(x_BTNH, *rotation(position_BT, frequency_h))


def rotation(
  position_BT: jax.Array, frequency_h: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Cosine and sine of m θᵢ, [B, T, 1, H/2]."""
  angle = (
    position_BT[..., None, None].astype(jnp.float32)
    * jnp.asarray(frequency_h)[(None,) * (position_BT.ndim + 1)]
  )
  return jnp.cos(angle), jnp.sin(angle)


def turn_by(x_BTNH: jax.Array, cos: jax.Array, sin: jax.Array) -> jax.Array:
  """x turned by what `rotation` gives."""
  x1, x2 = jnp.split(x_BTNH.astype(jnp.float32), 2, axis=-1)
  both = jnp.concatenate([x1 * cos - x2 * sin, x2 * cos + x1 * sin], -1)
  return both.astype(x_BTNH.dtype)
