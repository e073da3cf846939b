# SPDX-License-Identifier: Apache-2.0
"""Builds what a training run works with, in the order of the data flow.

Everything that can be wrong with the request is found here, in files first
and devices last.
"""

import contextlib
import dataclasses
import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import optax
from jax.sharding import Mesh

from srpo_jax.core import config, hosts, keys
from srpo_jax.core import mesh as mesh_lib
from srpo_jax.data import template as template_lib
from srpo_jax.data.template import AnyTemplate
from srpo_jax.data.tokenizer import Tokenizer, with_ends
from srpo_jax.jobs import initial
from srpo_jax.jobs.export_dtype import export_dtype
from srpo_jax.jobs.prompt_data import Data, load_data
from srpo_jax.jobs.scoring import make_scorer
from srpo_jax.jobs.settings import Settings
from srpo_jax.policy import lora
from srpo_jax.policy.config import DecoderConfig
from srpo_jax.policy.policy import Params, Policy, make_policy
from srpo_jax.sampler.sampler import Sampler
from srpo_jax.sampler.sampling import SamplerConfig
from srpo_jax.train import packing
from srpo_jax.train.state import (
  TrainState,
  abstract_state,
  add_adapters,
  make_fresh_optimizer,
  make_state,
  param_shardings,
)
from srpo_jax.train.update import Update, as_stored, its_own, make_update
from srpo_jax.train.verdicts import Scorer


class Parts(NamedTuple):
  """What the loop calls; none of it changes.

  Attributes:
    rollout_shardings: where the sampler wants the parameters, if it has
      devices of its own; None if it takes them where they are.
  """

  data: Data
  tokenizer: Tokenizer
  template: AnyTemplate
  mesh: Mesh
  rollout_shardings: Params | None
  policy: Policy
  sampler: Sampler
  eval_sampler: Sampler
  packing: packing.Shape
  update: Update
  fresh_optimizer: Callable[[TrainState], TrainState]
  scorer: Scorer


def device_mesh(
  shape: tuple[int, ...], devices=None, which: str = 'left by ROLLOUT_MESH'
) -> Mesh:
  """The mesh over these devices (None: all of them), if it fits them."""
  n = jax.device_count() if devices is None else len(devices)
  try:
    return mesh_lib.make_mesh(tuple(shape), devices)
  except (ValueError, ZeroDivisionError) as error:
    raise config.ConfigError(
      f'MESH = {shape} does not fit the {n} devices that are '
      f'{"here" if devices is None else which}; '
      "try --gin.MESH='(-1, 1, 1)'"
    ) from error


def make_device_meshes(settings: Settings) -> tuple[Mesh, Mesh | None]:
  """The mesh of the update, and that of the rollouts if they have their own.

  Rollouts take the last devices. Both meshes must divide the batch.
  """
  if settings.rollout_mesh is None:
    mesh, rollout_mesh = device_mesh(settings.mesh), None
  else:
    n, devices = math.prod(settings.rollout_mesh), jax.devices()
    config.check(
      n < len(devices) and jax.process_count() == 1,
      'ROLLOUT_MESH',
      settings.rollout_mesh,
      f'leave some of the {len(devices)} devices of one host to the update',
      'try --gin.OVERLAP=@in_turn --gin.ROLLOUT_MESH=None',
    )
    mesh = device_mesh(settings.mesh, devices[:-n])
    rollout_mesh = mesh_lib.make_mesh(settings.rollout_mesh, devices[-n:])
  check_divides(settings, 'MESH', mesh)
  if rollout_mesh is not None:
    check_divides(settings, 'ROLLOUT_MESH', rollout_mesh)
  return mesh, rollout_mesh


def check_divides(settings: Settings, macro: str, mesh: Mesh) -> None:
  """Refuses a step that does not divide over the shards of a mesh."""
  shards, shape = mesh_lib.decode_shards(mesh), getattr(settings, macro.lower())
  axes = 'data * fsdp' + ' * sequence' * (len(shape) > 3)
  config.check(
    settings.prompts_per_step % shards == 0,
    'PROMPTS_PER_STEP',
    settings.prompts_per_step,
    f'divide over {axes} = {shards} shards of {macro} {shape}',
    f'try --gin.PROMPTS_PER_STEP={shards}',
  )


def packed_shape(settings: Settings, mesh: Mesh) -> packing.Shape:
  """Of the batches that the update reads."""
  longest = settings.max_prompt_tokens + settings.max_new_tokens
  row = settings.row_tokens or longest
  return packing.shape_of(
    settings.prompts_per_step * settings.group_size,
    longest,
    row,
    settings.micro_batch_tokens or packing.micro_tokens(mesh, row),
    mesh_lib.batch_shards(mesh),
  )


def eval_prompts(settings: Settings, mesh: Mesh) -> int:
  """Prompts in a batch of an evaluation.

  About as many rows as a training step, so that it needs no more memory.
  """
  shards = mesh_lib.decode_shards(mesh)
  rows = settings.prompts_per_step * settings.group_size
  return max(rows // settings.eval_samples // shards, 1) * shards


class Start(NamedTuple):
  """The state before the first step, made only if it is needed.

  Attributes:
    like: shapes and shardings of the state.
    fresh: () -> the state.
    carried: () -> what comes along beside the state; None if nothing does.
  """

  like: TrainState
  fresh: Callable[[], TrainState]
  carried: Callable[[], initial.Carried | None]


def make_start(settings, policy, mesh, optimizer) -> Start:
  """The start from INIT_FROM, which is read when it is asked for."""
  source = functools.partial(initial.find, settings.init_from)
  shapes = jax.eval_shape(policy.init, jax.random.key(0))
  like = abstract_state(policy, optimizer, mesh, shapes)

  def fresh():
    plain = dataclasses.replace(policy.config, lora=None)
    shardings = jax.tree.map(lambda x: x.sharding, like.params)
    if policy.config.lora:
      shardings = lora.split(shardings)[1]
    found = initial.params(source(), plain, shardings)
    key = keys.purpose_key(settings.seed, 'init')
    found = add_adapters(policy, mesh, found, key)
    state = make_state(policy, optimizer, mesh, found)
    moments = settings.carry and not settings.stages[0].fresh_optimizer
    if moments and source().checkpoint is not None:
      opt_state = initial.optimizer_state(source(), like)
      return state.replace(opt_state=opt_state)
    return state

  carried = lambda: initial.carried(source()) if settings.carry else None
  return Start(like, fresh, carried)


def make_rollout_side(settings, decoder, mesh, tokenizer):
  """A sampler on devices of its own, and where its parameters lie there."""
  policy = make_policy(decoder, mesh)
  shapes = jax.eval_shape(policy.init, jax.random.key(0))
  sampler = make_sampler(settings, policy, tokenizer, mesh, settings.group_size)
  return sampler, param_shardings(policy, mesh, shapes)


def make_sampler(settings, policy, tokenizer, mesh, group_size) -> Sampler:
  """A sampler of so many responses a prompt; nothing is compiled yet."""
  sampling = SamplerConfig(
    max_new_tokens=settings.max_new_tokens,
    end_ids=tokenizer.end_ids,
    pad_id=tokenizer.pad_id,
    temperature=settings.temperature,
    top_k=settings.top_k,
    top_p=settings.top_p,
  )
  return settings.sampler(policy, sampling, group_size, mesh)


class Programs(NamedTuple):
  """What runs on the devices of the update; nothing is compiled yet.

  rehearse.gin makes them too, for devices that are not there.
  """

  policy: Policy
  optimizer: optax.GradientTransformation
  packing: packing.Shape
  sampler: Sampler
  update: Update


def make_programs(settings, decoder, mesh, tokenizer) -> Programs:
  """The policy of a decoder, its sampler and its update on a mesh."""
  policy = make_policy(decoder, mesh, remat=settings.remat)
  optimizer, shape = settings.optimizer(), packed_shape(settings, mesh)
  update = make_update(
    policy,
    optimizer,
    settings.loss,
    mesh,
    temperature=settings.temperature,
    micro_rows=shape.micro_rows,
    old=as_stored if settings.updates_per_rollout > 1 else its_own,
    importance=settings.importance,
  )
  size = settings.group_size
  sampler = make_sampler(settings, policy, tokenizer, mesh, size)
  return Programs(policy, optimizer, shape, sampler, update)


class _Read(NamedTuple):
  """What is known from files alone."""

  source: initial.Source
  tokenizer: Tokenizer
  template: AnyTemplate
  decoder: DecoderConfig
  data: Data


def _read(settings: Settings, workdir: Path) -> _Read:
  """Everything that files can show to be wrong, no device touched."""
  source = initial.begun(workdir) or initial.find(settings.init_from)
  tokenizer = initial.tokenizer(source)
  template = template_lib.make(settings.template, tokenizer)
  tokenizer = with_ends(tokenizer, template.end_ids)
  decoder = dataclasses.replace(
    initial.decoder_config(source),
    compute_dtype=settings.compute_dtype,
    param_dtype=settings.param_dtype,
    lora=settings.lora,
  )
  notes = initial.check_vocabulary(source, decoder, tokenizer, template)
  data = load_data(settings, tokenizer, template)
  data = data._replace(notes=(*notes, *data.notes))
  initial.check_weights(source, decoder)
  if settings.export:
    export_dtype(source.identity, settings.export_dtype)
  return _Read(source, tokenizer, template, decoder, data)


def build(
  settings: Settings, workdir: Path, stack: contextlib.ExitStack
) -> tuple[Parts, Start]:
  """All parts, and the state before the first step."""
  source, tokenizer, template, decoder, data = hosts.together(
    _read, settings, workdir
  )
  jax.config.update('jax_default_matmul_precision', settings.matmul_precision)
  mesh, rollout_mesh = make_device_meshes(settings)
  made = make_programs(settings, decoder, mesh, tokenizer)
  policy, optimizer = made.policy, made.optimizer
  sampler, rollout_shardings = made.sampler, None
  if rollout_mesh is not None:
    sampler, rollout_shardings = make_rollout_side(
      settings, decoder, rollout_mesh, tokenizer
    )
  # All that can be refused has been; from here on the workdir is written to.
  # The service starts in its own process while this one compiles.
  scorer = hosts.together(
    functools.partial(make_scorer, asking=settings.reward_hosts),
    *(settings, data.has_code, tokenizer, template, workdir, stack),
  )
  hosts.on_first(initial.save_identity, workdir, source, decoder, tokenizer)
  parts = Parts(
    data=data,
    tokenizer=tokenizer,
    template=template,
    mesh=mesh,
    rollout_shardings=rollout_shardings,
    policy=policy,
    sampler=sampler,
    eval_sampler=make_sampler(
      settings, policy, tokenizer, mesh, settings.eval_samples
    ),
    packing=made.packing,
    update=made.update,
    fresh_optimizer=make_fresh_optimizer(policy, optimizer, mesh),
    scorer=scorer,
  )
  start = make_start(settings, policy, mesh, optimizer)
  return parts, start
