# SPDX-License-Identifier: Apache-2.0
"""The grading job: how hard each problem of a set is for a given policy.

It is an evaluation whose samples have keys of their own, so that no problem
is graded on the very samples that it will be trained or evaluated on:

  1. sample n responses to each problem and have them judged, as
     jobs/evaluate.py does, resumable to the last bit;
  2. the share that is right makes it easy, medium or hard;
  3. write the set again, dealt into splits of these names, and its card.

A mixture then names what it wants: 'runs/graded/sets/gsm8k_train/medium'.
"""

import contextlib
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path, PurePath

import gin

from srpo_jax.core import compiles, config, hosts, keys
from srpo_jax.core.records import Prompt
from srpo_jax.data.builders import sets
from srpo_jax.data.curation import built, card, difficulty
from srpo_jax.jobs import (
  card_page,
  eval_parts,
  eval_results,
  evaluate,
  stopping,
)
from srpo_jax.jobs.eval_parts import Bench, EvalParts
from srpo_jax.jobs.eval_settings import Evaluation
from srpo_jax.train import tables


@gin.configurable
def grade(
  workdir: Path,
  *,
  settings: Evaluation = gin.REQUIRED,
  thresholds: difficulty.Thresholds = gin.REQUIRED,
) -> None:
  """Grades in a workdir; a rerun resumes; a finished one says what there is.

  Raises:
    ConfigError: two sets would be written to one place.
    Interrupted: SIGTERM, or the reward service stayed silent; every batch
      that was finished is written.
  """
  hosts.refuse_several('grade.gin')
  workdir = Path(workdir)
  compiles.keep_on_disk()
  check_names(settings)
  if (workdir / 'done.json').exists():
    print(f'{workdir}: already done')
    return show(workdir, settings)
  with contextlib.ExitStack() as stack:
    stop = stack.enter_context(stopping.on_sigterm())
    parts = eval_parts.build(settings, workdir, stack)
    stack.callback(config.save_operative, workdir)
    key = keys.purpose_key(settings.seed, 'grade')
    evaluate.ask_all(workdir, parts, key, stop)
  for bench in parts.benches:
    write_set(workdir, settings, thresholds, bench, parts)
  evaluate.finish(workdir, settings, parts)
  return show(workdir, settings)


def folder_of(workdir: Path, set_name: str) -> Path:
  """'gsm8k/train' -> WORKDIR/sets/gsm8k_train; of a folder, its last names."""
  path = PurePath(set_name)
  return workdir / 'sets' / f'{path.parent.name}_{path.name}'


def check_names(settings: Evaluation) -> None:
  """Refuses two sets that would be written to one folder."""
  folders = [folder_of(Path(), asked.name) for asked in settings.sets]
  for asked, folder in zip(settings.sets, folders, strict=True):
    config.check(
      folders.count(folder) == 1,
      'SETS',
      asked.name,
      f'be the only one to be written to {folder}',
      'grade one of them in a workdir of its own',
    )


def write_set(
  workdir: Path,
  settings: Evaluation,
  thresholds: difficulty.Thresholds,
  bench: Bench,
  parts: EvalParts,
) -> None:
  """The graded set, the grades and the card of one set."""
  folder = folder_of(workdir, bench.asked.name)
  columns = tables.read_samples(workdir, bench.asked.name)
  found = difficulty.grades(columns['prompt'], columns['accuracy'], thresholds)
  graded = {
    name: bench.prompts.take(g.id for g in found if g.difficulty == name)
    for name in difficulty.NAMES
  }
  if not any(graded.values()):
    raise config.ConfigError(
      f'{bench.asked.name}: no sample was judged, so nothing can be graded; '
      f'{workdir}/reward.log may say why; try again in a new --workdir'
    )
  if not folder.exists():  # else a run was killed between here and its end
    built.write(folder, graded)
  write_grades(card.path_of(folder, 'grades.jsonl'), found)
  made = make_card(settings, thresholds, bench, parts, folder, graded, found)
  card_page.write(folder, made)


def write_grades(path: Path, found: Sequence[difficulty.Grade]) -> None:
  """One line of JSON a prompt, by id."""
  lines = [json.dumps(dataclasses.asdict(each)) for each in found]
  eval_results.write_text(path, '\n'.join(lines) + '\n')


def make_card(
  settings: Evaluation,
  thresholds: difficulty.Thresholds,
  bench: Bench,
  parts: EvalParts,
  folder: Path,
  graded: dict[str, list[Prompt]],
  found: Sequence[difficulty.Grade],
) -> dict:
  """The card of a graded set."""
  policy = {
    'policy': settings.init_from or 'embedded',
    'fingerprint': parts.begun['fingerprint'],
    'seed': settings.seed,
    'samples': bench.asked.samples,
    'temperature': bench.asked.temperature,
    'top_k': bench.asked.top_k,
    'top_p': bench.asked.top_p,
    'max_new_tokens': bench.asked.max_new_tokens,
  }
  data_dir = Path(settings.data_dir) if settings.data_dir else None
  origin, *_ = sets.prepare(bench.asked.name, data_dir, bench.asked.window)
  # A curated set has a card of its own, and this one goes on from it.
  sources, steps = card.before(origin)
  step = card.step_of_grading(bench.asked.name, bench.too_long, found)
  return card.make(
    name=folder.name,
    folder=folder,
    prompts=graded,
    sources=sources or [built.source_of(origin, bench.asked.name)],
    steps=[*steps, step],
    difficulty={**policy, **difficulty.summary(found, thresholds)},
  )


def show(workdir: Path, settings: Evaluation) -> None:
  """What there is, in lines that a person or a script can read."""
  for asked in settings.sets:
    folder = folder_of(workdir, asked.name)
    counts = card.read(folder)['splits']
    said = ', '.join(f'{name} {n}' for name, n in counts.items())
    print(f'{folder}: {said}; card: {folder}.html')
