# SPDX-License-Identifier: Apache-2.0
"""The training state: step, parameters, optimizer state, all on the mesh."""

import functools
import hashlib
from collections.abc import Callable, Iterator

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from srpo_jax.core import hosts
from srpo_jax.core import mesh as mesh_lib
from srpo_jax.policy.policy import Params, Policy

PIECE_BYTES = 16 * 2**20  # of a parameter, at once on the host; our choice


@flax.struct.dataclass
class TrainState:
  """Attributes:
  step: updates made.
  params: of the policy.
  opt_state: of the optimizer.
  """

  step: jax.Array
  params: Params
  opt_state: optax.OptState


def param_shardings(policy: Policy, mesh: Mesh, params: Params):
  """A NamedSharding for each array of `params` (arrays or shapes)."""
  is_names = lambda x: isinstance(x, tuple)
  return jax.tree.map(
    lambda names, x: mesh_lib.sharding(mesh, names, x.shape),
    policy.axes(),
    params,
    is_leaf=is_names,
  )


def state_shardings(
  policy: Policy, optimizer: optax.GradientTransformation, mesh: Mesh, params
) -> TrainState:
  """Shardings of a whole TrainState; moments lie where their parameters do."""
  shapes = jax.eval_shape(lambda p: p, params)
  of_params = param_shardings(policy, mesh, shapes)
  whole = mesh_lib.replicated(mesh)
  of_opt = optax.tree_utils.tree_map_params(
    optimizer,
    lambda _, sharding: sharding,
    jax.eval_shape(optimizer.init, policy.split(shapes)[0]),
    policy.split(of_params)[0],
    transform_non_params=lambda _: whole,
  )
  return TrainState(step=whole, params=of_params, opt_state=of_opt)


def abstract_state(
  policy: Policy, optimizer: optax.GradientTransformation, mesh: Mesh, params
) -> TrainState:
  """Shapes, dtypes and shardings of a state; `params` may be shapes."""
  shardings = state_shardings(policy, optimizer, mesh, params)
  step = jax.ShapeDtypeStruct((), jnp.int32)
  moments = jax.eval_shape(optimizer.init, policy.split(params)[0])
  shapes = TrainState(step, params, moments)
  return jax.tree.map(
    lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
    shapes,
    shardings,
  )


def make_state(
  policy: Policy, optimizer: optax.GradientTransformation, mesh: Mesh, params
) -> TrainState:
  """A fresh state around parameters, laid out on the mesh.

  Parameters that lie on devices already are taken and not copied: the first
  update writes over them. Those of the host are left alone.
  """
  shardings = state_shardings(policy, optimizer, mesh, params)
  place = lambda x, sharding: jax.device_put(
    x, sharding, may_alias=isinstance(x, jax.Array)
  )
  placed = jax.tree.map(place, params, shardings.params)
  step = jnp.zeros((), jnp.int32, device=shardings.step)
  start = jax.jit(optimizer.init, out_shardings=shardings.opt_state)
  return TrainState(step, placed, start(policy.split(placed)[0]))


def make_fresh_optimizer(
  policy: Policy, optimizer: optax.GradientTransformation, mesh: Mesh
) -> Callable[[TrainState], TrainState]:
  """state -> the same step and parameters, the optimizer as at its start."""

  def fresh(state: TrainState) -> TrainState:
    shardings = state_shardings(policy, optimizer, mesh, state.params)
    start = jax.jit(optimizer.init, out_shardings=shardings.opt_state)
    return state.replace(opt_state=start(policy.split(state.params)[0]))

  return fresh


def init_params(policy: Policy, mesh: Mesh, key: jax.Array) -> Params:
  """Random parameters, made on the mesh."""
  shapes = jax.eval_shape(policy.init, key)
  shardings = param_shardings(policy, mesh, shapes)
  return jax.jit(policy.init, out_shardings=shardings)(key)


def add_adapters(
  policy: Policy, mesh: Mesh, params: Params, key: jax.Array
) -> Params:
  """The parameters with fresh adapters beside them, if the policy has any."""
  if policy.config.lora is None:
    return params
  fresh = lambda key: policy.split(policy.init(key))[0]
  shapes = jax.eval_shape(policy.init, key)
  shardings = policy.split(param_shardings(policy, mesh, shapes))[0]
  adapters = jax.jit(fresh, out_shardings=shardings)(key)
  return policy.join(adapters, params)


def fingerprint(params: Params) -> str:
  """SHA-256 over the parameters in the order of their paths.

  Path, dtype, shape and bytes of each array; two runs that are the same have
  the same. The host holds no more of them at a time than a piece of a large
  array, and the small ones. Every host must call it; all get the same.
  """
  digest = hashlib.sha256()
  leaves = jax.tree_util.tree_leaves_with_path(params)
  for path, x in sorted(leaves, key=lambda leaf: jax.tree_util.keystr(leaf[0])):
    # A single number has always been written as an array of one.
    shape = x.shape or (1,)
    name = f'{jax.tree_util.keystr(path)} {x.dtype} {shape}\n'
    digest.update(name.encode())
    for piece in _pieces(x):
      digest.update(np.ascontiguousarray(piece).reshape(-1).view(np.uint8))
  return digest.hexdigest()


def _pieces(x) -> Iterator[np.ndarray]:
  """Rows of the first axis of an array, on the host.

  A large array is never read as a whole: jax would keep that copy beside it.
  """
  if x.nbytes <= PIECE_BYTES or isinstance(x, np.ndarray):
    yield hosts.fetch(x)
    return
  n = x.shape[0]
  count = max(PIECE_BYTES * n // x.nbytes, 1)
  for start in range(0, n, count):
    # All pieces have one length, so that there is one program to compile.
    first = min(start, n - count)
    yield hosts.fetch(_rows(x, first, count))[start - first :]


@functools.partial(jax.jit, static_argnums=2)
def _rows(x: jax.Array, first: int, count: int) -> jax.Array:
  return jax.lax.dynamic_slice_in_dim(x, first, count)
