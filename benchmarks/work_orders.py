# SPDX-License-Identifier: Apache-2.0
"""The work that engines are given alike: model, prompts, lengths.

A model with random weights, its Hugging Face folder written by our own
export, and a tokenizer whose words are the ids themselves. With random
weights each token is about as likely as any other, so a set of end tokens of
size vocabulary / mean makes lengths geometric with that mean, by the same rule
in every engine.
"""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
from peers.protocol import Order

from srpo_jax.core import mesh as mesh_lib
from srpo_jax.jobs import bench_lengths, bench_shapes
from srpo_jax.policy import huggingface
from srpo_jax.policy.config import DecoderConfig
from srpo_jax.policy.policy import make_policy
from srpo_jax.train.state import init_params

SHAPES = {
  '30m': bench_shapes.shape_30m,
  '135m': bench_shapes.shape_135m,
}
# tunix' Llama turns by this whatever config.json says; here all do.
ROPE_THETA = 1_000_000.0


@dataclasses.dataclass(frozen=True)
class Size:
  """How much work it is.

  Attributes:
    prompts, group_size: P and G.
    prompt_tokens: of each prompt.
    mean: of lengths that end tokens decide.
    longest: of responses, forced or not.
    equal: tokens of responses that are all as long.
    micro_rows: responses in a micro-batch.
  """

  prompts: int = 16
  group_size: int = 8
  prompt_tokens: int = 40
  mean: int = 40
  longest: int = 256
  equal: int = 64
  micro_rows: int = 16


def write_folder(shape: str, folder: Path, seed: int = 0) -> DecoderConfig:
  """The model's folder, unless it is there."""
  config = dataclasses.replace(SHAPES[shape](), rope_theta=ROPE_THETA)
  if (folder / 'config.json').exists():
    return config
  mesh = mesh_lib.make_mesh((1, 1, 1), jax.devices()[:1])
  params = init_params(make_policy(config, mesh), mesh, jax.random.key(seed))
  folder.mkdir(parents=True, exist_ok=True)
  for name, text in tokenizer_files(config.vocab_size).items():
    (folder / name).write_text(json.dumps(text))
  ids = {'bos_token_id': None, 'eos_token_id': 0, 'pad_token_id': 0}
  huggingface.save_policy(folder, config, params, ids)
  return config


def tokenizer_files(vocab_size: int) -> dict[str, dict]:
  """A tokenizer.json whose words are '0', '1', ..; blanks between them."""
  model = {
    'type': 'WordLevel',
    'vocab': {str(i): i for i in range(vocab_size)},
    'unk_token': '0',
  }
  empty = ('truncation', 'padding', 'normalizer', 'post_processor', 'decoder')
  return {
    'tokenizer.json': {
      'version': '1.0',
      **dict.fromkeys(empty),
      'added_tokens': [],
      'pre_tokenizer': {'type': 'WhitespaceSplit'},
      'model': model,
    },
    'tokenizer_config.json': {
      'tokenizer_class': 'PreTrainedTokenizerFast',
      'pad_token': '0',
      'eos_token': '0',
    },
  }


def end_ids(vocab_size: int, mean: int, rng: np.random.Generator) -> list[int]:
  """Tokens that end a response after `mean` tokens on average, 0 never."""
  n = max(round(vocab_size / mean), 1)
  return sorted(rng.choice(np.arange(1, vocab_size), n, replace=False).tolist())


CASES = ('long', 'forced', 'equal', 'update', 'step')


def make_order(
  case: str, folder: Path, vocab_size: int, size: Size, threads: int, seed: int
) -> Order:
  """The order of a case.

  'long': rollouts that end tokens end; 'forced': rollouts of log-normal
  lengths; 'equal': rollouts that are all as long; 'update': on responses of
  log-normal lengths; 'step': rollouts that end tokens end, then the update.
  """
  rng = np.random.default_rng(seed)
  shape = (size.prompts, size.prompt_tokens)
  prompts = rng.integers(1, vocab_size, shape).tolist()
  ends = end_ids(vocab_size, size.mean, rng)
  tail_PG = bench_lengths.log_normal_lengths(
    rng, size.prompts, size.group_size, size.longest
  )
  limits = tail_PG.reshape(-1).tolist()
  # An update is told what was drawn; no end tokens in it are needed.
  draw = lambda n: rng.integers(1, vocab_size, n).tolist()
  own = {
    'long': {'task': 'rollout', 'end_ids': ends},
    'forced': {'task': 'rollout', 'limits': limits},
    'equal': {'task': 'rollout', 'max_new_tokens': size.equal},
    'update': {'task': 'update', 'responses': [draw(n) for n in limits]},
    'step': {'task': 'step', 'end_ids': ends},
  }[case]
  return Order(
    **{
      'folder': str(folder),
      'prompts': prompts,
      'group_size': size.group_size,
      'max_new_tokens': size.longest,
      'micro_rows': size.micro_rows,
      'threads': threads,
      'seed': seed,
      **own,
    }
  )
