# SPDX-License-Identifier: Apache-2.0
"""A kernel on the rows and heads that each device of a mesh holds.

The compiler cuts plain jax by itself. It cannot look into a kernel, and it
would gather the rows that a loop walks over.
"""

import functools
import math
from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from srpo_jax.core import mesh as mesh_lib
from srpo_jax.core.mesh import DECODE_RULES, RULES, Rules


def over_mesh(mesh: Mesh, attend: Callable, rules: Rules = RULES) -> Callable:
  """`attend(q, k, v, segment)` of whole sequences, run by each device."""

  def on_mesh(q_BTNH, k_BTKH, v_BTKH, segment_BT):
    shards = mesh_lib.shards(mesh, 'heads', rules)
    k_BTKH, v_BTKH = (
      for_shards(x, 2, q_BTNH.shape[2], shards) for x in (k_BTKH, v_BTKH)
    )
    heads = ('batch', None, 'heads', None)
    q_spec, kv_spec = (
      mesh_lib.spec(mesh, heads, x.shape, rules) for x in (q_BTNH, k_BTKH)
    )
    rows = mesh_lib.spec(mesh, ('batch', None), segment_BT.shape, rules)
    cut = jax.shard_map(
      attend,
      mesh=mesh,
      in_specs=(q_spec, kv_spec, kv_spec, rows),
      out_specs=q_spec,
      check_vma=False,  # a pallas_call does not say what varies
    )
    return cut(q_BTNH, k_BTKH, v_BTKH, segment_BT)

  return on_mesh


def slots_over_mesh(mesh: Mesh, attend: Callable) -> Callable:
  """`attend` of slots (slots.py), run by each device.

  All arrays have a first axis X more: shards of the batch, each with prompts
  and slots of its own. Key heads that the mesh does not divide stay whole, and
  so do their queries: caches are not copied.
  """

  def of_shard(*args):
    return attend(*jax.tree.map(lambda x: x[0], args))[None]

  def on_mesh(q_XSNH, fed_kv, prompt_kv, own_kv, sight):
    chex.assert_axis_dimension(q_XSNH, 0, mesh_lib.decode_shards(mesh))
    spec = functools.partial(mesh_lib.spec, mesh, rules=DECODE_RULES)
    rows = spec(('batch',), q_XSNH.shape[:1])
    heads = spec(('kv_heads',), fed_kv[0].shape[2:3])
    spread = PartitionSpec(*rows, None, *heads)
    cut = jax.shard_map(
      of_shard,
      mesh=mesh,
      in_specs=(spread, spread, spread, spread, PartitionSpec(*rows)),
      out_specs=spread,
      check_vma=False,
    )
    return cut(q_XSNH, fed_kv, prompt_kv, own_kv, sight)

  return on_mesh


def for_shards(x: jax.Array, axis: int, N: int, shards: int) -> jax.Array:
  """Key heads as often as it takes to give each shard those of its queries.

  Two key heads on four shards become four. Query heads that the shards do not
  divide are left whole, and then so are the key heads.
  """
  if N % shards:
    return x
  times = shards // math.gcd(x.shape[axis], shards)
  return x if times == 1 else jnp.repeat(x, times, axis)
