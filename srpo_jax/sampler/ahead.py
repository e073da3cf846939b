# SPDX-License-Identifier: Apache-2.0
"""A sampler's own programs, compiled for devices that need not be there.

They are the functions that a draw calls, at the largest sizes that it calls
them with: what fits then fits always. Shapes stand for arrays, and what one
program returns, laid out as it was compiled to be, the next one takes.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from srpo_jax.core import mesh as mesh_lib


class Program(NamedTuple):
  """A compiled function.

  Attributes:
    name: of it, as its owner calls it.
    compiled: it.
    jaxpr: what it was compiled from.
    trips: most rounds of the loops whose number the compiler cannot know, the
      outermost first.
    beside: bytes that a device holds for its owner meanwhile, and that are
      none of its arguments.
  """

  name: str
  compiled: jax.stages.Compiled
  jaxpr: Any
  trips: tuple[int, ...] = ()
  beside: int = 0


def compile_ahead(
  name: str,
  function: Callable,
  *args,
  trips: tuple[int, ...] = (),
  beside: int = 0,
) -> Program:
  """The program of a jitted function for arguments of these shapes."""
  traced = function.trace(*args)
  compiled = traced.lower().compile()
  return Program(name, compiled, traced.jaxpr, trips, beside)


def bytes_of(tree) -> int:
  """Bytes on a device of shapes that say where they lie."""
  local = lambda x: math.prod(x.sharding.shard_shape(x.shape))
  return sum(local(x) * _itemsize(x) for x in jax.tree.leaves(tree))


def _itemsize(x) -> int:
  return jax.eval_shape(_plain, x).dtype.itemsize


def _plain(x):
  typed = jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
  return jax.random.key_data(x) if typed else x


def batch_like(mesh: Mesh, shape: tuple[int, ...], dtype):
  """An array that `put_batch` would put by the rules of decoding."""
  place = mesh_lib.of_batch(mesh, shape, mesh_lib.DECODE_RULES)
  return jax.ShapeDtypeStruct(shape, dtype, sharding=place)


def asked_like(mesh: Mesh, make_keys: Callable, P: int, L: int):
  """tokens_PL, mask_PL and the keys of their samples."""
  key = jax.eval_shape(lambda: jax.random.key(0))
  words = batch_like(mesh, (P, 2), jnp.uint32)
  visit = batch_like(mesh, (P,), jnp.int32)
  made = make_keys.lower(key, words, visit).compile()
  tokens, mask = (batch_like(mesh, (P, L), d) for d in (jnp.int32, jnp.bool_))
  return tokens, mask, returned(made)


def returned(compiled: jax.stages.Compiled):
  """What a program returns, where it lies with it."""
  return jax.tree.map(
    lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
    compiled.out_info,
    compiled.output_shardings,
  )


def of_engine(engine, sizes, params, asked) -> Iterator[Program]:
  """begin, start, fit and chunk of an engine, with all of its slots.

  Columns are the most that a draw comes to; `fit` into them has the ring of
  half as many beside the new one.

  Args:
    engine: sampler/engine.py.
    sizes: Sizes of sampler/sampler.py.
    params: shapes of the policy's parameters.
    asked: of the other arguments of `begin`.
  """
  begin = compile_ahead('begin', engine.begin, params, *asked)
  yield begin
  params, queue, _ = returned(begin.compiled)
  of, held = (queue, sizes.widest), bytes_of(params)
  first, last = sizes.length(1), sizes.longest
  start = compile_ahead('start', engine.start, *of, first, beside=held)
  yield start
  slots = returned(start.compiled)
  if first < last:
    half = -(-last // 2)
    if half != first:
      slots = returned(engine.start.lower(*of, half).compile())
    args = (queue, slots, sizes.widest, last)
    fit = compile_ahead('fit', engine.fit, *args, beside=held)
    yield fit
    slots = returned(fit.compiled)
  args, trips = (params, queue, slots, 0), (sizes.chunk,)
  yield compile_ahead('chunk', engine.chunk, *args, trips=trips)
