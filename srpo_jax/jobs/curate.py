# SPDX-License-Identifier: Apache-2.0
"""curate.gin: raw problems to a prompt set that can be trusted.

Reads every source into numbered shards, runs the steps that STEPS lists, and
builds what is left as a TFDS prompt set. Each step's counts and examples go
to WORKDIR/reports, what it let through to WORKDIR/steps. A rerun continues
where it was killed (docs/curation.md).
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import gin

from srpo_jax.core import config, hosts
from srpo_jax.data.builders import store
from srpo_jax.data.curation import built, counts, sources
from srpo_jax.data.curation.candidate import Candidate
from srpo_jax.data.curation.contamination import Evaluations
from srpo_jax.data.curation.shards import Shards, runner, write_whole
from srpo_jax.data.curation.steps import name_of
from srpo_jax.jobs import curation_card
from srpo_jax.jobs.curate_settings import Curation

DONE = 'done.json'


@gin.configurable
def curate(workdir: Path, *, settings: Curation = gin.REQUIRED) -> None:
  """Curates into a workdir; a finished one shows its counts.

  Raises:
    ConfigError: a source or an evaluation set is missing, or is not what it
      was when this workdir began.
  """
  hosts.refuse_several('curate.gin')
  workdir = Path(workdir)
  guard_sources(workdir, settings)
  if (workdir / DONE).exists():
    print(f'{workdir}: already done')
    show(workdir)
    return
  run = runner(settings.workers)
  shards = Shards(workdir / 'steps' / '0_read')
  read(shards, settings)
  report(workdir, 0, 'read', shards)
  for i, step in enumerate(settings.steps, start=1):
    name = name_of(step)
    after = Shards(workdir / 'steps' / f'{i}_{name}')
    step(shards, after, run)
    report(workdir, i, name, after)
    shards = after
  config.save_operative(workdir)
  finish(workdir, settings, shards)
  show(workdir)


def guard_sources(workdir: Path, settings: Curation) -> None:
  """Writes the checksum of every source at the start; later compares.

  Raises:
    ConfigError: one of them has changed.
  """
  names = dict.fromkeys((*settings.sources, *settings.against))
  sums = {name: sources.checksum(name, settings.data_dir) for name in names}
  path = workdir / 'sources.json'
  if not path.exists():
    write_json(path, sums)
    return
  there = json.loads(path.read_text())
  for name, found in sums.items():
    if found != there.get(name):
      was = str(there.get(name))[:12]
      raise config.ConfigError(
        f'{path}: {name} was read with the SHA-256 {was}..., and now it has '
        f'{found[:12]}...; restore it or give a new --workdir'
      )


def read(shards: Shards, settings: Curation) -> None:
  """Cuts all sources into shards; what no candidate can be made of is told."""
  rows = (
    row
    for name in settings.sources
    for row in sources.candidates(name, settings.data_dir)
  )
  for number, part in enumerate(_parts(rows, settings.shard_rows)):
    if not shards.done(number):
      good = [row for row in part if isinstance(row, Candidate)]
      shards.write(number, good, _read_counts(part, good))


def _parts(rows: Iterable, size: int) -> Iterator[list]:
  part: list = []
  for row in rows:
    part.append(row)
    if len(part) == size:
      yield part
      part = []
  if part:
    yield part


def _read_counts(part: list, good: list[Candidate]) -> dict:
  bad = [str(row) for row in part if not isinstance(row, Candidate)]
  counted = counts.count(good, [None] * len(good)) | {'in': len(part)}
  if bad:
    counted['took'] = {'unreadable': len(bad)}
    shown = [
      {'id': 0, 'where': '', 'question': '', 'evidence': line}
      for line in bad[: counts.EXAMPLES]
    ]
    counted['examples'] = {'unreadable': shown}
  return counted


@gin.register
def read_evaluations(
  names: tuple[str, ...], data_dir: str | None
) -> Evaluations:
  """The questions of these sets.

  Raises:
    ConfigError: a set that is not there, or has a row that cannot be read.
  """
  found = {}
  for name in names:
    rows = list(sources.candidates(name, Path(data_dir) if data_dir else None))
    for row in rows:
      if not isinstance(row, Candidate):
        raise row
    found[name] = [row.prompt for row in rows]
  return Evaluations.of(found)


def report(workdir: Path, number: int, name: str, shards: Shards) -> None:
  """Writes the counts of a step and prints them."""
  counted = {'step': name} | shards.counted()
  folder = workdir / 'reports'
  folder.mkdir(exist_ok=True)
  write_json(folder / f'{number}_{name}.json', counted)


def finish(workdir: Path, settings: Curation, shards: Shards) -> None:
  """Builds the prompt set of what is left, and says what it is.

  Raises:
    ConfigError: nothing is left, or two problems have one id.
  """
  left = [c for n in shards.numbers() for c in shards.read(n)]
  if not left:
    raise config.ConfigError(
      f'{workdir}: no problem is left; look at its reports and correct SOURCES '
      'or STEPS'
    )
  check_ids(left)
  folder = workdir / 'prompts'
  if not folder.is_dir():
    built.write(folder, {'train': [c.prompt for c in left]})
  curation_card.write(workdir, settings.against, left)
  digests = (folder / store.DIGESTS).read_bytes()
  done = {
    'prompts': len(left),
    'last_step': shards.folder.name,
    'fingerprint': store.digest(digests),
  }
  write_json(workdir / DONE, done)


def check_ids(left: list[Candidate]) -> None:
  """Refuses two problems of one id, as files of one name may have."""
  seen: dict[int, Candidate] = {}
  for candidate in left:
    first = seen.setdefault(candidate.prompt.id, candidate)
    if first is not candidate:
      named = [f'{c.origin} ({c.where})' for c in (first, candidate)]
      raise config.ConfigError(
        f'{" and ".join(named)}: two problems with one id; correct `id` in one '
        'of them, or give the file another name'
      )


def show(workdir: Path) -> None:
  """Prints what each step took, and the fingerprint."""
  paths = (workdir / 'reports').glob('*.json')
  for path in sorted(paths, key=lambda p: int(p.name.partition('_')[0])):
    counted = json.loads(path.read_text())
    took = ', '.join(f'{name} {n}' for name, n in counted['took'].items())
    print(
      f'{counted["step"]:<14}{counted["in"]:>9} in{counted["out"]:>9} out'
      f'   {took}'
    )
  done = json.loads((workdir / DONE).read_text())
  print(f'fingerprint {done["fingerprint"]}')


def write_json(path: Path, value: dict) -> None:
  """Indented, whole or not there."""
  path.parent.mkdir(parents=True, exist_ok=True)
  text = json.dumps(value, indent=2, ensure_ascii=False) + '\n'
  write_whole(path, text.encode())
