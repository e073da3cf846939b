# SPDX-License-Identifier: Apache-2.0
"""FLOPs and bytes of a function, counted in its jaxpr before it is compiled.

XLA's own analysis counts the body of a loop once. Here a scan counts as often
as it says; a loop whose rounds depend on data counts as often as the caller
says, by depth. Products alone count, as in jobs/bench_operations.py: each
reads its operands and writes its result, all else is taken to be fused. Of a
Pallas kernel each block of its grid counts, those that a mask skips with them.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax


class Work(NamedTuple):
  """Of all devices together.

  Attributes:
    flops: multiplications and additions of products.
    bytes: that products read and write.
  """

  flops: float
  bytes: float

  def times(self, n: int) -> 'Work':
    """n times of it."""
    return Work(self.flops * n, self.bytes * n)


def added(works: Sequence[Work]) -> Work:
  """The sum."""
  return Work(sum(w.flops for w in works), sum(w.bytes for w in works))


def work_of(jaxpr, trips: Sequence[int] = ()) -> Work:
  """What a jaxpr computes.

  Args:
    jaxpr: open or closed.
    trips: rounds of the loops whose number is not known: of the outermost,
      of those inside of it, ..; 1 for deeper ones.
  """
  jaxpr = getattr(jaxpr, 'jaxpr', jaxpr)
  return added([_of_equation(e, tuple(trips)) for e in jaxpr.eqns])


def _of_equation(e, trips) -> Work:
  name, params = e.primitive.name, e.params
  if name == 'dot_general':
    return _product(e)
  if name == 'scan':
    return work_of(params['jaxpr'], trips).times(params['length'])
  if name == 'while':
    rounds, inside = (trips[0], trips[1:]) if trips else (1, ())
    return work_of(params['body_jaxpr'], inside).times(rounds)
  if name == 'cond':
    ways = [work_of(way, trips) for way in params['branches']]
    return max(ways, key=lambda way: way.flops)
  if name == 'pallas_call':
    return _kernel(e)
  inner = added([work_of(x, trips) for x in _jaxprs(params)])
  # Inside of a shard_map shapes are those of one device.
  return inner.times(params['mesh'].size) if name == 'shard_map' else inner


def _product(e) -> Work:
  (contracted, _), _ = e.params['dimension_numbers']
  left = e.invars[0].aval
  summed = math.prod(left.shape[axis] for axis in contracted)
  flops = 2.0 * e.outvars[0].aval.size * summed
  return Work(flops, _bytes((*e.invars, *e.outvars)))


def _kernel(e) -> Work:
  """Its blocks' products; its operands and results pass memory once."""
  blocks = math.prod(n for n in e.params['grid_mapping'].grid if _known(n))
  flops = work_of(e.params['jaxpr']).flops * blocks
  return Work(flops, _bytes((*e.invars, *e.outvars)))


def _known(n) -> bool:
  return isinstance(n, int)


def _bytes(variables) -> float:
  avals = [v.aval for v in variables]
  return float(sum(a.size * a.dtype.itemsize for a in avals))


def _jaxprs(params):
  """The jaxprs among an equation's parameters."""
  kinds = (jax.extend.core.Jaxpr, jax.extend.core.ClosedJaxpr)
  for value in params.values():
    for x in value if isinstance(value, tuple | list) else (value,):
      if isinstance(x, kinds):
        yield x
