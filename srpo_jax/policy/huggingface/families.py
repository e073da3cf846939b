# SPDX-License-Identifier: Apache-2.0
"""The families: what each has that others lack, and what it has unsaid.

A config.json may leave out what its family has anyway. What that is, is the
default of the family's configuration class in transformers 5.23; an entry that
is null is not left out.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from srpo_jax.policy.huggingface import checks, rope
from srpo_jax.policy.huggingface.checks import Unsupported
from srpo_jax.policy.huggingface.rope import FULL, SLIDING


class Family(NamedTuple):
  """Attributes:
  architecture: the class that transformers reads it with.
  own: config.json -> the fields of DecoderConfig that it decides.
  defaults: entries of config.json that it may leave out.
  rope: config.json -> the fields of rotary positions.
  activation: the entry that names the activation.
  """

  architecture: str
  own: Callable[[dict], dict]
  defaults: dict
  rope: Callable[[dict], dict] = rope.everywhere
  activation: str = 'hidden_act'


# --- local layers -----------------------------------------------------------


def _layer_types(raw: dict) -> list[str] | None:
  """The kind of each layer, if the file says it."""
  types, n = raw.get('layer_types'), raw['num_hidden_layers']
  if types is None:
    return None
  if not isinstance(types, list) or len(types) != n:
    raise ValueError(f'layer_types = {types!r}, but it must be a list of {n}')
  others = [kind for kind in types if kind not in (FULL, SLIDING)]
  if others:
    raise Unsupported('layer_types', others[0])
  return types


def _local(raw: dict, usual: Callable[[int], bool]) -> dict:
  """Which layers see no further than `sliding_window`."""
  types, n = _layer_types(raw), raw['num_hidden_layers']
  is_local = (lambda i: types[i] == SLIDING) if types else usual
  layers = tuple(i for i in range(n) if is_local(i))
  if not layers:
    return {}
  window = checks.integer(raw, 'sliding_window')
  return {'local_layers': layers, 'window': window}


def _switched(raw: dict) -> dict:
  """The same without a window that is there and not used."""
  used = checks.switch(raw, 'use_sliding_window')
  return raw if used else {**raw, 'sliding_window': None}


def _qwen_local(raw: dict) -> dict:
  raw = _switched(raw)
  first = checks.integer(raw, 'max_window_layers', 0)
  there = raw['sliding_window'] is not None
  return _local(raw, lambda i: there and i >= first)


# --- families ---------------------------------------------------------------


def _llama(raw: dict) -> dict:
  del raw
  return {}


def _mistral(raw: dict) -> dict:
  if raw['sliding_window'] is None:
    return {}
  # transformers has the window in all layers, whatever the file says of them.
  if FULL in (_layer_types(raw) or ()):
    raise Unsupported('layer_types', FULL)
  return _local(raw, lambda i: True)


def _qwen2(raw: dict) -> dict:
  return {'qkv_bias': True, **_qwen_local(raw)}


def _qwen3(raw: dict) -> dict:
  return {'qk_norm': True, **_qwen_local(raw)}


def _smollm3(raw: dict) -> dict:
  every = checks.integer(raw, 'no_rope_layer_interval')
  turned, n = raw.get('no_rope_layers'), raw['num_hidden_layers']
  if turned is None:
    turned = [(i + 1) % every for i in range(n)]
  if not isinstance(turned, list) or len(turned) < n:
    raise ValueError(f'no_rope_layers = {turned!r}, but {n} are needed')
  unturned = tuple(i for i in range(n) if not turned[i])
  raw = _switched(raw)
  there = raw['sliding_window'] is not None
  local = _local(raw, lambda i: there and i in unturned)
  return {'unturned_layers': unturned, **local}


def _gemma(raw: dict) -> dict:
  cap = lambda name: None if raw[name] is None else checks.positive(raw, name)
  return {
    'norm_offset': True,
    'post_norms': True,
    'embed_scale': math.sqrt(raw['hidden_size']),
    'query_scale': checks.positive(raw, 'query_pre_attn_scalar') ** -0.5,
    'attention_softcap': cap('attn_logit_softcapping'),
    'final_softcap': cap('final_logit_softcapping'),
  }


def _gemma2(raw: dict) -> dict:
  return {**_gemma(raw), **_local(raw, lambda i: i % 2 == 0)}


def _gemma3(raw: dict) -> dict:
  every = checks.integer(raw, 'sliding_window_pattern')
  local = _local(raw, lambda i: (i + 1) % every)
  return {**_gemma(raw), 'qk_norm': True, **local}


# --- what they leave out ----------------------------------------------------

COMMON = {
  'num_key_value_heads': None,  # as many as query heads
  'head_dim': None,  # hidden_size / num_attention_heads
  'hidden_act': 'silu',
  'rms_norm_eps': 1e-6,
  'rope_theta': 10_000.0,
  'tie_word_embeddings': False,
}
# Those whose number of key/value heads is that of one model of theirs.
GROUPED = {k: v for k, v in COMMON.items() if k != 'num_key_value_heads'}
MISTRAL = {**GROUPED, 'sliding_window': 4096}
QWEN = {
  **GROUPED,
  'use_sliding_window': False,
  'sliding_window': 4096,
  'max_window_layers': 28,
}
SMOLLM3 = {
  **GROUPED,
  'rope_theta': 2_000_000.0,
  'tie_word_embeddings': True,
  'use_sliding_window': False,
  'sliding_window': None,
  'no_rope_layer_interval': 4,
}
GEMMA2 = {
  **GROUPED,
  'head_dim': 256,
  'hidden_activation': 'gelu_pytorch_tanh',
  'tie_word_embeddings': True,
  'sliding_window': 4096,
  'query_pre_attn_scalar': 256,
  'attn_logit_softcapping': 50.0,
  'final_logit_softcapping': 30.0,
}
GEMMA3 = {
  **GEMMA2,
  'rope_theta': 1_000_000.0,
  'rope_local_base_freq': 10_000.0,
  'sliding_window_pattern': 6,
  'attn_logit_softcapping': None,
  'final_logit_softcapping': None,
}
_OF_GEMMA = 'hidden_activation'

FAMILIES = {
  'llama': Family('LlamaForCausalLM', _llama, COMMON),
  'mistral': Family('MistralForCausalLM', _mistral, MISTRAL),
  'qwen2': Family('Qwen2ForCausalLM', _qwen2, QWEN),
  'qwen3': Family('Qwen3ForCausalLM', _qwen3, {**QWEN, 'head_dim': 128}),
  'smollm3': Family('SmolLM3ForCausalLM', _smollm3, SMOLLM3),
  'gemma2': Family('Gemma2ForCausalLM', _gemma2, GEMMA2, activation=_OF_GEMMA),
  'gemma3_text': Family(
    'Gemma3ForCausalLM', _gemma3, GEMMA3, rope.by_kind, _OF_GEMMA
  ),
}
