# SPDX-License-Identifier: Apache-2.0
"""rehearse.gin: the programs of a training run, compiled for absent TPUs.

Prints what each takes of a chip's memory and WORKDIR/rehearse.json; ends with
status 2 and one line of advice where something does not fit (docs/rehearse.md).
"""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import gin
import jax
import jax.numpy as jnp

from srpo_jax.core import config
from srpo_jax.core import mesh as mesh_lib
from srpo_jax.jobs import rehearse_parts, rehearse_results
from srpo_jax.jobs.rehearse_parts import Rehearsal
from srpo_jax.jobs.rehearse_results import CHIPS, Asked, Parts, Row
from srpo_jax.jobs.rehearse_work import work_of
from srpo_jax.jobs.settings import Settings
from srpo_jax.sampler.ahead import Program, bytes_of, returned

NAME = 'rehearse.json'
# How often a round of a program reads the weights: an update forward, forward
# again and backward.
READS = {'update': 3, 'score': 1, 'begin': 1, 'chunk': 1, 'draw': 1}


@gin.configurable
def rehearse(
  workdir: Path,
  *,
  settings: Settings = gin.REQUIRED,
  topology: str = gin.REQUIRED,
  margin: float = gin.REQUIRED,
  shape: Callable | None = None,
) -> None:
  """Compiles every program of a step for a topology, and says what it takes.

  Args:
    workdir: where rehearse.json goes.
    settings: those of the training run.
    topology: of TPU chips, such as 'v5p:4x4x8'.
    margin: share of a chip's memory that must stay free.
    shape: makes the decoder from numbers; None for the one of init_from.

  Raises:
    ConfigError: no libtpu, no such topology, or something does not fit.
  """
  check(settings, topology, margin)
  rehearse_parts.use_libtpu()
  of = rehearse_parts.build(settings, shape, topology)
  rows, ring = [], []
  begun = time.monotonic()
  try:
    for program in rehearse_parts.compiled(settings, of):
      rows.append(row_of(program, of, time.monotonic() - begun))
      print(f'{program.name}: {rows[-1].compile_s:.0f} s', flush=True)
      begun = time.monotonic()
      ring.append(program)
  except jax.errors.JaxRuntimeError as error:
    refuse_exhausted(error, settings, of, rows, topology, margin)
  chip = CHIPS[topology.partition(':')[0]]
  asked, parts = asked_of(settings, of), parts_of(of, ring)
  results = collect(of, topology, chip, asked, parts, rows)
  Path(workdir).mkdir(parents=True, exist_ok=True)
  path = Path(workdir) / NAME
  path.write_text(json.dumps(results, indent=2) + '\n')
  print('\n'.join(rehearse_results.lines(results)), path, sep='\n')
  config.save_operative(workdir)
  worst = rehearse_results.misfit(rows, chip, margin)
  if worst is not None:
    refuse(worst.name, worst.live, parts, asked, topology, margin)


def check(settings: Settings, topology, margin) -> None:
  """Refuses what no compiler is needed for."""
  ok = isinstance(topology, str) and topology.partition(':')[0] in CHIPS
  config.check(
    ok,
    'TOPOLOGY',
    topology,
    f'be KIND:SIZE with one of the kinds {", ".join(CHIPS)}',
    "try --gin.TOPOLOGY='v5p:4x4x8'",
  )
  config.number('MARGIN', margin, 0, 1)
  config.check(
    settings.rollout_mesh is None,
    'ROLLOUT_MESH',
    settings.rollout_mesh,
    'be None: one mesh is rehearsed at a time',
    'rehearse each as MESH on a topology of its own',
  )


def row_of(program: Program, of: Rehearsal, compile_s: float) -> Row:
  """What a program takes of a chip."""
  memory = program.compiled.memory_analysis()
  work, chips = work_of(program.jaxpr, program.trips), of.mesh.size
  return Row(
    name=program.name,
    argument=memory.argument_size_in_bytes,
    output=memory.output_size_in_bytes,
    temporary=memory.temp_size_in_bytes,
    aliased=memory.alias_size_in_bytes,
    peak=memory.peak_memory_in_bytes,
    beside=program.beside,
    flops=work.flops / chips,
    moved=work.bytes / chips + weights_again(program, of),
    compile_s=compile_s,
  )


def weights_again(program: Program, of: Rehearsal) -> float:
  """Bytes of weights that a chip reads beyond its even share of all products.

  Each shard of the batch reads all weights but for what `tensor` cuts.
  """
  count = sum(x.size for x in jax.tree.leaves(of.state.params))
  size = count * jnp.dtype(of.decoder.compute_dtype).itemsize
  share = 1 / mesh_lib.shards(of.mesh, 'mlp') - 1 / of.mesh.size
  rounds = program.trips[0] if program.trips else 1
  return READS.get(program.name, 0) * rounds * size * share


def asked_of(settings: Settings, of: Rehearsal) -> Asked:
  """What advice may change, as it is used."""
  samples = settings.prompts_per_step * settings.group_size
  packing, given = of.made.packing, of.made.sampler.given
  rows = packing.micro_rows // packing.shards
  return Asked(
    samples=samples,
    slots=given.get('slots', samples),
    tokens=settings.max_new_tokens,
    row=packing.row_tokens,
    micro=rows * packing.row_tokens,
    remat=settings.remat or 'nothing',
    cache=given.get('cache', settings.compute_dtype),
    steps=given.get('steps', 1),
  )


def parts_of(of: Rehearsal, programs: list[Program]) -> Parts:
  """The training state and the caches, on a chip."""
  made = {p.name: p.compiled for p in programs}
  prompts = ring = 0
  if 'chunk' in made:
    prompts = bytes_of(returned(made['begin'])[1].prompts)
    ring = bytes_of(returned(made['chunk'])[0].ring)
  state = of.state
  return Parts(bytes_of(state.params), bytes_of(state.opt_state), prompts, ring)


def collect(of: Rehearsal, topology, chip, asked, parts, rows) -> dict:
  """Everything, as rehearse.json has it."""
  split = rehearse_results.step_seconds(rows, chip, asked)
  shape = [of.mesh.shape[axis] for axis in mesh_lib.AXES]
  count = sum(x.size for x in jax.tree.leaves(of.state.params))
  return {
    'request': {
      'model': of.name,
      'parameters': count,
      'topology': topology,
      'chips': of.mesh.size,
      'mesh': ' × '.join(map(str, shape)),
      **asked._asdict(),
    },
    'chip': chip._asdict(),
    'parts': parts._asdict(),
    'programs': [
      {**row._asdict(), 'live': row.live, 'seconds': row.seconds(chip)}
      for row in rows
    ],
    'step': {'seconds': sum(split.values()), 'split': split},
    'assumed': rehearse_results.ASSUMED,
  }


def refuse_exhausted(error, settings, of, rows, topology, margin) -> None:
  """The compiler's own refusal, with advice; other errors pass."""
  if 'RESOURCE_EXHAUSTED' not in str(error):
    raise error
  order = ('update', 'begin', 'start', 'fit', 'chunk')
  name = order[min(len(rows), len(order) - 1)]
  found = re.search(
    r'Used (\d+\.\d+)G of|temporaries \((\d+\.\d+)G\)', str(error)
  )
  needs = float(found[1] or found[2]) * rehearse_results.GIB if found else None
  parts, asked = parts_of(of, []), asked_of(settings, of)
  refuse(name, needs, parts, asked, topology, margin)


def refuse(name, needs, parts, asked, topology, margin) -> None:
  """One line: what does not fit, and what to change.

  Raises:
    ConfigError: it.
  """
  hbm = CHIPS[topology.partition(':')[0]].hbm
  room, gib = hbm * (1 - margin), rehearse_results.GIB
  remedy = rehearse_results.advice(name, parts, asked, room)
  size = 'more than' if needs is None else f'{needs / gib:.1f} GiB of'
  raise config.ConfigError(
    f'{topology}: {name} needs {size} the {hbm / gib:.0f} GiB of a chip, of '
    f'which MARGIN = {margin:g} leaves {room / gib:.1f}; try {remedy}'
  )
