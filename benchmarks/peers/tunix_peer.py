# SPDX-License-Identifier: Apache-2.0
"""Rollouts by tunix' own sampler, updates by its GRPO trainer.

In environment tunix. Its sampler knows no limit of a single row, so such an
order is refused.
"""

import json
import sys
import time
from importlib import metadata
from pathlib import Path

from protocol import Channel, length_of

PAD = 0


class Numbers:
  """A tokenizer whose text is the ids themselves, as tunix asks for one."""

  def encode(self, text: str, **_) -> list[int]:
    return [int(word) for word in text.split()]

  def decode(self, ids, **_) -> str:
    return ' '.join(map(str, ids))

  def bos_id(self) -> int:
    return 0  # tunix takes 0 for none

  def eos_id(self) -> int:
    return -1

  def pad_id(self) -> int:
    return PAD


def load(order):
  """tunix' model of the order's folder; the Llama family is enough here."""
  import jax.numpy as jnp
  from tunix.models.llama3 import model, params

  raw = json.loads((Path(order.folder) / 'config.json').read_text())
  if raw['model_type'] != 'llama':
    sys.exit(f'{order.folder}: this peer is written for the Llama family')
  config = model.ModelConfig(
    num_layers=raw['num_hidden_layers'],
    vocab_size=raw['vocab_size'],
    embed_dim=raw['hidden_size'],
    hidden_dim=raw['intermediate_size'],
    num_heads=raw['num_attention_heads'],
    head_dim=raw['head_dim'],
    num_kv_heads=raw['num_key_value_heads'],
    rope_theta=raw['rope_theta'],
    norm_eps=raw['rms_norm_eps'],
    weight_tying=raw['tie_word_embeddings'],
  )
  made = params.create_model_from_safe_tensors(
    order.folder, config, dtype=jnp.dtype(order.dtype), mode='original'
  )
  return made, config


def make_rollouts(order, model, config):
  """seed -> padded prompts and responses, end tokens included."""
  from tunix.generate import sampler as sampler_lib

  length = max(map(len, order.prompts))
  cache = sampler_lib.CacheConfig(
    cache_size=length + order.max_new_tokens,
    num_layers=config.num_layers,
    num_kv_heads=config.num_kv_heads,
    head_dim=config.head_dim,
  )
  numbers = Numbers()
  sampler = sampler_lib.Sampler(model, numbers, cache)
  prompts = [
    numbers.decode(ids)
    for ids in order.prompts
    for _ in range(order.group_size)
  ]

  def rollouts(seed: int):
    out = sampler(
      prompts,
      max_generation_steps=order.max_new_tokens,
      max_prompt_length=length,
      eos_tokens=order.end_ids or [-1],
      temperature=1.0,
      top_p=1.0,
      seed=seed,
    )
    # Its end token is cut off; it was drawn, so it counts.
    most, end = order.max_new_tokens, (order.end_ids or [PAD])[0]
    tokens = [ids.tolist() for ids in out.tokens]
    tokens = [ids if len(ids) == most else [*ids, end] for ids in tokens]
    return out.padded_prompt_tokens, tokens

  return sampler, rollouts


def make_update(order, model):
  """(prompts, responses) -> None; one update of the model, in micro-batches."""
  import jax
  import optax
  from flax import nnx
  from tunix.rl import algo_core
  from tunix.rl import trainer as trainer_lib
  from tunix.rl.grpo import grpo_learner
  from tunix.sft import peft_trainer

  algorithm = grpo_learner.GRPOConfig(
    num_generations=order.group_size,
    beta=0.0,
    loss_agg_mode='token-mean',
  )
  algorithm.temperature = 1.0
  optimizer = optax.chain(
    optax.clip_by_global_norm(1.0),
    optax.adamw(order.learning_rate, b1=0.9, b2=0.95, weight_decay=0.0),
  )
  parts = order.rows // order.micro_rows
  trainer = trainer_lib.Trainer(
    model,
    optimizer,
    peft_trainer.TrainingConfig(
      eval_every_n_steps=10**9, gradient_accumulation_steps=parts
    ),
    dict,
  )
  trainer.is_managed_externally = True
  loss = lambda model, train_example: algo_core.grpo_loss_fn(
    model, train_example, algo_config=algorithm, pad_id=PAD, eos_id=-1
  )
  trainer.with_loss_fn(loss, has_aux=True)
  trainer.with_gen_model_input_fn(lambda x: {'train_example': x})

  def update(prompt_ids, responses) -> None:
    trainer.train(list(examples(order, prompt_ids, responses)))
    jax.block_until_ready(nnx.state(model, nnx.Param))

  return update


def examples(order, prompt_ids, responses):
  """Micro-batches as its GRPO learner makes them: padded to the longest."""
  import jax.numpy as jnp
  import numpy as np
  from tunix.rl.grpo import grpo_learner

  shape = (order.rows, order.max_new_tokens)
  completion_ids = np.full(shape, PAD, np.int32)
  mask = np.zeros(shape, bool)
  for row, ids in enumerate(responses):
    completion_ids[row, : len(ids)] = ids
    mask[row, : len(ids)] = True
  advantages = np.array(order.advantages, np.float32)
  prompt_ids = np.asarray(prompt_ids)
  for start in range(0, order.rows, order.micro_rows):
    rows = slice(start, start + order.micro_rows)
    yield grpo_learner.TrainExample(
      prompt_ids=jnp.asarray(prompt_ids[rows]),
      prompt_mask=jnp.asarray(prompt_ids[rows] != PAD),
      completion_ids=jnp.asarray(completion_ids[rows]),
      completion_mask=jnp.asarray(mask[rows]),
      advantages=jnp.asarray(advantages[rows]),
      ref_per_token_logps=None,
      old_per_token_logps=None,
    )


def padded_prompts(order):
  """The prompts of all rows, padded on the left."""
  import numpy as np

  length = max(map(len, order.prompts))
  rows = [[PAD] * (length - len(ids)) + ids for ids in order.prompts]
  return np.repeat(np.array(rows, np.int32), order.group_size, axis=0)


def make_run(order):
  """seed -> lengths of the responses; does what the order asks."""
  from flax import nnx

  model, config = load(order)
  update = None if order.task == 'rollout' else make_update(order, model)
  if order.task == 'update':
    given = padded_prompts(order)

    def only_update(seed: int) -> list[int]:
      del seed
      update(given, order.responses)
      return list(map(len, order.responses))

    return only_update

  sampler, rollouts = make_rollouts(order, model, config)

  def run(seed: int) -> list[int]:
    if update is not None:
      sampler.transformer_state = nnx.variables(model, nnx.Param)
    prompt_ids, responses = rollouts(seed)
    if update is not None:
      update(prompt_ids, responses)
    return [length_of(ids, set(order.end_ids)) for ids in responses]

  return run


def main() -> None:
  channel = Channel()
  order = channel.read_order()
  if order.limits is not None:
    sys.exit('tunix: its sampler knows no limit of a single row')
  import jax

  run = make_run(order)
  run(order.seed)
  channel.ready(
    engine='tunix',
    version=metadata.version('google-tunix'),
    jax=jax.__version__,
    dtype=order.dtype,
    threads=order.threads,
  )
  seed = order.seed
  while channel.wait():
    seed += 1
    begin = time.perf_counter()
    lengths = run(seed)
    channel.report(time.perf_counter() - begin, lengths)


if __name__ == '__main__':
  main()
