# SPDX-License-Identifier: Apache-2.0
"""How slots keep keys and values: as they are, in bfloat16, or in 8 bits.

What a product with a cache is stands here too, so that attention need not know
how it is kept. Columns are tokens; each has, in 8 bits, a scale for each head.
"""

import flax.struct
import jax
import jax.numpy as jnp

F32 = {'preferred_element_type': jnp.float32}


@flax.struct.dataclass
class Int8:
  """Numbers as value · scale.

  Attributes:
    value: int8, in [-127, 127].
    scale: float32, the same shape with 1 for the axis H.
  """

  value: jax.Array
  scale: jax.Array


def _cast(dtype: str):
  return lambda x, axis: x.astype(dtype)


def to_int8(x: jax.Array, axis: int) -> Int8:
  """The nearest of 255 numbers between ±max |x| over the axis."""
  x = x.astype(jnp.float32)
  largest = jnp.max(jnp.abs(x), axis=axis, keepdims=True)
  scale = jnp.where(largest > 0, largest, 1) / 127
  return Int8(jnp.round(x / scale).astype(jnp.int8), scale)


# By the name that gin gives; (x, axis of H) -> what is kept.
KEEP = {
  'float32': _cast('float32'),
  'bfloat16': _cast('bfloat16'),
  'int8': to_int8,
}


def scores(equation: str, q: jax.Array, k: jax.Array | Int8) -> jax.Array:
  """q · k for every column, [.., n, C]; keys are [.., H, C]."""
  if isinstance(k, Int8):
    found = jnp.einsum(equation, q, k.value.astype(q.dtype), **F32)
    return found * k.scale
  return jnp.einsum(equation, q, k, **F32)


def weighed(equation: str, weight: jax.Array, v: jax.Array | Int8) -> jax.Array:
  """Σ weight · v over columns, [.., n, H]; values are [.., C, H]."""
  if isinstance(v, Int8):
    weight = weight * v.scale.swapaxes(-1, -2)
    return jnp.einsum(equation, weight, v.value.astype(weight.dtype), **F32)
  return jnp.einsum(equation, weight.astype(v.dtype), v, **F32)
