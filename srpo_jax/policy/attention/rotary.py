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
  angle = (
    position_BT[..., None, None].astype(jnp.float32)
    * jnp.asarray(frequency_h)[(None,) * (position_BT.ndim + 1)]
  )
  cos, sin = jnp.cos(angle), jnp.sin(angle)
  x1, x2 = jnp.split(x_BTNH.astype(jnp.float32), 2, axis=-1)
  turned = jnp.concatenate([x1 * cos - x2 * sin, x2 * cos + x1 * sin], -1)
  return turned.astype(x_BTNH.dtype)
