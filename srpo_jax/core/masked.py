# SPDX-License-Identifier: Apache-2.0
"""Sums and means over the tokens that count.

A row may hold several sequences, one after another: `segment_BT` numbers them
from 1, and is 0 on padding. A row of T tokens holds at most T of them, so what
is one number a sequence has the shape [B, T + 1]; entry s is sequence s's.
"""

import jax
import jax.numpy as jnp


def masked_sum(x: jax.Array, mask: jax.Array) -> jax.Array:
  """Sum of x where mask is True; a NaN outside the mask does not spread."""
  return jnp.sum(jnp.where(mask, x, 0))


def masked_mean(x: jax.Array, mask: jax.Array) -> jax.Array:
  """Mean of x where mask is True; 0 where nothing is."""
  return masked_sum(x, mask) / jnp.maximum(jnp.sum(mask), 1)


def sequence_sum(
  x_BT: jax.Array, mask_BT: jax.Array, segment_BT: jax.Array
) -> jax.Array:
  """Sum of x over each sequence where mask is True, [B, T + 1]."""
  T = x_BT.shape[1]
  add = lambda x_T, segment_T: (
    jnp.zeros(T + 1, x_T.dtype).at[segment_T].add(x_T)
  )
  return jax.vmap(add)(jnp.where(mask_BT, x_BT, 0), segment_BT)


def sequence_count(mask_BT: jax.Array, segment_BT: jax.Array) -> jax.Array:
  """Tokens of each sequence where mask is True, [B, T + 1] int32."""
  return sequence_sum(mask_BT.astype(jnp.int32), mask_BT, segment_BT)


def sequence_mean(
  x_BT: jax.Array, mask_BT: jax.Array, segment_BT: jax.Array
) -> jax.Array:
  """Mean over each sequence where mask is True, [B, T + 1]; 0 without any."""
  count_BS = sequence_count(mask_BT, segment_BT)
  return sequence_sum(x_BT, mask_BT, segment_BT) / jnp.maximum(count_BS, 1)


def to_tokens(x_BS: jax.Array, segment_BT: jax.Array) -> jax.Array:
  """Each sequence's number on all of its tokens, [B, T]."""
  return jnp.take_along_axis(x_BS, segment_BT, axis=1)
