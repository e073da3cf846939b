# SPDX-License-Identifier: Apache-2.0
"""What a layer keeps of its forward pass for the backward pass, by name.

What is not kept is computed once more: memory for time.
"""

import functools
from collections.abc import Callable

import jax
from jax.sharding import Mesh

# name -> wrapper of a block. `dots` keeps the products with kernels, and makes
# norms, activations and attention's scores again.
REMAT = {
  'everything': lambda f: f,
  'dots': functools.partial(
    jax.checkpoint,
    policy=jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
  ),
  'nothing': jax.checkpoint,
}


def remat_of(mesh: Mesh, name: str | None) -> Callable:
  """The wrapper of that name; None for what suits the devices."""
  # A CPU has memory to keep activations and no compute to make them twice.
  on_cpu = mesh.devices.flat[0].platform == 'cpu'
  return REMAT[name or ('everything' if on_cpu else 'nothing')]
