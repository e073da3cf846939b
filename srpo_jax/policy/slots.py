# SPDX-License-Identifier: Apache-2.0
"""The caches of slots: prompts held once, and a ring of responses.

All rows write the same column of the ring at the same time, so writing is one
slice and no scatter, however unlike the ages of the rows. A column's age is
the same in all rows; a row sees the columns that are younger than itself.
slot_attention.py names the axes, slot_cache.py says how numbers are kept.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from srpo_jax.core import mesh as mesh_lib
from srpo_jax.policy.slot_attention import in_a_row, take_slots
from srpo_jax.policy.slot_cache import KEEP


@flax.struct.dataclass
class Ring:
  """The responses' keys and values.

  Attributes:
    kv: (k [X, S, K, E, H, c], v [X, S, K, C, H]) for each layer. Keys lie on
      their side, in E panels of c columns, C = E c: the product with a query
      then runs along memory.
    clock: the column that the next token is written to.
  """

  kv: Any
  clock: jax.Array

  @property
  def length(self) -> int:
    """C."""
    keys = jax.tree.leaves(self.kv)[0]
    return keys.shape[-3] * keys.shape[-1]

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

  @property
  def length(self) -> int:
    """L."""
    return jax.tree.leaves(self.kv)[0].shape[-1]


class SlotDecoder(NamedTuple):
  """Decoding in slots.

  Attributes:
    params: a policy's params -> those that decode and logits take.
    prompts: (Prefix, dtype) -> the prompts as slots read them.
    empty: (slots a shard, columns, dtype) -> empty ring.
    resized: (ring, slot_XS, columns) -> those slots, in so many columns.
    decode: (params, prompts, ring, rows, token_XS, dtype) -> y_XSD, ring.
      dtype is a name of slot_cache.KEEP.
    logits: (params, y_XSD) -> float32 logits [X, S, V].
  """

  params: Callable
  prompts: Callable
  empty: Callable
  resized: Callable
  decode: Callable
  logits: Callable


def _of_pairs(change, *trees):
  """change(pair, ..) for the (k, v) of each layer, stacked or not."""
  is_pair = lambda x: isinstance(x, tuple) and not isinstance(x[0], tuple)
  return jax.tree.map(change, *trees, is_leaf=is_pair)


# The axis of H, from the right, of keys and of values.
KEYS, VALUES = -2, -1

# Columns of a panel on a CPU, which reads keys of longer rows at a third of
# the speed (docs/speed.md).
PANEL = 64


def panels(mesh: Mesh, length: int) -> tuple[int, int]:
  """(E, c) for at least so many columns."""
  on_cpu = mesh.devices.flat[0].platform == 'cpu'
  if on_cpu and length > PANEL:
    return -(-length // PANEL), PANEL
  return 1, length


def in_panels(k: jax.Array, E: int) -> jax.Array:
  """[.., H, C] as [.., E, H, c]."""
  k = k.reshape(*k.shape[:-1], E, -1)
  return jnp.moveaxis(k, -2, -3)


def of_prefix(mesh: Mesh, prefix, dtype: str) -> Prompts:
  """Its cache [.., P, K, L, H], cut over shards, keys on their side."""
  X, keep = mesh_lib.decode_shards(mesh), KEEP[dtype]

  def cut(x):
    at = x.ndim - 4
    return x.reshape(*x.shape[:at], X, x.shape[at] // X, *x.shape[at + 1 :])

  def lie(x):
    names = (None,) * (x.ndim - 5) + ('batch', None, 'kv_heads', None, None)
    return mesh_lib.constrain(mesh, x, *names, rules=mesh_lib.DECODE_RULES)

  def kept(pair):
    k, v = lie(cut(pair[0]).swapaxes(-1, -2)), lie(cut(pair[1]))
    return keep(k, KEYS), keep(v, VALUES)

  return Prompts(_of_pairs(kept, prefix.kv), prefix.length_P.reshape(X, -1))


def empty_ring(
  config, mesh: Mesh, walk, slots: int, length: int, dtype: str
) -> Ring:
  """A ring of `slots` rows a shard and at least `length` columns."""
  shape = (mesh_lib.decode_shards(mesh), slots, config.n_kv_heads)
  axes, H = ('batch', None, 'kv_heads'), config.head_dim
  E, c = panels(mesh, length)

  def zeros(*last):
    x = jnp.zeros((*shape, *last))
    names = (*axes, *(None for _ in last))
    return mesh_lib.constrain(mesh, x, *names, rules=mesh_lib.DECODE_RULES)

  one = KEEP[dtype](zeros(E, H, c), KEYS), KEEP[dtype](zeros(E * c, H), VALUES)
  return Ring(walk.caches(one, config.n_layers), jnp.zeros((), jnp.int32))


def write(ring: Ring, kept, dtype: str) -> Ring:
  """The ring with every layer's k and v [X, S, K, H] in the clock's column."""

  def put(old, new, place):
    def one(old, new):
      start = [0] * old.ndim
      for axis, index in place(old).items():
        start[axis] = index
      return jax.lax.dynamic_update_slice(old, new, start)

    return jax.tree.map(one, old, new)

  def of_key(old):
    panel, column = jnp.divmod(ring.clock, old.shape[-1])
    return {-3: panel, -1: column}

  def both(old, new):
    k = KEEP[dtype](new[0][..., None, :, None], KEYS)
    v = KEEP[dtype](new[1][..., None, :], VALUES)
    return put(old[0], k, of_key), put(old[1], v, lambda _: {-2: ring.clock})

  kv = _of_pairs(both, ring.kv, kept)
  return Ring(kv, (ring.clock + 1) % ring.length)


def resized(mesh: Mesh, ring: Ring, slot_XS: jax.Array, length: int) -> Ring:
  """These slots of the ring, in another number of columns.

  The youngest columns stay, the oldest of them in column 0.
  """
  E, c = panels(mesh, length)
  kept = min(E * c, ring.length)
  column = (ring.clock - kept + jnp.arange(kept)) % ring.length

  def fit(x, axis):
    of_layer = lambda x: take_slots(x, slot_XS)
    x = jnp.take(x, column, axis=axis)
    x = of_layer(x) if x.ndim == 5 else jax.vmap(of_layer)(x)
    pad = [(0, 0)] * x.ndim
    pad[axis] = (0, E * c - kept)
    return jnp.pad(x, pad)

  def fitted(pair):
    k, v = pair
    k = jax.tree.map(lambda x: in_panels(fit(in_a_row(x), -1), E), k)
    return k, jax.tree.map(lambda x: fit(x, -2), v)

  kv = _of_pairs(fitted, ring.kv)
  return Ring(kv, jnp.asarray(kept % (E * c), jnp.int32))
