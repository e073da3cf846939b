# SPDX-License-Identifier: Apache-2.0
"""config.json of a GGUF file: what its metadata and tensors say of the decoder.

Some of a family stands in no metadata, because llama.cpp has it in its code
(src/llama-model.cpp); those values are here, each with its name.
"""

from collections.abc import Callable
from typing import NamedTuple

from srpo_jax.core.config import ConfigError
from srpo_jax.core.gguf_file import GgufFile
from srpo_jax.policy.gguf import rope

GEMMA3_LOCAL_THETA = 10_000.0  # rotary base of its local layers
GEMMA3_PATTERN = 6  # every sixth layer sees everything
GEMMA3_27B_LAYERS = 62  # that one scales queries by D / N, not by H
SMOLLM3_PATTERN = 4  # every fourth layer has no rotary positions
# Metadata that would change the mathematics and is not carried over.
REFUSED = (
  'expert_count',
  'logit_scale',
  'residual_scale',
  'embedding_scale',
  'attn_logit_softcapping',
  'final_logit_softcapping',
  'attention.scale',
  'attention.clamp_kqv',
)


class Sizes(NamedTuple):
  """D, F, V as in DecoderConfig; Q and K: all heads' widths; H: one head's."""

  D: int
  F: int
  V: int
  Q: int
  K: int
  H: int


class Family(NamedTuple):
  """Attributes:
  model_type: what transformers calls it.
  architecture: the class that transformers reads it with.
  own: (file, config so far) -> the entries that only this family has.
  """

  model_type: str
  architecture: str
  own: Callable[[GgufFile, dict], dict]


def config(gguf: GgufFile) -> dict:
  """What transformers writes for this family, as config.json.

  Raises:
    ConfigError: an unknown family, a value that is missing, or mathematics
      that is not carried over.
  """
  family = family_of(gguf)
  _refuse(gguf)
  common = _common(gguf)
  return {
    'architectures': [family.architecture],
    'model_type': family.model_type,
    **common,
    **family.own(gguf, common),
    **_token_ids(gguf),
    'torch_dtype': 'float32',
  }


def family_of(gguf: GgufFile) -> Family:
  """The family of its architecture."""
  if gguf.architecture not in FAMILIES:
    raise ConfigError(
      f'{gguf.path}: general.architecture = {gguf.architecture!r} is not one '
      f'of {sorted(FAMILIES)}; use a file of one of those'
    )
  return FAMILIES[gguf.architecture]


def sizes(raw: dict) -> Sizes:
  """Widths of a config.json as `config` makes it."""
  head = raw['head_dim']
  return Sizes(
    D=raw['hidden_size'],
    F=raw['intermediate_size'],
    V=raw['vocab_size'],
    Q=raw['num_attention_heads'] * head,
    K=raw['num_key_value_heads'] * head,
    H=head,
  )


def _refuse(gguf: GgufFile) -> None:
  for key in REFUSED:
    value = gguf.get(f'{{arch}}.{key}')
    if value:
      raise ConfigError(
        f'{gguf.path}: {gguf.architecture}.{key} = {value} is not supported; '
        'use a file without it'
      )
  window = gguf.get('{arch}.attention.sliding_window')
  if window and gguf.architecture != 'gemma3':
    raise ConfigError(
      f'{gguf.path}: {gguf.architecture}.attention.sliding_window = {window} '
      'is not supported; use a file without it'
    )


def _common(gguf: GgufFile) -> dict:
  if 'token_embd.weight' not in gguf.tensors:
    raise ConfigError(
      f'{gguf.path}: has no tensor token_embd.weight; use a file of a whole '
      'language model'
    )
  heads = gguf.count('attention.head_count')
  dim = gguf.count('embedding_length')
  key_heads = gguf.count('attention.head_count_kv', heads)
  head_dim = gguf.count('attention.key_length', dim // heads)
  turned = gguf.count('rope.dimension_count', head_dim)
  if turned != head_dim:
    raise ConfigError(
      f'{gguf.path}: turns {turned} of the {head_dim} numbers of a head, which '
      'is not supported; use another file'
    )
  return {
    'vocab_size': gguf.tensors['token_embd.weight'].shape[0],
    'hidden_size': dim,
    'intermediate_size': gguf.count('feed_forward_length'),
    'num_hidden_layers': gguf.count('block_count'),
    'num_attention_heads': heads,
    'num_key_value_heads': key_heads,
    'head_dim': head_dim,
    'max_position_embeddings': gguf.count('context_length'),
    'rms_norm_eps': gguf.number('attention.layer_norm_rms_epsilon'),
    'attention_bias': False,
    'tie_word_embeddings': 'output.weight' not in gguf.tensors,
  }


def _token_ids(gguf: GgufFile) -> dict:
  """None where the file names none: transformers would have a default."""
  names = {'bos': 'bos', 'eos': 'eos', 'padding': 'pad'}
  return {
    f'{theirs}_token_id': gguf.get(f'tokenizer.ggml.{ours}_token_id')
    for ours, theirs in names.items()
  }


# --- families ---------------------------------------------------------------


def _llama(gguf: GgufFile, common: dict) -> dict:
  del common
  return {'hidden_act': 'silu', 'mlp_bias': False, **rope.everywhere(gguf)}


def _qwen(gguf: GgufFile, common: dict) -> dict:
  del common
  return {
    'hidden_act': 'silu',
    'use_sliding_window': False,
    **rope.everywhere(gguf),
  }


def _smollm3(gguf: GgufFile, common: dict) -> dict:
  layers = range(1, common['num_hidden_layers'] + 1)
  return {
    **_llama(gguf, common),
    'use_sliding_window': False,
    'no_rope_layer_interval': SMOLLM3_PATTERN,
    'no_rope_layers': [int(i % SMOLLM3_PATTERN != 0) for i in layers],
  }


def _gemma3(gguf: GgufFile, common: dict) -> dict:
  n = common['num_hidden_layers']
  largest = n == GEMMA3_27B_LAYERS
  per_head = common['hidden_size'] // common['num_attention_heads']
  return {
    'hidden_activation': 'gelu_pytorch_tanh',
    'query_pre_attn_scalar': per_head if largest else common['head_dim'],
    'sliding_window': gguf.count('attention.sliding_window'),
    'sliding_window_pattern': GEMMA3_PATTERN,
    'layer_types': [
      'sliding_attention' if i % GEMMA3_PATTERN else 'full_attention'
      for i in range(1, n + 1)
    ],
    'attn_logit_softcapping': None,
    'final_logit_softcapping': None,
    **rope.by_kind(gguf, GEMMA3_LOCAL_THETA),
  }


FAMILIES = {
  'llama': Family('llama', 'LlamaForCausalLM', _llama),
  'qwen2': Family('qwen2', 'Qwen2ForCausalLM', _qwen),
  'qwen3': Family('qwen3', 'Qwen3ForCausalLM', _qwen),
  'smollm3': Family('smollm3', 'SmolLM3ForCausalLM', _smollm3),
  'gemma3': Family('gemma3_text', 'Gemma3ForCausalLM', _gemma3),
}
