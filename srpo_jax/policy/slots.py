# SPDX-License-Identifier: Apache-2.0
"""The caches of slots: prompts held once, and a ring of responses.

All rows write the same column of the ring at the same time, so writing is one
slice and no scatter, however unlike the ages of the rows. A column's age is
the same in all rows; a row sees the columns that are younger than itself.
slot_attention.py names the axes, slot_cache.py says how numbers are kept.
"""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from srpo_jax.core import mesh as mesh_lib
from srpo_jax.policy.slot_attention import take_slots
from srpo_jax.policy.slot_cache import KEEP


@flax.struct.dataclass
class Ring:
  """The responses' keys and values.

  Attributes:
    kv: (k [X, S, K, H, C], v [X, S, K, C, H]) for each layer. Keys lie on
      their side: the product with a query then runs along memory.
    clock: the column that the next token is written to.
  """

  kv: Any
  clock: jax.Array

  @property
  def length(self) -> int:
    """C."""
    return jax.tree.leaves(self.kv)[0].shape[-1]

  @property
  def age_C(self) -> jax.Array:
    """0 for the newest column."""
    return (self.clock - 1 - jnp.arange(self.length)) % self.length


@flax.struct.dataclass
class Prompts:
  """Prompts as slots read them.

  Attributes:
    kv: (k [X, P, K, H, L], v [X, P, K, L, H]) for each layer.
    length_XP: tokens of each.
  """

  kv: Any
  length_XP: jax.Array


def _of_pairs(change, *trees):
  """change(pair, ..) for the (k, v) of each layer, stacked or not."""
  is_pair = lambda x: isinstance(x, tuple) and not isinstance(x[0], tuple)
  return jax.tree.map(change, *trees, is_leaf=is_pair)


# Axes of H and of columns, from the right, of keys and of values.
KEYS, VALUES = (-2, -1), (-1, -2)


def in_slots(mesh: Mesh, kv, length_P: jax.Array, dtype: str) -> Prompts:
  """A prefill's cache [.., P, K, L, H], cut over shards, keys on their side."""
  X, keep = mesh_lib.batch_shards(mesh), KEEP[dtype]

  def cut(x):
    at = x.ndim - 4
    return x.reshape(*x.shape[:at], X, x.shape[at] // X, *x.shape[at + 1 :])

  def lie(x):
    names = (None,) * (x.ndim - 5) + ('batch', None, 'kv_heads', None, None)
    return mesh_lib.constrain(mesh, x, *names)

  def kept(pair):
    k, v = lie(cut(pair[0]).swapaxes(-1, -2)), lie(cut(pair[1]))
    return keep(k, KEYS[0]), keep(v, VALUES[0])

  return Prompts(_of_pairs(kept, kv), length_P.reshape(X, -1))


def empty_ring(
  config, mesh: Mesh, walk, slots: int, length: int, dtype: str
) -> Ring:
  """A ring of `slots` rows a shard and `length` columns."""
  shape = (mesh_lib.batch_shards(mesh), slots, config.n_kv_heads)
  names, H = ('batch', None, 'kv_heads', None, None), config.head_dim
  zeros = lambda *last: mesh_lib.constrain(
    mesh, jnp.zeros((*shape, *last)), *names
  )
  one = (
    KEEP[dtype](zeros(H, length), KEYS[0]),
    KEEP[dtype](zeros(length, H), VALUES[0]),
  )
  return Ring(walk.caches(one, config.n_layers), jnp.zeros((), jnp.int32))


def write(ring: Ring, kept, dtype: str) -> Ring:
  """The ring with every layer's k and v [X, S, K, H] in the clock's column."""

  def put(old, new, axes):
    of_head, of_column = axes
    new = KEEP[dtype](jnp.expand_dims(new, of_column), of_head)
    return jax.tree.map(
      lambda old, new: jax.lax.dynamic_update_slice_in_dim(
        old, new, ring.clock, old.ndim + of_column
      ),
      old,
      new,
    )

  kv = _of_pairs(
    lambda old, new: (put(old[0], new[0], KEYS), put(old[1], new[1], VALUES)),
    ring.kv,
    kept,
  )
  return Ring(kv, (ring.clock + 1) % ring.length)


def resized(ring: Ring, slot_XS: jax.Array, length: int) -> Ring:
  """These slots of the ring, in another number of columns.

  The youngest columns stay, the oldest of them in column 0.
  """
  kept = min(length, ring.length)
  column = (ring.clock - kept + jnp.arange(kept)) % ring.length

  def fit(x, axis):
    of_layer = lambda x: take_slots(x, slot_XS)
    x = jnp.take(x, column, axis=axis)
    x = of_layer(x) if x.ndim == 5 else jax.vmap(of_layer)(x)
    pad = [(0, 0)] * x.ndim
    pad[axis] = (0, length - kept)
    return jnp.pad(x, pad)

  def fitted(pair):
    return tuple(
      jax.tree.map(lambda x, at=columns: fit(x, at), part)
      for part, (_, columns) in zip(pair, (KEYS, VALUES), strict=True)
    )

  kv = _of_pairs(fitted, ring.kv)
  return Ring(kv, jnp.asarray(kept % length, jnp.int32))
