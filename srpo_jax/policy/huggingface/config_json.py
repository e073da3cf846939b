# SPDX-License-Identifier: Apache-2.0
"""config.json to a DecoderConfig, and back for a policy that was made here.

What would change the mathematics and is not known here is refused by name: a
policy that is nearly the right one is worse than none.
"""

import dataclasses
import json
from pathlib import Path

from srpo_jax.core.config import ConfigError
from srpo_jax.policy.config import DecoderConfig
from srpo_jax.policy.huggingface import checks
from srpo_jax.policy.huggingface.checks import Unsupported
from srpo_jax.policy.huggingface.families import FAMILIES, Family

_FIELDS = {
  'vocab_size': 'vocab_size',
  'dim': 'hidden_size',
  'n_layers': 'num_hidden_layers',
  'n_heads': 'num_attention_heads',
  'n_kv_heads': 'num_key_value_heads',
  'ffn_dim': 'intermediate_size',
}
_ACTIVATIONS = {'silu': 'silu', 'gelu_pytorch_tanh': 'gelu_tanh'}
# Entries that change the mathematics wherever they are not null or false.
_REFUSED = (
  'attention_bias',
  'mlp_bias',
  'use_bidirectional_attention',
  'quantization_config',
)


def config_from_json(path: Path) -> DecoderConfig:
  """Reads config.json.

  Raises:
    ConfigError: the file lacks a field, is of an unknown family, or asks for
      mathematics that is not implemented.
  """
  raw = _read(path)
  family = FAMILIES[raw['model_type']]
  raw = {**family.defaults, **raw}
  # What is no language model's at all is told by the field that is missing.
  missing = [name for name in _FIELDS.values() if name not in raw]
  if missing:
    raise ConfigError(f'{path}: lacks {missing}; is it a whole config.json?')
  try:
    _refuse_unsupported(raw)
    return DecoderConfig(**_fields(raw, family))
  except Unsupported as error:
    raise ConfigError(
      f'{path}: {error.name} = {error.value!r} is not supported; use a folder '
      'without it'
    ) from error
  except (KeyError, TypeError, ValueError, ArithmeticError) as error:
    raise ConfigError(
      f'{path}: cannot be understood ({type(error).__name__}: {error}); fetch '
      'the file again'
    ) from error


def _read(path: Path) -> dict:
  try:
    raw = json.loads(path.read_text())
  except (OSError, ValueError) as error:
    raise ConfigError(
      f'{path}: cannot be read as JSON ({error}); a Hugging Face folder '
      'needs config.json beside its weights'
    ) from error
  given = raw.get('model_type') if isinstance(raw, dict) else raw
  if not isinstance(given, str) or given not in FAMILIES:
    raise ConfigError(
      f'{path}: model_type = {given!r} is not one of {sorted(FAMILIES)}; use a '
      'folder of one of those families'
    )
  return raw


def _refuse_unsupported(raw: dict) -> None:
  """Refuses what would change the mathematics and is not implemented."""
  for name in _REFUSED:
    if raw.get(name):
      raise Unsupported(name, raw[name])
  turned = raw.get('partial_rotary_factor')
  if turned not in (None, 1.0):
    raise Unsupported('partial_rotary_factor', turned)


def _fields(raw: dict, family: Family) -> dict:
  """The fields of DecoderConfig; `raw` has the family's defaults in it."""
  heads = checks.integer(raw, 'num_attention_heads')
  even = checks.integer(raw, 'hidden_size') // heads
  unsaid = {'num_key_value_heads': heads, 'head_dim': even}
  raw = {**raw, **{k: v for k, v in unsaid.items() if raw[k] is None}}
  activation = raw[family.activation]
  if activation not in _ACTIVATIONS:
    raise Unsupported(family.activation, activation)
  return {
    **{ours: checks.integer(raw, theirs) for ours, theirs in _FIELDS.items()},
    'head_dim': checks.integer(raw, 'head_dim'),
    'norm_eps': checks.positive(raw, 'rms_norm_eps'),
    'tied_head': checks.switch(raw, 'tie_word_embeddings'),
    'activation': _ACTIVATIONS[activation],
    **family.rope(raw),
    **family.own(raw),
  }


def config_to_json(config: DecoderConfig, extra: dict) -> dict:
  """config.json of a policy that was made here; `extra` adds token ids.

  One that came from a folder keeps that folder's own.

  Raises:
    ValueError: it has parts that none of llama, qwen2 and qwen3 has.
  """
  name = 'qwen2' if config.qkv_bias else 'llama'
  name = 'qwen3' if config.qk_norm else name
  family = FAMILIES[name]
  theirs = {hf: getattr(config, ours) for ours, hf in _FIELDS.items()}
  raw = {
    'architectures': [family.architecture],
    'model_type': name,
    'hidden_act': 'silu',
    'head_dim': config.head_dim,
    'rms_norm_eps': config.norm_eps,
    'rope_theta': config.rope_theta,
    'tie_word_embeddings': config.tied_head,
    'torch_dtype': config.param_dtype,
    **theirs,
    **extra,
  }
  made = DecoderConfig(**_fields({**family.defaults, **raw}, family))
  dtypes = {n: getattr(config, n) for n in ('compute_dtype', 'param_dtype')}
  if dataclasses.replace(made, **dtypes) != config:
    raise ValueError(f'no family has the parts of {config}')
  return raw
