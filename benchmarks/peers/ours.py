# SPDX-License-Identifier: Apache-2.0
"""The same work by srpo_jax; the code that bench.gin times."""

import dataclasses
import time

from protocol import Channel


def make_parts(order):
  """What jobs/bench_step.py works with, and the state."""
  from pathlib import Path

  from srpo_jax.core import mesh as mesh_lib
  from srpo_jax.jobs.bench_parts import BenchParts
  from srpo_jax.policy import huggingface
  from srpo_jax.policy.policy import make_policy, param_shapes
  from srpo_jax.sampler.sampler import slot_refill
  from srpo_jax.sampler.sampling import SamplerConfig
  from srpo_jax.srpo.loss import srpo_loss
  from srpo_jax.train import packing
  from srpo_jax.train.optimizer import adamw
  from srpo_jax.train.state import make_state, param_shardings
  from srpo_jax.train.update import make_update

  longest = max(map(len, order.prompts)) + order.max_new_tokens
  shape = packing.shape_of(
    order.rows, longest, longest, order.micro_rows * longest, 1
  )
  folder, mesh = Path(order.folder), mesh_lib.make_mesh((-1, 1, 1))
  decoder = dataclasses.replace(
    huggingface.config_from_json(folder / 'config.json'),
    compute_dtype=order.dtype,
  )
  policy = make_policy(decoder, mesh)
  shardings = param_shardings(policy, mesh, param_shapes(decoder))
  params = huggingface.load(folder, decoder, shardings)
  optimizer = adamw(learning_rate=order.learning_rate)
  sampling = SamplerConfig(
    order.max_new_tokens, end_ids=tuple(order.end_ids), pad_id=0
  )
  parts = BenchParts(
    model=order.folder,
    decoder=decoder,
    mesh=mesh,
    policy=policy,
    sampler=slot_refill(policy, sampling, order.group_size, mesh),
    update=make_update(
      policy,
      optimizer,
      srpo_loss,
      mesh,
      micro_rows=shape.micro_rows,
    ),
    packing=shape,
    asked=make_asked(order),
    scorer=None,
  )
  return parts, make_state(policy, optimizer, mesh, params)


def make_asked(order):
  """The prompts, padded on the right, and the limits of the responses."""
  import numpy as np

  from srpo_jax.jobs.bench_parts import Asked

  P, length = len(order.prompts), max(map(len, order.prompts))
  tokens_PL = np.zeros((P, length), np.int32)
  for row, ids in zip(tokens_PL, order.prompts, strict=True):
    row[: len(ids)] = ids
  length_P1 = np.array([[len(ids)] for ids in order.prompts])
  limits = order.limits or [order.max_new_tokens] * order.rows
  return Asked(
    prompts=(),
    ids_P=np.arange(P, dtype=np.uint64),
    tokens_PL=tokens_PL,
    mask_PL=np.arange(length)[None] < length_P1,
    limit_PG=np.array(limits, np.int32).reshape(P, order.group_size),
  )


def as_rollouts(order):
  """The order's responses as if they had been drawn."""
  import numpy as np

  from srpo_jax.core.records import Rollouts

  shape = (order.rows, order.max_new_tokens)
  tokens_BT, mask_BT = np.zeros(shape, np.int32), np.zeros(shape, bool)
  for row, ids in enumerate(order.responses):
    tokens_BT[row, : len(ids)] = ids
    mask_BT[row, : len(ids)] = True
  zeros, G = np.zeros(shape, np.float32), order.group_size
  return Rollouts(
    tokens_BT=tokens_BT,
    logprob_BT=zeros,
    raw_logprob_BT=zeros,
    mask_BT=mask_BT,
    prompt_B=np.arange(order.rows) // G,
    sample_B=np.arange(order.rows) % G,
    ended_B=np.ones(order.rows, bool),
  )


def make_run(order):
  """seed -> lengths of the responses, and what else is worth a word."""
  import jax

  from srpo_jax.core import mesh as mesh_lib
  from srpo_jax.jobs import bench_step
  from srpo_jax.sampler.sampler import joined

  parts, state = make_parts(order)
  given = as_rollouts(order) if order.task == 'update' else None

  def rollout(seed: int):
    chunks = []
    key = jax.random.key(seed)
    groups = list(bench_step.draw(parts, state.params, key, chunks.append))
    lengths = joined(groups).mask_BT.sum(axis=1).tolist()
    return lengths, {'slot_steps_used': bench_step.used_share(chunks)}

  def update(seed: int):
    nonlocal state
    del seed
    batch = bench_step.to_batch(parts, given)
    placed = mesh_lib.put_batch(parts.mesh, batch)
    state, metrics = parts.update.apply(state, placed)
    jax.block_until_ready((state, metrics))
    return list(map(len, order.responses)), {}

  def whole(seed: int):
    nonlocal state
    state, made = bench_step.step(parts, state, jax.random.key(seed))
    used = bench_step.used_share(made.chunks)
    split = {'rollout_s': made.rollout_s, 'update_s': made.update_s}
    return made.length_B.tolist(), {'slot_steps_used': used, **split}

  return {'rollout': rollout, 'update': update, 'step': whole}[order.task]


def main() -> None:
  channel = Channel()
  order = channel.read_order()
  import jax

  import srpo_jax
  from srpo_jax.core import compiles

  run = make_run(order)
  run(order.seed)
  channel.ready(
    engine='srpo_jax',
    version=srpo_jax.__version__,
    jax=jax.__version__,
    dtype=order.dtype,
    threads=order.threads,
    compiles=compiles.count(),
    compile_seconds=round(compiles.seconds(), 1),
  )
  seed = order.seed
  while channel.wait():
    seed += 1
    begin = time.perf_counter()
    lengths, more = run(seed)
    channel.report(time.perf_counter() - begin, lengths, **more)


if __name__ == '__main__':
  main()
