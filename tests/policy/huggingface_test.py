# SPDX-License-Identifier: Apache-2.0
"""Hugging Face folders: round trips, shards, and what is refused."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from srpo_jax.core import mesh as mesh_lib
from srpo_jax.core.config import ConfigError
from srpo_jax.policy import huggingface
from srpo_jax.policy.config import (
  DecoderConfig,
  LinearScaling,
  Llama3Scaling,
)
from srpo_jax.policy.huggingface import names, write
from srpo_jax.policy.policy import make_policy, param_shapes

LLAMA = DecoderConfig(
  vocab_size=31,
  dim=16,
  n_layers=3,
  n_heads=4,
  n_kv_heads=2,
  head_dim=6,
  ffn_dim=24,
)
VARIANTS = {
  'llama': LLAMA,
  'untied': dataclasses.replace(LLAMA, tied_head=False),
  'qwen2': dataclasses.replace(LLAMA, qkv_bias=True),
  'qwen3': dataclasses.replace(LLAMA, qk_norm=True, tied_head=False),
}
GEMMA = dataclasses.replace(LLAMA, post_norms=True, norm_offset=True)


def make_params(config=LLAMA):
  """Random numbers, every one another."""
  rng = np.random.default_rng(0)
  draw = lambda x: rng.normal(size=x.shape).astype(np.float32)
  return jax.tree.map(draw, param_shapes(config))


def load(folder, **changes):
  config = huggingface.config_from_json(folder / 'config.json')
  config = dataclasses.replace(config, **changes)
  shapes = param_shapes(config)
  one = jax.tree.map(lambda _: mesh_lib.first_device(), shapes)
  return config, huggingface.load(folder, config, one)


@pytest.fixture
def folder(tmp_path):
  huggingface.save_policy(tmp_path, LLAMA, make_params(), {'eos_token_id': 1})
  return tmp_path


def rewrite_config(folder, **changes):
  path = folder / 'config.json'
  path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize('name', VARIANTS)
def test_a_round_trip_is_exact(tmp_path, name):
  config = VARIANTS[name]
  params = make_params(config)
  huggingface.save_policy(tmp_path, config, params, {'eos_token_id': 1})
  found, loaded = load(tmp_path)
  assert found == config
  jax.tree.map(np.testing.assert_array_equal, loaded, params)


def test_parts_that_no_plain_family_has_are_not_written_as_one():
  with pytest.raises(ValueError, match='no family has'):
    huggingface.config_to_json(GEMMA, {})


@pytest.mark.parametrize('shard_bytes', [1, 3000, 10**6])
def test_shards_hold_every_tensor_once(tmp_path, shard_bytes):
  params, raw = make_params(), huggingface.config_to_json(LLAMA, {})
  huggingface.save(tmp_path, LLAMA, params, raw, shard_bytes=shard_bytes)
  files = sorted(tmp_path.glob('*.safetensors'))
  found = [name for path in files for name in load_file(path)]
  assert sorted(found) == sorted(names.shapes(LLAMA))
  index = tmp_path / 'model.safetensors.index.json'
  assert index.exists() == (len(files) > 1) == (shard_bytes < 10**6)
  if index.exists():
    where = json.loads(index.read_text())['weight_map']
    assert all(name in load_file(tmp_path / where[name]) for name in found)
  jax.tree.map(np.testing.assert_array_equal, load(tmp_path)[1], params)


@pytest.mark.parametrize('first', [3000, 10**6])
def test_what_was_written_before_is_gone(tmp_path, first):
  params, raw = make_params(), huggingface.config_to_json(LLAMA, {})
  zeros = jax.tree.map(np.zeros_like, params)
  huggingface.save(tmp_path, LLAMA, zeros, raw, shard_bytes=first)
  for shard_bytes in (10**6, 5000):
    huggingface.save(tmp_path, LLAMA, params, raw, shard_bytes=shard_bytes)
    found = [load_file(path) for path in tmp_path.glob('*.safetensors')]
    assert sum(map(len, found)) == len(names.shapes(LLAMA))
    jax.tree.map(np.testing.assert_array_equal, load(tmp_path)[1], params)


def test_a_writing_that_is_stopped_leaves_no_whole_folder(
  tmp_path, monkeypatch
):
  params, raw = make_params(), huggingface.config_to_json(LLAMA, {})
  huggingface.save(tmp_path, LLAMA, params, raw)
  stop = lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt)
  monkeypatch.setattr(write, 'save_file', stop)
  with pytest.raises(KeyboardInterrupt):
    huggingface.save(tmp_path, LLAMA, params, raw)
  assert not (tmp_path / 'config.json').exists()


@pytest.mark.parametrize('name', ['dtype', 'torch_dtype'])
def test_no_name_of_the_dtype_keeps_the_old_one(tmp_path, name):
  raw = {**huggingface.config_to_json(LLAMA, {}), name: 'float64'}
  huggingface.save(tmp_path, LLAMA, make_params(), raw, dtype='bfloat16')
  said = json.loads((tmp_path / 'config.json').read_text())
  given = {said[key] for key in ('dtype', 'torch_dtype') if key in raw}
  assert given == {'bfloat16'}


def test_weights_go_to_the_mesh_in_their_shards(tmp_path, folder):
  mesh = mesh_lib.make_mesh((1, 1, 1), jax.devices()[:1])
  policy = make_policy(LLAMA, mesh)
  shardings = jax.tree.map(
    lambda names, x: mesh_lib.sharding(mesh, names, x.shape),
    policy.axes(),
    param_shapes(LLAMA),
    is_leaf=lambda x: isinstance(x, tuple),
  )
  loaded = huggingface.load(folder, LLAMA, shardings)
  jax.tree.map(np.testing.assert_array_equal, loaded, make_params())
  placed = jax.tree.map(lambda x: x.sharding, loaded)
  assert placed == shardings
  huggingface.save_policy(tmp_path / 'again', LLAMA, loaded, {})
  one, other = (load_file(f / 'model.safetensors') for f in (folder, tmp_path))
  assert one.keys() == other.keys()


@pytest.mark.parametrize('dtype', ['bfloat16', 'float16', 'float32'])
def test_files_of_any_dtype_are_kept_in_param_dtype(tmp_path, dtype):
  params = jax.tree.map(lambda x: jnp.asarray(x, dtype), make_params())
  raw = huggingface.config_to_json(LLAMA, {})
  huggingface.save(tmp_path, LLAMA, params, raw, dtype=dtype)
  assert (
    json.loads((tmp_path / 'config.json').read_text())['torch_dtype'] == dtype
  )
  for kept in ('float32', 'bfloat16'):
    loaded = load(tmp_path, param_dtype=kept)[1]
    assert all(x.dtype == kept for x in jax.tree.leaves(loaded))
    close = lambda x, y: np.testing.assert_allclose(
      np.float32(x), np.float32(y), rtol=1e-2
    )
    jax.tree.map(close, loaded, params)
  # What needs no rounding comes back to the bit.
  again = load(tmp_path, param_dtype='float32')[1]
  exact = jax.tree.map(np.float32, params)
  jax.tree.map(np.testing.assert_array_equal, again, exact)


# --- what is refused --------------------------------------------------------


def test_damaged_weights_are_one_clear_error(folder):
  path = folder / 'model.safetensors'
  path.write_bytes(path.read_bytes()[:-100])
  with pytest.raises(ConfigError, match=r'model\.safetensors: cannot be read'):
    load(folder)
  path.unlink()
  with pytest.raises(ConfigError, match=r'model\.safetensors'):
    load(folder)


def test_a_missing_shard_is_named(tmp_path):
  raw = huggingface.config_to_json(LLAMA, {})
  huggingface.save(tmp_path, LLAMA, make_params(), raw, shard_bytes=3000)
  lost = sorted(tmp_path.glob('*.safetensors'))[1]
  lost.unlink()
  with pytest.raises(ConfigError, match=f'lacks {lost.name}, one of'):
    load(tmp_path)


@pytest.mark.parametrize('text', ['{', '{}', '[]', '{"weight_map": 3}'])
def test_a_bad_index_is_one_clear_error(folder, text):
  (folder / 'model.safetensors.index.json').write_text(text)
  with pytest.raises(ConfigError, match=r'index\.json: not an index'):
    load(folder)


def test_a_missing_tensor_is_named(folder):
  rewrite_config(folder, num_hidden_layers=4)
  with pytest.raises(ConfigError, match=r'layers\.3\.input_layernorm'):
    load(folder)


def test_an_unexpected_tensor_is_named(tmp_path):
  config = VARIANTS['qwen2']
  huggingface.save_policy(tmp_path, config, make_params(config), {})
  rewrite_config(tmp_path, model_type='llama')
  with pytest.raises(ConfigError, match=r'k_proj\.bias.*another family'):
    load(tmp_path)


def test_a_tensor_of_another_shape_is_named(folder):
  rewrite_config(folder, intermediate_size=25)
  with pytest.raises(ConfigError, match=r'gate_proj.* \[24, 16\].* \[25, 16\]'):
    load(folder)


def test_a_head_that_repeats_the_embedding_is_no_fault(folder):
  path = folder / 'model.safetensors'
  tensors = load_file(path)
  tensors['lm_head.weight'] = tensors['model.embed_tokens.weight']
  save_file(tensors, path)
  load(folder)


@pytest.mark.parametrize(
  'changes',
  [
    {'rope_scaling': {'rope_type': 'yarn', 'factor': 8.0}},
    {'rope_parameters': {'full_attention': {'rope_type': 'dynamic'}}},
    {'partial_rotary_factor': 0.5},
    {'attention_bias': True},
    {'mlp_bias': True},
    {'hidden_act': 'gelu'},
    {'model_type': 'gpt2'},
    {'quantization_config': {'quant_method': 'awq'}},
    {'use_bidirectional_attention': True},
  ],
)
def test_what_would_change_the_mathematics_is_refused(folder, changes):
  rewrite_config(folder, **changes)
  with pytest.raises(ConfigError, match=next(iter(changes))[:4]):
    load(folder)


@pytest.mark.parametrize(
  'changes',
  [
    {'hidden_size': 'wide'},
    {'num_key_value_heads': 3},
    {'rope_scaling': {'rope_type': 'llama3', 'factor': 8.0}},
  ],
)
def test_a_config_that_makes_no_sense_is_one_clear_error(folder, changes):
  rewrite_config(folder, **changes)
  with pytest.raises(ConfigError, match=r'config\.json: cannot be understood'):
    load(folder)


# --- what config.json says --------------------------------------------------


@pytest.mark.parametrize(
  ('changes', 'wanted'),
  [
    ({'rope_parameters': {'rope_theta': 5e5}}, {'rope_theta': 5e5}),
    (
      {'rope_scaling': {'type': 'linear', 'factor': 4.0}},
      {'rope_scaling': LinearScaling(4.0)},
    ),
    (
      {
        'rope_scaling': {
          'rope_type': 'llama3',
          'factor': 32.0,
          'low_freq_factor': 1.0,
          'high_freq_factor': 4.0,
          'original_max_position_embeddings': 8192,
        }
      },
      {'rope_scaling': Llama3Scaling(32.0, 1.0, 4.0, 8192)},
    ),
    ({'model_type': 'mistral', 'sliding_window': None}, {}),
    (
      {'model_type': 'mistral', 'sliding_window': 7},
      {'window': 7, 'local_layers': (0, 1, 2)},
    ),
    # Qwen's files have a window and say that it is not used.
    (
      {
        'model_type': 'qwen3',
        'use_sliding_window': False,
        'sliding_window': 7,
      },
      {'qk_norm': True},
    ),
    (
      {
        'model_type': 'qwen2',
        'use_sliding_window': True,
        'sliding_window': 7,
        'max_window_layers': 2,
      },
      {'qkv_bias': True, 'window': 7, 'local_layers': (2,)},
    ),
    (
      {'model_type': 'smollm3', 'no_rope_layer_interval': 2},
      {'unturned_layers': (1,)},
    ),
  ],
)
def test_what_config_json_says(folder, changes, wanted):
  plain = huggingface.config_from_json(folder / 'config.json')
  rewrite_config(folder, **changes)
  found = huggingface.config_from_json(folder / 'config.json')
  assert found == dataclasses.replace(plain, **wanted)
