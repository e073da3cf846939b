# SPDX-License-Identifier: Apache-2.0
"""The caches of slots: prompts held once, and a ring of responses.

All rows write the same column of the ring at the same time, so writing is one
slice and no scatter, however unlike the ages of the rows. A column's age is
the same in all rows; a row sees the columns that are younger than itself.
slot_attention.py names the axes.
"""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from srpo_jax.core import mesh as mesh_lib
from srpo_jax.policy.slot_attention import take_slots


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


def in_slots(mesh: Mesh, kv, length_P: jax.Array) -> Prompts:
  """A prefill's cache [.., P, K, L, H], cut over shards, keys on their side."""
  X = mesh_lib.batch_shards(mesh)

  def cut(x):
    at = x.ndim - 4
    return x.reshape(*x.shape[:at], X, x.shape[at] // X, *x.shape[at + 1 :])

  def lie(x):
    names = (None,) * (x.ndim - 5) + ('batch', None, 'kv_heads', None, None)
    return mesh_lib.constrain(mesh, x, *names)

  kv = _of_pairs(
    lambda pair: (lie(cut(pair[0]).swapaxes(-1, -2)), lie(cut(pair[1]))), kv
  )
  return Prompts(kv, length_P.reshape(X, -1))


def empty_ring(config, mesh: Mesh, walk, slots: int, length: int) -> Ring:
  """A ring of `slots` rows a shard and `length` columns."""
  shape = (mesh_lib.batch_shards(mesh), slots, config.n_kv_heads)
  names, H = ('batch', None, 'kv_heads', None, None), config.head_dim
  zeros = lambda *last: mesh_lib.constrain(
    mesh, jnp.zeros((*shape, *last), config.compute_dtype), *names
  )
  one = (zeros(H, length), zeros(length, H))
  return Ring(walk.caches(one, config.n_layers), jnp.zeros((), jnp.int32))


def write(ring: Ring, kept) -> Ring:
  """The ring with every layer's k and v [X, S, K, H] in the clock's column."""

  def put(old, new, axis):
    new = jnp.expand_dims(new, axis).astype(old.dtype)
    at = old.ndim + axis
    return jax.lax.dynamic_update_slice_in_dim(old, new, ring.clock, at)

  kv = _of_pairs(
    lambda old, new: (put(old[0], new[0], -1), put(old[1], new[1], -2)),
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

  kv = _of_pairs(lambda pair: (fit(pair[0], -1), fit(pair[1], -2)), ring.kv)
  return Ring(kv, jnp.asarray(kept % length, jnp.int32))
