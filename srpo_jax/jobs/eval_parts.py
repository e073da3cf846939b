# SPDX-License-Identifier: Apache-2.0
"""Builds what an evaluation works with: files first, devices last.

As jobs/parts.py does for training, without optimizer and update. What an
evaluation began with stands in WORKDIR/begun.json: a rerun asks the same
weights the same problems, or is refused.
"""

import contextlib
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
from jax.sharding import Mesh

from srpo_jax.core import config
from srpo_jax.core import mesh as mesh_lib
from srpo_jax.data import prompts as prompts_lib
from srpo_jax.data import template as template_lib
from srpo_jax.data.builders import store
from srpo_jax.data.template import AnyTemplate
from srpo_jax.data.tokenizer import Tokenizer, with_ends
from srpo_jax.jobs import initial
from srpo_jax.jobs.eval_settings import EvalSet, Evaluation
from srpo_jax.jobs.parts import device_mesh
from srpo_jax.jobs.prompt_data import Data
from srpo_jax.jobs.scoring import make_scorer
from srpo_jax.policy.policy import (
  Params,
  Policy,
  make_policy,
  param_shapes,
)
from srpo_jax.sampler.sampler import Sampler
from srpo_jax.sampler.sampling import SamplerConfig
from srpo_jax.train.state import fingerprint, param_shardings
from srpo_jax.train.verdicts import Scorer

BEGUN = 'begun.json'
# Half of what the service takes in one request.
MOST_REQUEST = 32 << 20


class Bench(NamedTuple):
  """One set, ready to be asked: the parts of its rounds.

  Attributes:
    asked: the set and how it is asked.
    prompts: its problems, those that are too long left out.
    too_long: how many those are.
    batch: problems asked at once.
    data, template, scorer: as jobs/rollout.py reads them.
    sampler: of `asked.samples` responses.
  """

  asked: EvalSet
  prompts: prompts_lib.PromptSet
  too_long: int
  batch: int
  data: Data
  template: AnyTemplate
  scorer: Scorer
  sampler: Sampler


class EvalParts(NamedTuple):
  """What an evaluation works with.

  Attributes:
    benches: its sets.
    params: of the policy, on the mesh.
    begun: what begun.json says.
    notes: lines to say at the start.
  """

  benches: tuple[Bench, ...]
  params: Params
  begun: dict
  notes: tuple[str, ...]


class Problems(NamedTuple):
  """The problems of a set: those that are asked, and how many are too long."""

  prompts: prompts_lib.PromptSet
  too_long: int


def read(
  settings: Evaluation,
  asked: EvalSet,
  tokenizer: Tokenizer,
  template: AnyTemplate,
) -> Problems:
  """The problems of a set, as many as are wanted."""
  found = prompts_lib.load(asked.name, settings.data_dir, asked.window)
  found, long = prompts_lib.drop_long(
    found.first(asked.limit), tokenizer, template, asked.max_prompt_tokens
  )
  return Problems(found, len(long))


def begun_source(workdir: Path, init_from: str | None) -> initial.Source:
  """Where the weights come from: in a rerun, the checkpoint of the first run.

  The newest checkpoint of a run that goes on is another one by now.
  """
  path = workdir / BEGUN
  checkpoint = None
  if path.exists():
    checkpoint = json.loads(path.read_text())['checkpoint']
  if checkpoint is None:
    return initial.find(init_from)
  if not Path(checkpoint).is_dir():
    raise config.ConfigError(
      f'{path}: this evaluation began with {checkpoint}, which is gone; give '
      'a new --workdir'
    )
  return initial.find(checkpoint)


def identity(source: initial.Source, params: Params, found: Sequence) -> dict:
  """What begun.json says: which weights, and which problems."""
  checkpoint = source.checkpoint
  return {
    'checkpoint': None if checkpoint is None else str(checkpoint.absolute()),
    'fingerprint': fingerprint(params),
    'problems': {
      problems.prompts.name: store.digest(
        repr(list(problems.prompts.by_id.values())).encode()
      )
      for problems in found
    },
  }


def check_begun(workdir: Path, now: dict) -> None:
  """Refuses other weights or problems than those of the first run."""
  path = workdir / BEGUN
  if not path.exists():
    return
  then = json.loads(path.read_text())
  whats = {'fingerprint': 'the weights', 'problems': 'the problems'}
  for field, what in whats.items():
    if then[field] != now[field]:
      raise config.ConfigError(
        f'{path}: {what} are not those that this evaluation began with; give '
        'them back, or a new --workdir'
      )


def write_begun(workdir: Path, now: dict) -> None:
  """Writes beside the path, then renames: a rerun reads all of it or none."""
  partial = workdir / f'.{BEGUN}.tmp'
  partial.write_text(json.dumps(now, indent=2) + '\n')
  partial.replace(workdir / BEGUN)


def problems_at_once(asked: EvalSet, rows: int, mesh: Mesh) -> int:
  """Problems in a batch: as many as `rows` holds, a multiple of the shards."""
  shards = mesh_lib.decode_shards(mesh)
  config.check(
    rows >= asked.samples * shards,
    'EVAL_ROWS',
    rows,
    f'hold {asked.samples} samples of a problem of {asked.name} on each of '
    f'{shards} shards',
    f'try --gin.EVAL_ROWS={asked.samples * shards}',
  )
  return rows // asked.samples // shards * shards


def items_a_request(found: Sequence[Problems]) -> int:
  """Few enough that their tests fit in one request to the service."""
  largest = max(
    len(json.dumps(prompt.tests))
    for problems in found
    for prompt in problems.prompts.by_id.values()
  )
  return max(1, min(64, MOST_REQUEST // largest))


def build(
  settings: Evaluation, workdir: Path, stack: contextlib.ExitStack
) -> EvalParts:
  """All parts; the workdir is written to once nothing can be refused."""
  source = begun_source(workdir, settings.init_from)
  tokenizer = initial.tokenizer(source)
  template = template_lib.make(settings.template, tokenizer)
  tokenizer = with_ends(tokenizer, template.end_ids)
  decoder = dataclasses.replace(
    initial.decoder_config(source), compute_dtype=settings.compute_dtype
  )
  notes = initial.check_vocabulary(source, decoder, tokenizer, template)
  found = [read(settings, s, tokenizer, template) for s in settings.sets]
  initial.check_weights(source, decoder)
  jax.config.update('jax_default_matmul_precision', settings.matmul_precision)
  mesh = device_mesh(settings.mesh)
  at_once = [problems_at_once(s, settings.rows, mesh) for s in settings.sets]
  policy = make_policy(decoder, mesh)
  # Refuses what it is given, so it comes before the weights.
  samplers = [
    make_sampler(settings, s, policy, mesh, tokenizer) for s in settings.sets
  ]
  shardings = param_shardings(policy, mesh, param_shapes(decoder))
  params = initial.params(source, decoder, shardings)
  begun = identity(source, params, found)
  check_begun(workdir, begun)
  has_code = any(
    prompt.domain == 'code'
    for problems in found
    for prompt in problems.prompts.by_id.values()
  )
  scorer = make_scorer(
    settings,
    has_code,
    tokenizer,
    template,
    workdir,
    stack,
    items_a_request(found),
  )
  write_begun(workdir, begun)
  make = lambda *each: make_bench(*each, mesh, tokenizer, template, scorer)
  return EvalParts(
    benches=tuple(map(make, settings.sets, found, at_once, samplers)),
    params=params,
    begun=begun,
    notes=notes,
  )


def make_sampler(
  settings: Evaluation,
  asked: EvalSet,
  policy: Policy,
  mesh: Mesh,
  tokenizer: Tokenizer,
) -> Sampler:
  """The sampler of a set; nothing is compiled before it is called."""
  sampling = SamplerConfig(
    max_new_tokens=asked.max_new_tokens,
    end_ids=tokenizer.end_ids,
    pad_id=tokenizer.pad_id,
    temperature=asked.temperature,
    top_k=asked.top_k,
    top_p=asked.top_p,
  )
  return settings.sampler(policy, sampling, asked.samples, mesh)


def make_bench(
  asked: EvalSet,
  problems: Problems,
  batch: int,
  sampler: Sampler,
  mesh: Mesh,
  tokenizer: Tokenizer,
  template: AnyTemplate,
  scorer: Scorer,
) -> Bench:
  """A set and all that its rounds need."""
  encode = lambda prompts: prompts_lib.encode(
    prompts, tokenizer, template, asked.max_prompt_tokens
  )
  return Bench(
    asked=asked,
    prompts=problems.prompts,
    too_long=problems.too_long,
    batch=min(batch, _ceil(len(problems.prompts), mesh)),
    data=Data((), {asked.name: problems.prompts}, encode, ()),
    template=template,
    scorer=scorer,
    sampler=sampler,
  )


def _ceil(n: int, mesh: Mesh) -> int:
  """The next multiple of the shards: no batch is larger than the set."""
  shards = mesh_lib.decode_shards(mesh)
  return -(-n // shards) * shards
