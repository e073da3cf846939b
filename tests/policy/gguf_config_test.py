# SPDX-License-Identifier: Apache-2.0
"""config.json of GGUF files, and files that are refused."""

import math
import sys

import gguf as package
import numpy as np
import pytest

from srpo_jax.core import gguf_file
from srpo_jax.core.config import ConfigError
from srpo_jax.policy import gguf
from srpo_jax.policy.gguf import config

KIND = package.GGMLQuantizationType
COMMON = {
  'vocab_size': 320,
  'hidden_size': 256,
  'intermediate_size': 512,
  'num_hidden_layers': 7,
  'num_attention_heads': 4,
  'num_key_value_heads': 2,
  'max_position_embeddings': 128,
  'rms_norm_eps': 1e-5,
  'tie_word_embeddings': True,
  'attention_bias': False,
  'eos_token_id': 2,
  'pad_token_id': None,
}
DEFAULT = {'rope_type': 'default', 'rope_theta': 50_000.0}
LOCAL = 'sliding_attention'
FAMILIES = {
  'llama': {
    'model_type': 'llama',
    'architectures': ['LlamaForCausalLM'],
    'head_dim': 64,
    'hidden_act': 'silu',
    'mlp_bias': False,
    'rope_theta': 50_000.0,
    'rope_parameters': DEFAULT,
  },
  'qwen2': {
    'model_type': 'qwen2',
    'architectures': ['Qwen2ForCausalLM'],
    'head_dim': 64,
    'use_sliding_window': False,
  },
  'qwen3': {
    'model_type': 'qwen3',
    'architectures': ['Qwen3ForCausalLM'],
    'head_dim': 128,
  },
  'smollm3': {
    'model_type': 'smollm3',
    'architectures': ['SmolLM3ForCausalLM'],
    'no_rope_layers': [1, 1, 1, 0, 1, 1, 1],
  },
  'gemma3': {
    'model_type': 'gemma3_text',
    'architectures': ['Gemma3ForCausalLM'],
    'head_dim': 256,
    'query_pre_attn_scalar': 256,
    'hidden_activation': 'gelu_pytorch_tanh',
    'sliding_window': 16,
    'layer_types': [*[LOCAL] * 5, 'full_attention', LOCAL],
    'rope_theta': 50_000.0,
    'rope_local_base_freq': 10_000.0,
    'rope_parameters': {
      'full_attention': DEFAULT,
      LOCAL: {'rope_type': 'default', 'rope_theta': 10_000.0},
    },
  },
}


@pytest.fixture
def plan(gguf_files, tmp_path):
  """Writes a file and plans its conversion."""

  def run(architecture='llama', **given):
    path = gguf_files.write(tmp_path / 'a.gguf', architecture, **given)
    return gguf.plan(gguf_file.read(path))

  return run


@pytest.fixture
def refusal(plan, tmp_path):
  """Plans what must be refused, in one line that names the file."""

  def run(*args, **given):
    with pytest.raises(ConfigError) as caught:
      plan(*args, **given)
    assert str(tmp_path / 'a.gguf') in caught.value.line
    return caught.value.line

  return run


@pytest.mark.parametrize('architecture', FAMILIES)
def test_config(plan, architecture):
  raw = plan(architecture).raw
  for name, value in {**COMMON, **FAMILIES[architecture]}.items():
    assert raw[name] == value, name


@pytest.mark.parametrize('architecture', FAMILIES)
def test_transformers_makes_the_same_of_it(plan, architecture):
  transformers = pytest.importorskip('transformers')
  raw = plan(architecture).raw
  theirs = transformers.AutoConfig.for_model(**raw).to_dict()
  old = ('rope_theta', 'rope_local_base_freq', 'rope_scaling', 'torch_dtype')
  for name in {*COMMON, *FAMILIES[architecture]} - set(old):
    assert theirs[name] == raw[name], name


def test_the_largest_gemma_scales_queries_otherwise(plan):
  file = plan('gemma3').file
  of_27b = {
    'num_hidden_layers': 62,
    'hidden_size': 5376,
    'num_attention_heads': 32,
    'head_dim': 128,
  }
  own = config.FAMILIES['gemma3'].own
  assert own(file, of_27b)['query_pre_attn_scalar'] == 168
  of_12b = {**of_27b, 'num_hidden_layers': 48}
  assert own(file, of_12b)['query_pre_attn_scalar'] == 128


def test_linear_stretching(plan):
  change = {'rope.scaling.type': 'linear', 'rope.scaling.factor': 8.0}
  for arch, key in (('llama', None), ('gemma3', 'full_attention')):
    raw = plan(arch, change={f'{arch}.{k}': v for k, v in change.items()}).raw
    wanted = {'rope_type': 'linear', 'factor': 8.0, 'rope_theta': 50_000.0}
    parameters = raw['rope_parameters']
    assert (parameters[key] if key else parameters) == wanted
    assert raw['rope_scaling'] == {'rope_type': 'linear', 'factor': 8.0}
    if key:
      assert parameters[LOCAL]['rope_type'] == 'default'


def llama3_factors(factor):
  """As llama.cpp's converter computes them for Llama 3.1 and later."""
  found = []
  for i in range(32):
    wave = 2 * math.pi * 50_000.0 ** (i / 32)
    if wave < 8192 / 4:
      found.append(1)
    elif wave > 8192:
      found.append(factor)
    else:
      smooth = (8192 / wave - 1) / 3
      found.append(1 / ((1 - smooth) / factor + smooth))
  return np.array(found, np.float32)


def test_llama_3s_stretching(plan, refusal):
  factors = llama3_factors(32)
  assert len(set(factors)) > 5  # some are on the ramp
  raw = plan(more=[('rope_freqs.weight', factors)]).raw
  assert raw['rope_scaling'] == {
    'rope_type': 'llama3',
    'factor': 32.0,
    'low_freq_factor': 1.0,
    'high_freq_factor': 4.0,
    'original_max_position_embeddings': 8192,
  }
  assert raw['rope_parameters']['rope_type'] == 'llama3'
  factors[20] *= 1.01
  line = refusal(more=[('rope_freqs.weight', factors)])
  assert "(rope_freqs.weight) is not Llama 3.1's" in line
  line = refusal('qwen2', more=[('rope_freqs.weight', llama3_factors(8))])
  assert 'has the tensor rope_freqs.weight' in line


@pytest.mark.parametrize('kind', [np.float16, np.float64])
def test_stretching_of_another_type_is_refused(refusal, kind):
  factors = llama3_factors(32).astype(kind)
  line = refusal(more=[('rope_freqs.weight', factors)])
  assert 'rope_freqs.weight has the type' in line


def test_stretching_twice_is_refused(refusal):
  change = {'rope.scaling.type': 'linear', 'rope.scaling.factor': 8.0}
  line = refusal(
    change={f'llama.{k}': v for k, v in change.items()},
    more=[('rope_freqs.weight', llama3_factors(32))],
  )
  assert 'stretched twice' in line


@pytest.mark.parametrize(
  ('change', 'wanted'),
  [
    (
      {'general.architecture': 'mamba'},
      "general.architecture = 'mamba' is not",
    ),
    ({'llama.expert_count': 8}, 'llama.expert_count = 8 is not supported'),
    ({'llama.attention.sliding_window': 64}, 'sliding_window = 64 is not sup'),
    ({'llama.rope.scaling.type': 'yarn'}, "rope.scaling.type = 'yarn' is not"),
    (
      {'llama.rope.dimension_count': 32},
      'turns 32 of the 64 numbers of a head',
    ),
    ({'llama.block_count': None}, 'llama.block_count = None is not one number'),
    ({'llama.block_count': 6}, 'has the tensor blk.6.'),
    ({'llama.block_count': 8}, 'lacks the tensor blk.7.'),
    ({'llama.feed_forward_length': 100}, 'but its metadata says [100, 256]'),
    ({'llama.attention.head_count_kv': [2] * 7}, 'is not one number'),
    ({'llama.attention.head_count': 0}, 'head_count = 0 is not a whole number'),
    ({'llama.attention.head_count_kv': 0}, 'head_count_kv = 0 is not a whole'),
    ({'llama.attention.head_count': 4.0}, 'head_count = 4.0 is not a whole'),
    ({'llama.attention.key_length': [64]}, 'key_length = [64] is not one num'),
    ({'llama.attention.key_length': 0}, 'key_length = 0 is not a whole number'),
    ({'llama.rope.dimension_count': 0}, 'dimension_count = 0 is not a whole'),
    ({'llama.embedding_length': -256}, 'embedding_length = -256 is not a who'),
    ({'llama.block_count': True}, 'block_count = True is not a whole number'),
    ({'llama.rope.freq_base': [1e4, 1e5]}, 'is not one number'),
  ],
)
def test_metadata_that_is_refused(gguf_files, tmp_path, change, wanted):
  path = gguf_files.write(tmp_path / 'a.gguf')
  file = gguf_file.read(path)
  given = {
    k: np.array(v) if isinstance(v, list) else v for k, v in change.items()
  }
  file = file._replace(metadata={**file.metadata, **given})
  with pytest.raises(ConfigError) as caught:
    gguf.plan(file)
  assert wanted in caught.value.line
  assert str(path) in caught.value.line


def test_tensors_that_are_refused(gguf_files, refusal):
  weights = gguf_files.make_weights('llama')
  del weights['model.norm.weight']
  assert 'lacks the tensor output_norm.weight' in refusal(weights=weights)
  del weights['model.embed_tokens.weight']
  assert 'no tensor token_embd.weight' in refusal(weights=weights)
  bias = [('blk.0.attn_q.bias', np.zeros(256, np.float32))]
  assert 'has the tensor blk.0.attn_q.bias' in refusal(more=bias)


def test_types_that_are_refused(plan):
  found = plan()
  path, data = found.file.path, bytearray(found.file.path.read_bytes())
  name = b'blk.2.ffn_up.weight'
  # The type stands after the name, the number of axes and two lengths.
  at = data.index(name) + len(name) + 4 + 2 * 8
  for kind in (KIND.F64, 99):
    data[at] = kind
    path.write_bytes(data)
    line = f'blk.2.ffn_up.weight has the quantisation type {int(kind)}, which'
    with pytest.raises(ConfigError, match=line):
      gguf.plan(gguf_file.read(path))


def test_a_bug_of_the_package_is_not_taken_for_a_type(plan, monkeypatch):
  def broken(*_):
    raise ValueError('a bug')

  monkeypatch.setattr(package, 'dequantize', broken)
  with pytest.raises(ValueError, match='a bug'):
    plan()


def test_rows_that_are_not_whole_blocks(plan):
  file = plan('qwen3').file
  name = 'blk.2.attn_q_norm.weight'
  as_q4_k = file.tensors[name]._replace(kind=KIND.Q4_K)
  with pytest.raises(ConfigError, match='rows of 128, not whole blocks of 256'):
    gguf.plan(file._replace(tensors={**file.tensors, name: as_q4_k}))


@pytest.mark.parametrize('cut', [1, 1000, 3_000_000])
def test_a_file_that_is_cut_off(gguf_files, tmp_path, cut):
  path = gguf_files.write(tmp_path / 'a.gguf')
  path.write_bytes(path.read_bytes()[:-cut])
  with pytest.raises(ConfigError, match=r'cut off, its \d+ bytes end before'):
    gguf.plan(gguf_file.read(path))


def test_without_the_package(plan, monkeypatch):
  file = plan().file
  monkeypatch.setitem(sys.modules, 'gguf', None)
  with pytest.raises(ConfigError, match=r"pip install 'srpo_jax\[gguf\]'"):
    gguf.plan(file)
