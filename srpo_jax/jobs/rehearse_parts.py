# SPDX-License-Identifier: Apache-2.0
"""The programs of a training run, compiled for chips that are not here.

They are made where training makes its own (parts.make_programs); shapes stand
for arrays, and a topology's description for devices.
"""

import dataclasses
import importlib.util
import os
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np
from jax.experimental import topologies
from jax.sharding import Mesh

from srpo_jax.core import config
from srpo_jax.core import mesh as mesh_lib
from srpo_jax.core.records import Batch, Rollouts
from srpo_jax.jobs import initial
from srpo_jax.jobs.bench_shapes import KNOWN
from srpo_jax.jobs.parts import (
  Programs,
  check_divides,
  device_mesh,
  make_programs,
)
from srpo_jax.policy.config import DecoderConfig
from srpo_jax.policy.logprobs import chunk_length
from srpo_jax.sampler.ahead import Program, bytes_of, compile_ahead
from srpo_jax.train.batch import make_batch
from srpo_jax.train.packing import Shape, pack
from srpo_jax.train.state import TrainState, abstract_state

# Programs whose argument is the state's parameters themselves.
TAKES_PARAMS = ('begin', 'draw')


class Ends(NamedTuple):
  """What a sampler asks of a tokenizer; which tokens they are costs nothing."""

  end_ids: tuple[int, ...] = (0,)
  pad_id: int = 0


class Rehearsal(NamedTuple):
  """What is compiled.

  Attributes:
    name: of the policy.
    decoder: its numbers.
    mesh: of the chips.
    made: what training makes.
    state, batch: shapes of the update's arguments.
  """

  name: str
  decoder: DecoderConfig
  mesh: Mesh
  made: Programs
  state: TrainState
  batch: Batch


def use_libtpu() -> None:
  """Has the compiler at hand, and no accelerator; before any device work.

  Raises:
    ConfigError: there is no libtpu.
  """
  if importlib.util.find_spec('libtpu') is None:
    raise config.ConfigError(
      'rehearse.gin compiles with libtpu, which is not installed; '
      "pip install 'srpo_jax[tpu]'"
    )
  # Or it would ask Google Cloud's metadata server what machine this is.
  os.environ.setdefault('TPU_SKIP_MDS_QUERY', '1')
  # No chip is taken, so a second rehearsal may go on beside this one.
  os.environ.setdefault('ALLOW_MULTIPLE_LIBTPU_LOAD', '1')
  jax.config.update('jax_platforms', 'cpu')


def chips(topology: str) -> list:
  """The devices of a topology such as 'v5p:4x4x8'.

  Raises:
    ConfigError: libtpu knows no such topology.
  """
  sizes = topology.partition(':')[2].split('x')
  # A host has four chips or more; of single ones it must be told.
  alone = {'chips_per_host_bounds': (1, 1, 1)} if set(sizes) == {'1'} else {}
  try:
    found = topologies.get_topology_desc(
      platform='tpu', topology_name=topology, **alone
    )
  except (jax.errors.JaxRuntimeError, ValueError) as error:
    reason = str(error).splitlines()[0]
    config.check(
      False,
      'TOPOLOGY',
      topology,
      f'be one that libtpu knows ({reason})',
      "try --gin.TOPOLOGY='v5p:4x4x8'",
    )
  return list(found.devices)


def decoder_of(settings, shape) -> tuple[str, DecoderConfig]:
  """A name and the numbers: of SHAPE, or of what INIT_FROM names.

  What is known (bench_shapes.KNOWN) is not fetched.
  """
  shape = shape or KNOWN.get(settings.init_from)
  if shape is not None:
    found, name = shape(), settings.init_from or shape.__name__
  else:
    found = initial.decoder_config(initial.find(settings.init_from))
    name = settings.init_from or 'embedded'
  return name, dataclasses.replace(
    found,
    compute_dtype=settings.compute_dtype,
    param_dtype=settings.param_dtype,
    lora=settings.lora,
  )


def build(settings, shape, topology: str) -> Rehearsal:
  """What training would build on those chips; nothing is compiled yet."""
  devices = chips(topology)
  mesh = device_mesh(settings.mesh, devices, which=f'of {topology}')
  check_divides(settings, 'MESH', mesh)
  name, decoder = decoder_of(settings, shape)
  jax.config.update('jax_default_matmul_precision', settings.matmul_precision)
  made = make_programs(settings, decoder, mesh, Ends())
  shapes = jax.eval_shape(made.policy.init, jax.random.key(0))
  state = abstract_state(made.policy, made.optimizer, mesh, shapes)
  batch = batch_like(mesh, made.packing)
  return Rehearsal(name, decoder, mesh, made, state, batch)


def batch_like(mesh: Mesh, shape: Shape) -> Batch:
  """Shapes of the packed batch; its fields and dtypes are training's own."""
  one = np.zeros((1, 1), np.int32)
  number, no = np.zeros(1, np.int32), np.zeros(1, bool)
  logprob, yes = one.astype(np.float32), one > -1
  drawn = Rollouts(one, logprob, logprob, yes, number, number, no)
  batch = make_batch(one, yes, drawn, logprob, yes)
  fields = pack(batch, Shape(1, 2, 1))
  full = (shape.rows, shape.row_tokens)
  place = mesh_lib.of_batch(mesh, full)
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(full, x.dtype, sharding=place), fields
  )


def compiled(settings, of: Rehearsal) -> Iterator[Program]:
  """The programs of a step, the update first: the longest to compile.

  Raises:
    JaxRuntimeError: RESOURCE_EXHAUSTED, the compiler found no room.
  """
  update, state = of.made.update, of.state
  trips, beside = loops(of), bytes_of((state.opt_state, state.step))
  args = (state, of.batch)
  yield compile_ahead('update', update.apply, *args, trips=trips)
  if settings.updates_per_rollout > 1:
    args = (state.params, of.batch)
    yield compile_ahead(
      'score', update.score, *args, trips=trips, beside=beside
    )
  P, L = settings.prompts_per_step, settings.max_prompt_tokens
  for program in of.made.sampler.ahead(state.params, P, L):
    # The engine goes on with parameters of its own.
    given = 0 if program.name in TAKES_PARAMS else bytes_of(state.params)
    yield program._replace(beside=program.beside + beside + given)


def loops(of: Rehearsal) -> tuple[int, int]:
  """Micro-batches, and chunks of logits in one: the most of both."""
  shape = of.made.packing
  tokens = shape.micro_rows * shape.row_tokens // mesh_lib.batch_shards(of.mesh)
  chunk = chunk_length(tokens, of.decoder.vocab_size, of.mesh)
  return shape.rows // shape.micro_rows, -(-tokens // chunk)
