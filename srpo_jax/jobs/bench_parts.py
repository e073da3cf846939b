# SPDX-License-Identifier: Apache-2.0
"""Builds what a benchmark works with: files first, devices last."""

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from srpo_jax.core import config, keys
from srpo_jax.core.records import Prompt
from srpo_jax.data import prompts as prompts_lib
from srpo_jax.data import template as template_lib
from srpo_jax.data.tokenizer import with_ends
from srpo_jax.jobs import initial
from srpo_jax.jobs.bench_settings import Benchmark
from srpo_jax.jobs.parts import check_divides, device_mesh, packed_shape
from srpo_jax.jobs.scoring import make_scorer
from srpo_jax.policy.config import DecoderConfig
from srpo_jax.policy.policy import Policy, make_policy, param_shapes
from srpo_jax.sampler.sampler import Sampler
from srpo_jax.sampler.sampling import SamplerConfig
from srpo_jax.train import packing
from srpo_jax.train.state import (
  TrainState,
  init_params,
  make_state,
  param_shardings,
)
from srpo_jax.train.update import Update, make_update
from srpo_jax.train.verdicts import Scorer


class Asked(NamedTuple):
  """What every step asks.

  Attributes:
    prompts: as the reward service wants them; none for random ones.
    ids_P: their ids.
    tokens_PL, mask_PL: their tokens, padded on the right.
    limit_PG: tokens of each response.
  """

  prompts: Sequence[Prompt]
  ids_P: np.ndarray
  tokens_PL: np.ndarray
  mask_PL: np.ndarray
  limit_PG: np.ndarray


class BenchParts(NamedTuple):
  """What a benchmark works with; `scorer` is None without verdicts."""

  model: str
  decoder: DecoderConfig
  mesh: Mesh
  policy: Policy
  sampler: Sampler
  update: Update
  packing: packing.Shape
  asked: Asked
  scorer: Scorer | None


def build(
  settings: Benchmark, workdir: Path, stack: contextlib.ExitStack
) -> tuple[BenchParts, TrainState]:
  """All parts, and the state before the first step."""
  make = _of_source if settings.shape is None else _of_shape
  return make(settings, workdir, stack)


def _of_shape(settings, workdir, stack):
  """A decoder made from numbers, random weights, random prompts."""
  del workdir, stack
  name = settings.shape.__name__
  decoder = _decoder(settings, settings.shape())
  asked = random_prompts(settings, decoder.vocab_size)
  parts = _parts(settings, name, decoder, asked, pad_id=0, scorer=None)
  key = keys.purpose_key(settings.seed, 'init')
  params = init_params(parts.policy, parts.mesh, key)
  return parts, _state(settings, parts, params)


def _of_source(settings, workdir, stack):
  """The policy of INIT_FROM, asked what it is asked in training."""
  source = initial.find(settings.init_from)
  tokenizer = initial.tokenizer(source)
  template = template_lib.make(settings.template, tokenizer)
  tokenizer = with_ends(tokenizer, template.end_ids)
  decoder = _decoder(settings, initial.decoder_config(source))
  initial.check_vocabulary(source, decoder, tokenizer, template)
  asked = set_prompts(settings, tokenizer, template)
  initial.check_weights(source, decoder)
  name = settings.init_from or 'embedded'
  parts = _parts(settings, name, decoder, asked, tokenizer.pad_id, None)
  shardings = param_shardings(
    parts.policy, parts.mesh, param_shapes(parts.decoder)
  )
  params = initial.params(source, decoder, shardings)
  if settings.verdicts:
    has_code = any(p.domain == 'code' for p in asked.prompts)
    scorer = make_scorer(
      settings, has_code, tokenizer, template, workdir, stack
    )
    parts = parts._replace(scorer=scorer)
  return parts, _state(settings, parts, params)


def _decoder(settings: Benchmark, decoder: DecoderConfig) -> DecoderConfig:
  return dataclasses.replace(decoder, compute_dtype=settings.compute_dtype)


def random_prompts(settings: Benchmark, vocab_size: int) -> Asked:
  """P prompts of random tokens, all of them max_prompt_tokens long."""
  shape = (settings.prompts_per_step, settings.max_prompt_tokens)
  rng = keys.host_rng(settings.seed, 'order')
  return Asked(
    prompts=(),
    ids_P=np.arange(shape[0], dtype=np.uint64),
    tokens_PL=rng.integers(1, vocab_size, shape, np.int32),
    mask_PL=np.ones(shape, bool),
    limit_PG=limits(settings),
  )


def set_prompts(settings: Benchmark, tokenizer, template) -> Asked:
  """The first P prompts of a set that are not too long."""
  found = prompts_lib.load(settings.mixture)
  most, P = settings.max_prompt_tokens, settings.prompts_per_step
  found, _ = prompts_lib.drop_long(found, tokenizer, template, most)
  config.check(
    len(found) >= P,
    'PROMPTS_PER_STEP',
    P,
    f'be at most {len(found)}, the prompts of {found.name} that have at most '
    f'{most} tokens',
    f'try --gin.PROMPTS_PER_STEP={len(found)}',
  )
  chosen = found.take(found.ids[:P])
  tokens_PL, mask_PL = prompts_lib.encode(chosen, tokenizer, template, most)
  ids_P = found.ids[:P]
  return Asked(chosen, ids_P, tokens_PL, mask_PL, limits(settings))


def limits(settings: Benchmark) -> np.ndarray:
  """The length of every response, [P, G].

  Raises:
    ConfigError: LENGTHS gave something else than it should.
  """
  shape = (settings.prompts_per_step, settings.group_size)
  rng, most = keys.host_rng(settings.seed, 'train'), settings.max_new_tokens
  given = np.asarray(settings.lengths(rng, *shape, most))
  ok = given.shape == shape and given.dtype.kind == 'i'
  config.check(
    ok and given.min() >= 1 and given.max() <= most,
    'LENGTHS',
    settings.lengths,
    f'give {shape} whole numbers from 1 to MAX_NEW_TOKENS = {most}',
    'try --gin.LENGTHS=@log_normal_lengths',
  )
  return given


def _parts(settings, name, decoder, asked, pad_id, scorer) -> BenchParts:
  """What is the same for every model; nothing is compiled yet."""
  jax.config.update('jax_default_matmul_precision', settings.matmul_precision)
  mesh = device_mesh(settings.mesh)
  check_divides(settings, 'MESH', mesh)
  policy = make_policy(decoder, mesh, remat=settings.remat)
  shape = packed_shape(settings, mesh)
  sampling = SamplerConfig(
    max_new_tokens=settings.max_new_tokens,
    end_ids=(),  # a response ends at its limit
    pad_id=pad_id,
    temperature=settings.temperature,
    top_k=settings.top_k,
    top_p=settings.top_p,
  )
  update = make_update(
    policy,
    settings.optimizer(),
    settings.loss,
    mesh,
    temperature=settings.temperature,
    micro_rows=shape.micro_rows,
  )
  sampler = settings.sampler(policy, sampling, settings.group_size, mesh)
  return BenchParts(
    name, decoder, mesh, policy, sampler, update, shape, asked, scorer
  )


def _state(settings: Benchmark, parts: BenchParts, params) -> TrainState:
  return make_state(parts.policy, settings.optimizer(), parts.mesh, params)
