# SPDX-License-Identifier: Apache-2.0
"""Low-rank adapters: y = x W + (α / r) x A B, with W left as it is.

Hu et al. 2021, arXiv:2106.09685, equation 3: A is drawn, B starts at zero, so
that the policy starts as what it was. Adapters stand in the tree beside the
kernels that they change, under the name 'adapter'; only they are trained.
"""

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from srpo_jax.policy.config import Lora
from srpo_jax.policy.walk import Params

ADAPTER = 'adapter'


def split(params: Params) -> tuple[Params, Params]:
  """What is trained (the adapters), and what stays."""
  trained, frozen = {}, {}
  for name, x in params.items():
    if name == ADAPTER:
      trained[name] = x
    elif isinstance(x, dict):
      parts = split(x)
      for tree, part in zip((trained, frozen), parts, strict=True):
        if part:
          tree[name] = part
    else:
      frozen[name] = x
  return trained, frozen


def join(trained: Params, frozen: Params) -> Params:
  """The tree that `split` cut."""
  both = trained.keys() & frozen.keys()
  inner = {name: join(trained[name], frozen[name]) for name in both}
  return {**frozen, **trained, **inner}


def merged(params: Params, lora: Lora) -> Params:
  """Parameters of the same policy without adapters: W + (α / r) A B.

  Added up in float32, then rounded once to the dtype of W.
  """
  found = {}
  for name, x in params.items():
    if isinstance(x, dict) and ADAPTER in x:
      rest = {k: v for k, v in x.items() if k != ADAPTER}
      found[name] = {**rest, 'kernel': _sum(x['kernel'], x[ADAPTER], lora)}
    elif isinstance(x, dict):
      found[name] = merged(x, lora)
    else:
      found[name] = x
  return found


class Merging(Mapping):
  """The tree of `merged`; a kernel is added up when it is asked for.

  So that no more than one of them is there twice.
  """

  def __init__(self, params: Params, lora: Lora):
    self._params, self._lora = params, lora

  def __getitem__(self, name: str):
    x = self._params[name]
    if name == 'kernel' and ADAPTER in self._params:
      add_up = jax.jit(functools.partial(_sum, lora=self._lora))
      return add_up(x, self._params[ADAPTER])
    return Merging(x, self._lora) if isinstance(x, dict) else x

  def __iter__(self):
    return (name for name in self._params if name != ADAPTER)

  def __len__(self):
    return sum(1 for _ in self)


def _sum(kernel: jax.Array, adapter: Params, lora: Lora) -> jax.Array:
  """Of all layers: kernel [layers, *in, *out], A [layers, *in, r]."""
  down, up = adapter['down'], adapter['up']
  n, rank = down.shape[0], down.shape[-1]
  product = jnp.einsum(
    'lir,lro->lio',
    down.reshape(n, -1, rank),
    up.reshape(n, rank, -1),
    precision='highest',
  )
  added = lora.scale * product.reshape(kernel.shape)
  return (kernel.astype(jnp.float32) + added).astype(kernel.dtype)


def equations(equation: str) -> tuple[str, str]:
  """x W as x A, then times B.

  'BTD,DNH->BTNH' gives 'BTD,Dr->BTr' and 'BTr,rNH->BTNH'.
  """
  given, rest = equation.split(',')
  kernel, out = rest.split('->')
  inner = ''.join(axis for axis in kernel if axis in given)
  outer = ''.join(axis for axis in kernel if axis not in given)
  kept = ''.join(axis for axis in given if axis not in inner)
  return f'{given},{inner}r->{kept}r', f'{kept}r,r{outer}->{out}'
