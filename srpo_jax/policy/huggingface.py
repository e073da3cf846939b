# SPDX-License-Identifier: Apache-2.0
"""Policies in the Hugging Face layout: config.json and model.safetensors.

One table says which tensor is which. A Hugging Face linear layer is stored as
[out, in]; ours are [in, heads, H] or [in, out].
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from srpo_jax.core.config import ConfigError
from srpo_jax.policy.config import DecoderConfig
from srpo_jax.policy.policy import Params


class Tensor(NamedTuple):
  """One kind of tensor of a layer, or of the ends.

  Attributes:
    name: in the Hugging Face file, '{i}' standing for the layer.
    path: in our tree.
    load: (array, config) -> ours.
    save: (array, config) -> theirs.
  """

  name: str
  path: tuple[str, ...]
  load: Callable = lambda x, c: x
  save: Callable = lambda x, c: x


def _heads_in(x, c):
  return np.ascontiguousarray(x.T.reshape(c.dim, -1, c.head_dim))


def _heads_out(x, c):
  return np.ascontiguousarray(x.reshape(c.dim, -1).T)


def _bias_in(x, c):
  return x.reshape(-1, c.head_dim)


def _out_in(x, c):
  return np.ascontiguousarray(x.T.reshape(c.n_heads, c.head_dim, c.dim))


def _flat(x, c):
  return x.reshape(-1)


def _turn(x, c):
  return np.ascontiguousarray(x.T)


def _out_out(x, c):
  return np.ascontiguousarray(x.reshape(-1, c.dim).T)


def _layer_table(config: DecoderConfig) -> list[Tensor]:
  at, rows = 'model.layers.{i}.', []
  norms = {
    'input_layernorm': 'attention_norm',
    'post_attention_layernorm': 'mlp_norm',
  }
  for theirs, ours in norms.items():
    rows.append(Tensor(f'{at}{theirs}.weight', (ours, 'scale')))
  for p in 'qkv':
    name, path = f'{at}self_attn.{p}_proj', ('attention', p)
    kernel = (*path, 'kernel')
    rows.append(Tensor(f'{name}.weight', kernel, _heads_in, _heads_out))
    if config.qkv_bias:
      rows.append(Tensor(f'{name}.bias', (*path, 'bias'), _bias_in, _flat))
  if config.qk_norm:
    for p in 'qk':
      path = ('attention', f'{p}_norm', 'scale')
      rows.append(Tensor(f'{at}self_attn.{p}_norm.weight', path))
  out = ('attention', 'out', 'kernel')
  rows.append(Tensor(f'{at}self_attn.o_proj.weight', out, _out_in, _out_out))
  for p in ('gate', 'up', 'down'):
    path = ('mlp', p, 'kernel')
    rows.append(Tensor(f'{at}mlp.{p}_proj.weight', path, _turn, _turn))
  return rows


def _end_table(config: DecoderConfig) -> list[Tensor]:
  rows = [
    Tensor('model.embed_tokens.weight', ('embed', 'table')),
    Tensor('model.norm.weight', ('final_norm', 'scale')),
  ]
  if not config.tied_head:
    rows.append(Tensor('lm_head.weight', ('head', 'table')))
  return rows


def _get(tree, path):
  for key in path:
    tree = tree[key]
  return tree


def _set(tree, path, value):
  for key in path[:-1]:
    tree = tree.setdefault(key, {})
  tree[path[-1]] = value


# --- config.json ------------------------------------------------------------

_FIELDS = {
  'vocab_size': 'vocab_size',
  'dim': 'hidden_size',
  'n_layers': 'num_hidden_layers',
  'n_heads': 'num_attention_heads',
  'n_kv_heads': 'num_key_value_heads',
  'ffn_dim': 'intermediate_size',
  'rope_theta': 'rope_theta',
  'norm_eps': 'rms_norm_eps',
  'tied_head': 'tie_word_embeddings',
}


def _family(config: DecoderConfig) -> tuple[str, str]:
  """model_type and architecture of the family with these parts."""
  if config.qk_norm:
    return 'qwen3', 'Qwen3ForCausalLM'
  if config.qkv_bias:
    return 'qwen2', 'Qwen2ForCausalLM'
  return 'llama', 'LlamaForCausalLM'


def config_to_json(config: DecoderConfig, extra: dict) -> dict:
  """What transformers reads; `extra` adds token ids and the like."""
  model_type, architecture = _family(config)
  theirs = {hf: getattr(config, ours) for ours, hf in _FIELDS.items()}
  return {
    'architectures': [architecture],
    'model_type': model_type,
    'hidden_act': 'silu',
    'head_dim': config.head_dim,
    'torch_dtype': config.param_dtype,
    **theirs,
    **extra,
  }


def config_from_json(path: Path) -> DecoderConfig:
  """Reads config.json.

  Raises:
    ConfigError: the file lacks a field or is of an unknown family.
  """
  try:
    raw = json.loads(path.read_text())
  except (OSError, ValueError) as error:
    raise ConfigError(
      f'{path}: cannot be read as JSON ({error}); a Hugging Face folder '
      'needs config.json beside its weights'
    ) from error
  known = {'llama', 'mistral', 'qwen2', 'qwen3'}
  if raw.get('model_type') not in known:
    raise ConfigError(
      f'{path}: model_type = {raw.get("model_type")!r} is not one of '
      f'{sorted(known)}; use a folder of one of those families'
    )
  optional = {'rope_theta', 'rms_norm_eps', 'tie_word_embeddings'}
  missing = [f for f in _FIELDS.values() if f not in raw and f not in optional]
  if missing:
    raise ConfigError(f'{path}: lacks {missing}; is it a whole config.json?')
  _refuse_unsupported(path, raw)
  raw = {**raw, **_rope(raw)}
  fields = {ours: raw[hf] for ours, hf in _FIELDS.items() if hf in raw}
  fields.setdefault('tied_head', False)
  return DecoderConfig(
    **fields,
    head_dim=raw.get('head_dim')
    or raw['hidden_size'] // raw['num_attention_heads'],
    qkv_bias=raw['model_type'] == 'qwen2',
    qk_norm=raw['model_type'] == 'qwen3',
  )


def _rope(raw: dict) -> dict:
  """rope_theta, which newer files keep inside rope_parameters."""
  inside = raw.get('rope_parameters') or {}
  return {k: v for k, v in inside.items() if k == 'rope_theta'}


def _refuse_unsupported(path: Path, raw: dict) -> None:
  """Refuses what would change the mathematics and is not implemented."""
  rope = raw.get('rope_scaling') or raw.get('rope_parameters') or {}
  kind = rope.get('rope_type', rope.get('type', 'default'))
  windowed = raw.get('sliding_window') and raw.get('use_sliding_window', True)
  bias = raw.get('attention_bias') or raw.get('mlp_bias')
  given = {
    'rope_type': kind != 'default' and kind,
    'sliding_window': windowed,
    'attention_bias or mlp_bias': bias,
    'hidden_act': raw.get('hidden_act', 'silu') != 'silu' and raw['hidden_act'],
  }
  for name, value in given.items():
    if value:
      raise ConfigError(
        f'{path}: {name} = {value!r} is not supported yet; use a folder '
        'without it'
      )


# --- weights ----------------------------------------------------------------


def save(folder: Path, config: DecoderConfig, params: Params, extra: dict):
  """Writes config.json and model.safetensors."""
  folder.mkdir(parents=True, exist_ok=True)
  params = jax.device_get(params)
  tensors = {
    row.name: np.ascontiguousarray(row.save(_get(params, row.path), config))
    for row in _end_table(config)
  }
  for row in _layer_table(config):
    stacked = _get(params['layers'], row.path)
    for i, x in enumerate(stacked):
      theirs = np.ascontiguousarray(row.save(x, config))
      tensors[row.name.format(i=i)] = theirs
  save_file(tensors, folder / 'model.safetensors', metadata={'format': 'pt'})
  text = json.dumps(config_to_json(config, extra), indent=2, sort_keys=True)
  (folder / 'config.json').write_text(text + '\n')


def load(folder: Path) -> tuple[DecoderConfig, Params]:
  """Reads a folder written by `save` or by transformers, one shard.

  Raises:
    ConfigError: something is missing or has the wrong shape; names it.
  """
  config = config_from_json(folder / 'config.json')
  path = folder / 'model.safetensors'
  try:
    with safe_open(path, framework='numpy') as file:
      _refuse_unexpected(path, set(file.keys()), config)
      return config, _load_all(config, _reader(path, file, config))
  except (OSError, SafetensorError, ValueError) as error:
    raise ConfigError(
      f'{path}: cannot be read ({error}); copy or export it again'
    ) from error


def _refuse_unexpected(path, names: set[str], config) -> None:
  """A tensor that nobody reads means that the policy would be another."""
  wanted = {row.name for row in _end_table(config)}
  for i in range(config.n_layers):
    wanted |= {row.name.format(i=i) for row in _layer_table(config)}
  # Some files repeat a tied head.
  unexpected = sorted(names - wanted - {'lm_head.weight'})
  if unexpected:
    raise ConfigError(
      f'{path}: {unexpected[0]} and {len(unexpected) - 1} more tensors do not '
      'belong to a policy of its config.json; is it of another family?'
    )


def _reader(path, file, config):
  names = set(file.keys())

  def read(row, name):
    if name not in names:
      raise ConfigError(
        f'{path}: has no tensor {name}; it does not fit its config.json'
      )
    # A policy is trained in its param_dtype: an update of 1e-6 would round to
    # nothing in a bfloat16 file's own.
    return row.load(file.get_tensor(name).astype(config.param_dtype), config)

  return read


def _load_all(config, read):
  params = {'layers': {}}
  for row in _end_table(config):
    _set(params, row.path, read(row, row.name))
  for row in _layer_table(config):
    layers = [read(row, row.name.format(i=i)) for i in range(config.n_layers)]
    _set(params['layers'], row.path, np.stack(layers))
  return params
