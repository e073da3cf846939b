# SPDX-License-Identifier: Apache-2.0
"""curate.gin on Apache Beam: the same functions, rows moved by Beam.

Sources are read here, as curate.py does; then one pipeline runs all steps;
then the set is built here of what is left: the same bytes, digests and
reports. A rerun continues after the reading, and after the pipeline, not
inside it: within one, the runner repeats what it lost.
"""

import functools
import json
import shutil
from pathlib import Path

import apache_beam as beam
import gin
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from srpo_jax.core import config, hosts
from srpo_jax.data.curation import beam as engine
from srpo_jax.data.curation.shards import Shards
from srpo_jax.data.curation.steps import name_of
from srpo_jax.jobs import curate
from srpo_jax.jobs.curate_settings import Curation

GROUPED = 'deduplicate'


@gin.configurable
def beam_functions(
  *, settings=gin.REQUIRED, minhash=gin.REQUIRED, places=gin.REQUIRED
) -> engine.Functions:
  """What a worker needs, with what gin binds."""
  return engine.Functions(settings.steps, minhash, places)


def on_worker(text: str) -> engine.Functions:
  """The functions of a config, on a machine that may not have parsed it."""
  if not gin.config_str():
    with gin.unlock_config():
      gin.parse_config(text)
  return beam_functions()


@gin.configurable
def curate_on_beam(
  workdir: Path,
  *,
  settings: Curation = gin.REQUIRED,
  options: str = gin.REQUIRED,
  exchange: str | None = gin.REQUIRED,
) -> None:
  """Curates into a workdir; a finished one shows its counts.

  Args:
    workdir: on this machine.
    settings: of curation.
    options: of the pipeline, as on Beam's own command lines.
    exchange: folder that this machine and all workers reach, such as
      gs://bucket/folder; None for one in the workdir.

  Raises:
    ConfigError: as of `curate`.
  """
  hosts.refuse_several('curate.gin')
  workdir = Path(workdir)
  curate.guard_sources(workdir, settings)
  if (workdir / curate.DONE).exists():
    print(f'{workdir}: already done')
    curate.show(workdir)
    return
  read = Shards(workdir / 'steps' / '0_read')
  curate.read(read, settings)
  curate.report(workdir, 0, 'read', read)
  names = [name_of(step) for step in settings.steps]
  last = workdir / 'steps' / f'{len(names)}_{names[-1]}'
  if not (last / 'whole').exists():
    folder = exchange or str(workdir.absolute() / 'beam')
    send(read, folder)
    flow(
      folder,
      read.numbers(),
      names,
      PipelineOptions(options.split()),
      gin.config_str(),
    )
    fetch(folder, read.numbers(), workdir, names)
  config.save_operative(workdir)
  curate.finish(workdir, settings, Shards(last))
  curate.show(workdir)


def send(shards: Shards, folder: str) -> None:
  """Copies the shards to where the workers read them."""
  for number in shards.numbers():
    text = shards.path(number, 'jsonl').read_text()
    make_folder(f'{folder}/in')
    engine.save(f'{folder}/in/{number:05d}.jsonl', text)


def make_folder(folder: str) -> None:
  """Makes a folder where there are such; object stores have none."""
  if not FileSystems.exists(folder):
    FileSystems.mkdirs(folder)


def flow(folder, numbers, names, options, text: str) -> None:
  """Runs all steps in one pipeline."""
  make = functools.partial(on_worker, text)
  for part in ('out', 'counts'):
    make_folder(f'{folder}/{part}')
  with beam.Pipeline(options=options) as pipeline:
    rows = (
      pipeline
      | beam.Create([f'{folder}/in/{n:05d}.jsonl' for n in numbers])
      | beam.Reshuffle()
      | 'read' >> beam.FlatMap(engine.read)
    )
    for i, name in enumerate(names):
      if name == GROUPED:
        rows, counted = engine.deduplicate(rows, name, make)
      else:
        rows, counted = engine.each_row(rows, name, make, i)
      engine.write_counts(counted, name, f'{folder}/counts/{name}.json')
    engine.write_shards(rows, f'{folder}/out')


def fetch(folder: str, numbers, workdir: Path, names) -> None:
  """Takes reports and shards over; then `whole` says that all are there."""
  (workdir / 'reports').mkdir(exist_ok=True)
  for i, name in enumerate(names, start=1):
    with FileSystems.open(f'{folder}/counts/{name}.json') as file:
      counted = {'step': name} | json.loads(file.read())
    curate.write_json(workdir / 'reports' / f'{i}_{name}.json', counted)
  shards = Shards(workdir / 'steps' / f'{len(names)}_{names[-1]}')
  for number in numbers:
    path = f'{folder}/out/{number:05d}.jsonl'
    # A shard of which nothing stayed has no file.
    there = FileSystems.exists(path)
    lines = [line for _, line in engine.read(path)] if there else []
    shards.path(number, 'jsonl').write_text(''.join(f'{x}\n' for x in lines))
    shards.path(number, 'json').write_text('{}')
  (shards.folder / 'whole').touch()
  if folder.startswith(str(workdir.absolute())):
    shutil.rmtree(folder)
