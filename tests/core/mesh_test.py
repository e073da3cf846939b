# SPDX-License-Identifier: Apache-2.0
"""Rules from logical axes to mesh axes, and shapes of meshes."""

import jax
import numpy as np
import pytest
from jax.sharding import AbstractMesh, PartitionSpec

from srpo_jax.core import mesh as mesh_lib


def mesh_of(*sizes):
  return AbstractMesh(sizes, mesh_lib.AXES)


@pytest.mark.parametrize(
  ('shape', 'n', 'filled'),
  [
    ((2, -1, 2), 8, (2, 2, 2, 1)),
    ((1, 2, 1, 4), 8, (1, 2, 1, 4)),
    ((1, 1, 2, -1), 8, (1, 1, 2, 4)),
  ],
)
def test_three_counts_mean_no_sequence_axis(shape, n, filled):
  assert mesh_lib.resolve_shape(shape, n) == filled


@pytest.mark.parametrize(
  'shape', [(8,), (2, 4), (3, 1, 1), (3, -1, 1), (2, 2, 2, 2), (8, 1, 1, 1, 1)]
)
def test_a_shape_that_does_not_fit_is_refused(shape):
  with pytest.raises(ValueError, match='does not fit 8 devices'):
    mesh_lib.resolve_shape(shape, 8)


# (mesh, logical axes, shape of the array, what it is cut over)
CUT = [
  ((2, 2, 2, 1), ('embed', 'mlp'), (8, 8), (('fsdp', 'sequence'), ('tensor',))),
  # The first rule does not divide, the second does.
  ((1, 2, 1, 4), ('embed', 'mlp'), (6, 8), (('fsdp',), ('tensor',))),
  # None divides: whole.
  ((1, 2, 1, 4), ('embed',), (7,), (None,)),
  ((1, 1, 4, 1), ('kv_heads', 'head'), (2, 8), (None, None)),
  # An axis of the mesh cuts one axis of an array.
  ((1, 1, 2, 1), ('heads', 'mlp'), (4, 4), (('tensor',), None)),
  # Rules come in their order, whatever that of the array's axes.
  ((1, 1, 2, 1), ('mlp', 'heads'), (4, 4), (None, ('tensor',))),
  (
    (2, 2, 1, 2),
    ('batch', 'tokens', None),
    (4, 6, 5),
    (('data', 'fsdp'), ('sequence',), None),
  ),
]


@pytest.mark.parametrize(('sizes', 'logical', 'shape', 'cut'), CUT)
def test_the_first_rule_that_is_free_and_divides_wins(
  sizes, logical, shape, cut
):
  got = mesh_lib.spec(mesh_of(*sizes), logical, shape)
  assert got == PartitionSpec(*cut)


def test_decoding_has_rows_where_the_update_has_tokens():
  mesh = mesh_of(2, 1, 1, 4)
  assert mesh_lib.batch_shards(mesh) == 2
  assert mesh_lib.decode_shards(mesh) == 8
  rules = mesh_lib.DECODE_RULES
  got = mesh_lib.spec(mesh, ('batch', 'tokens'), (8, 8), rules)
  assert got == PartitionSpec(('data', 'fsdp', 'sequence'), None)


def test_unknown_axes_are_refused():
  with pytest.raises(ValueError, match="'bacth'"):
    mesh_lib.spec(mesh_of(1, 1, 1, 1), ('bacth',), (4,))


def test_every_array_of_a_batch_finds_its_place():
  mesh = mesh_lib.make_mesh((1, 1, 1), jax.devices()[:1])
  arrays = (np.zeros(4), np.zeros((4, 3)), np.zeros((4, 3, 2)), np.zeros(()))
  placed = mesh_lib.put_batch(mesh, arrays)
  assert [x.shape for x in placed] == [x.shape for x in arrays]
