# SPDX-License-Identifier: Apache-2.0
"""Devices as a mesh, and where each logical axis of an array lives on it.

Arrays name their axes by meaning ('embed', 'heads', 'batch'); one ordered
list of rules says which mesh axes those are cut over. Code elsewhere never
names a mesh axis. Decoding has a list of its own: it wants its arrays
elsewhere than the update does. docs/mesh.md says which axis is for what.
"""

import math

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

AXES = ('data', 'fsdp', 'tensor', 'sequence')

Rules = tuple[tuple[str, tuple[str, ...]], ...]

# Tried from the top: a logical axis gets the mesh axes of its first rule whose
# axes are free in this array and divide it. One that no rule fits is whole.
RULES: Rules = (
  ('batch', ('data', 'fsdp')),
  ('tokens', ('sequence',)),
  ('vocab', ('tensor',)),
  ('heads', ('tensor',)),
  ('kv_heads', ('tensor',)),
  ('mlp', ('tensor',)),
  ('embed', ('fsdp', 'sequence')),
  ('embed', ('fsdp',)),
  ('layers', ()),
  ('head', ()),
  ('rank', ()),
)

# A step of decoding has one token a row, so there is no axis of tokens to cut:
# those devices take rows. So do those of a prefill, whose prompts are short.
DECODE_RULES: Rules = (
  ('batch', ('data', 'fsdp', 'sequence')),
  ('tokens', ()),
  *(rule for rule in RULES if rule[0] not in ('batch', 'tokens')),
)


def resolve_shape(shape: tuple[int, ...], n_devices: int) -> tuple[int, ...]:
  """Counts over AXES: three mean sequence = 1, one -1 the devices left.

  Raises:
    ValueError: the shape does not use exactly `n_devices`.
  """
  known = math.prod(size for size in shape if size != -1)
  filled = tuple(n_devices // known if s == -1 else s for s in shape)
  if len(shape) == len(AXES) - 1:
    filled = (*filled, 1)
  if len(filled) != len(AXES) or math.prod(filled) != n_devices:
    raise ValueError(f'{shape} does not fit {n_devices} devices')
  return filled


def make_mesh(shape: tuple[int, ...], devices=None) -> Mesh:
  """A mesh over (data, fsdp, tensor) or (data, fsdp, tensor, sequence)."""
  devices = jax.devices() if devices is None else devices
  grid = np.array(devices).reshape(resolve_shape(shape, len(devices)))
  # Auto, because Explicit (the default of jax.make_mesh) asks every indexing
  # operation to say its output sharding; the rules above are enough for us.
  return Mesh(grid, AXES, axis_types=(AxisType.Auto,) * len(AXES))


def shards(mesh: Mesh, logical: str, rules: Rules = RULES) -> int:
  """Pieces that the first rule of a logical axis cuts it into."""
  axes = next(axes for name, axes in rules if name == logical)
  return math.prod(mesh.shape[axis] for axis in axes)


def batch_shards(mesh: Mesh) -> int:
  """Pieces that the rows of the update's batch are cut into."""
  return shards(mesh, 'batch')


def decode_shards(mesh: Mesh) -> int:
  """Pieces that prompts and slots are cut into."""
  return shards(mesh, 'batch', DECODE_RULES)


def spec(
  mesh: Mesh,
  logical: tuple[str | None, ...],
  shape: tuple[int, ...],
  rules: Rules = RULES,
) -> PartitionSpec:
  """The mesh axes of an array, by the rules.

  An axis whose size the mesh does not divide is left whole: two key/value
  heads on four tensor shards are replicated, not an error.
  """
  unknown = {name for name in logical if name} - {name for name, _ in rules}
  if len(logical) != len(shape) or unknown:
    raise ValueError(f'axes {logical} of an array {shape}')
  entries: list[tuple[str, ...] | None] = [None] * len(shape)
  used = set()
  for name, axes in rules:
    n_shards = math.prod(mesh.shape[axis] for axis in axes)
    for i, size in enumerate(shape):
      is_open = logical[i] == name and entries[i] is None
      if is_open and axes and used.isdisjoint(axes) and size % n_shards == 0:
        entries[i] = axes
        used.update(axes)
  return PartitionSpec(*entries)


def sharding(
  mesh: Mesh,
  logical: tuple[str | None, ...],
  shape: tuple[int, ...],
  rules: Rules = RULES,
) -> NamedSharding:
  """`spec` as a NamedSharding."""
  return NamedSharding(mesh, spec(mesh, logical, shape, rules))


def constrain(
  mesh: Mesh, x: jax.Array, *logical: str | None, rules: Rules = RULES
) -> jax.Array:
  """Asks the compiler to lay x out by its logical axes."""
  place = sharding(mesh, logical, x.shape, rules)
  return jax.lax.with_sharding_constraint(x, place)


def put_batch(mesh: Mesh, tree, rules: Rules = RULES):
  """Host arrays [batch, tokens, ..] to the mesh, cut by the rules.

  Every host gives the whole arrays, and places what its devices hold.
  """

  def put(x):
    x = np.asarray(x)
    place = of_batch(mesh, x.shape, rules)
    if place.is_fully_addressable:
      return jax.device_put(x, place)
    # device_put would have the hosts compare their whole arrays first.
    return jax.make_array_from_callback(x.shape, place, lambda cut: x[cut])

  return jax.tree.map(put, tree)


def of_batch(
  mesh: Mesh, shape: tuple[int, ...], rules: Rules = RULES
) -> NamedSharding:
  """Where an array [batch, tokens, ..] lies."""
  logical = ('batch', 'tokens', *(None,) * len(shape))[: len(shape)]
  return sharding(mesh, logical, shape, rules)


def replicated(mesh: Mesh) -> NamedSharding:
  """The whole array on every device."""
  return NamedSharding(mesh, PartitionSpec())


def first_device() -> NamedSharding:
  """The whole array on the first device, for what needs no mesh."""
  return replicated(make_mesh((1, 1, 1), jax.local_devices()[:1]))
