# SPDX-License-Identifier: Apache-2.0
"""config.json: what a family has unsaid, odd values, and what is refused."""

import json

import pytest

from srpo_jax.core.config import ConfigError
from srpo_jax.policy import huggingface
from srpo_jax.policy.config import LinearScaling, Llama3Scaling

FULL, SLIDING = 'full_attention', 'sliding_attention'
# The sizes alone: all else is what the family has unsaid.
SIZES = {
  'vocab_size': 31,
  'hidden_size': 64,
  'num_hidden_layers': 8,
  'num_attention_heads': 4,
  'num_key_value_heads': 2,
  'intermediate_size': 24,
}
LINEAR = {'rope_type': 'linear', 'factor': 8.0}
LLAMA3 = {
  'rope_type': 'llama3',
  'factor': 8.0,
  'low_freq_factor': 1.0,
  'high_freq_factor': 4.0,
  'original_max_position_embeddings': 8192,
}
# From the configuration classes of transformers 5.23.
UNSAID = {
  'llama': {'head_dim': 16, 'rope_theta': 1e4, 'tied_head': False},
  'mistral': {
    'head_dim': 16,
    'window': 4096,
    'local_layers': tuple(range(8)),
  },
  'qwen2': {'head_dim': 16, 'window': None, 'tied_head': False},
  'qwen3': {'head_dim': 128, 'window': None, 'qk_norm': True},
  'smollm3': {
    'head_dim': 16,
    'rope_theta': 2e6,
    'unturned_layers': (3, 7),
    'local_layers': (),
    'tied_head': True,
  },
  'gemma2': {
    'head_dim': 256,
    'activation': 'gelu_tanh',
    'window': 4096,
    'local_layers': (0, 2, 4, 6),
    'query_scale': 1 / 16,
    'attention_softcap': 50.0,
    'final_softcap': 30.0,
    'rope_theta': 1e4,
    'tied_head': True,
  },
  'gemma3_text': {
    'head_dim': 256,
    'activation': 'gelu_tanh',
    'window': 4096,
    'local_layers': (0, 1, 2, 3, 4, 6, 7),
    'query_scale': 1 / 16,
    'attention_softcap': None,
    'final_softcap': None,
    'rope_theta': 1e6,
    'local_rope_theta': 1e4,
    'tied_head': True,
  },
}


@pytest.fixture
def read(tmp_path):
  """The decoder of a config.json of a family, with these entries more."""

  def run(family, **more):
    path = tmp_path / 'config.json'
    path.write_text(json.dumps({**SIZES, 'model_type': family, **more}))
    return huggingface.config_from_json(path)

  return run


@pytest.fixture
def refusal(read):
  def run(family, **more):
    with pytest.raises(ConfigError) as caught:
      read(family, **more)
    assert 'config.json: ' in caught.value.line
    return caught.value.line

  return run


@pytest.mark.parametrize('family', UNSAID)
def test_what_a_family_has_unsaid(read, family):
  found = read(family)
  assert found.norm_eps == 1e-6
  for name, value in UNSAID[family].items():
    assert getattr(found, name) == value, name


ALSO = {
  'llama': {'num_key_value_heads': None, 'hidden_activation': 'none'},
  'mistral': {'sliding_window': None},
  'qwen2': {'use_sliding_window': True, 'max_window_layers': 2},
  'qwen3': {'use_sliding_window': True, 'sliding_window': None},
  'smollm3': {'use_sliding_window': True, 'sliding_window': 7},
  'gemma2': {'attn_logit_softcapping': None, 'hidden_act': 'none'},
  'gemma3_text': {'sliding_window_pattern': 3, 'rope_scaling': LINEAR},
}


@pytest.mark.parametrize('family', UNSAID)
@pytest.mark.parametrize('also', [False, True])
def test_it_is_what_transformers_has_unsaid(read, family, also):
  transformers = pytest.importorskip('transformers')
  more = ALSO[family] if also else {}
  found = read(family, **more)
  raw = {**SIZES, 'model_type': family, **more}
  theirs = transformers.AutoConfig.for_model(**raw)
  even = theirs.hidden_size // theirs.num_attention_heads
  assert found.head_dim == getattr(theirs, 'head_dim', even)
  assert found.n_kv_heads == theirs.num_key_value_heads
  assert found.tied_head == theirs.tie_word_embeddings
  assert found.norm_eps == theirs.rms_norm_eps
  name = 'hidden_activation' if 'gemma' in family else 'hidden_act'
  known = {'silu': 'silu', 'gelu_pytorch_tanh': 'gelu_tanh'}
  assert found.activation == known[getattr(theirs, name)]
  for ours, name in {
    'attention_softcap': 'attn_logit_softcapping',
    'final_softcap': 'final_logit_softcapping',
  }.items():
    assert getattr(found, ours) == getattr(theirs, name, None)
  window = getattr(theirs, 'sliding_window', None)
  types = getattr(theirs, 'layer_types', None)
  types = types or [FULL if window is None else SLIDING] * 8
  local = tuple(i for i in range(8) if types[i] == SLIDING)
  assert found.local_layers == local
  assert found.window == (window if local else None)
  rope = theirs.rope_parameters
  full, near = rope.get(FULL, rope), rope.get(SLIDING, {})
  assert found.rope_theta == full['rope_theta']
  assert found.local_rope_theta == near.get('rope_theta')
  linear = LinearScaling(8.0) if full['rope_type'] == 'linear' else None
  assert found.rope_scaling == linear


def test_scaling_is_taken_from_where_transformers_takes_it(read):
  # Where a file has both, the old entry counts, and a base outside of it.
  both = {'rope_parameters': {**LLAMA3, 'rope_theta': 7.0}}
  found = read('llama', **both)
  assert found.rope_scaling == Llama3Scaling(8.0, 1.0, 4.0, 8192)
  assert found.rope_theta == 7.0
  found = read('llama', **both, rope_scaling=LINEAR, rope_theta=9.0)
  assert found.rope_scaling == LinearScaling(8.0)
  assert found.rope_theta == 9.0
  kinds = {FULL: {'rope_theta': 3.0}, SLIDING: {'rope_theta': 2.0}}
  found = read('gemma3_text', rope_parameters=kinds, rope_scaling=LINEAR)
  assert (found.rope_theta, found.local_rope_theta) == (3.0, 2.0)
  assert found.rope_scaling == LinearScaling(8.0)


@pytest.mark.parametrize(
  ('family', 'more', 'said'),
  [
    (
      'gemma3_text',
      {'rope_parameters': {SLIDING: LINEAR}},
      "rope_type of sliding_attention = 'linear'",
    ),
    ('gemma3_text', {'rope_parameters': LINEAR}, 'rope_parameters for all la'),
    ('qwen3', {'rope_parameters': {FULL: LINEAR}}, 'rope_parameters for each'),
    (
      'llama',
      {'rope_parameters': {'partial_rotary_factor': 0.5}},
      'partial_rotary_factor = 0.5',
    ),
    ('gemma2', {'hidden_activation': 'silu2'}, "hidden_activation = 'silu2'"),
    ('gemma2', {'hidden_activation': None}, 'hidden_activation = None'),
    ('mistral', {'layer_types': [FULL] * 8}, "layer_types = 'full_attention'"),
    ('qwen3', {'layer_types': ['mamba'] * 8}, "layer_types = 'mamba'"),
  ],
)
def test_what_is_not_carried_over_is_refused(refusal, family, more, said):
  line = refusal(family, **more)
  assert said in line
  assert line.endswith('is not supported; use a folder without it')


@pytest.mark.parametrize(
  ('family', 'more', 'said'),
  [
    (
      'llama',
      {'hidden_size': '64'},
      "hidden_size = '64', but it must be an in",
    ),
    ('llama', {'hidden_size': 64.0}, 'hidden_size = 64.0, but it must be an'),
    ('llama', {'num_attention_heads': 0}, 'num_attention_heads = 0, but it mu'),
    ('llama', {'num_key_value_heads': 0}, 'num_key_value_heads = 0, but it mu'),
    ('llama', {'num_hidden_layers': True}, 'num_hidden_layers = True, but it'),
    ('llama', {'vocab_size': -1}, 'vocab_size = -1, but it must be an integer'),
    ('llama', {'intermediate_size': None}, 'intermediate_size = None, but it'),
    ('llama', {'head_dim': 0}, 'head_dim = 0, but it must be an integer'),
    ('llama', {'head_dim': 5}, 'head_dim 5 is odd'),
    ('llama', {'rms_norm_eps': '1e-5'}, "rms_norm_eps = '1e-5', but it must"),
    ('llama', {'rope_theta': None}, 'rope_theta = None, but it must be a num'),
    ('llama', {'rope_theta': float('nan')}, 'rope_theta = nan, but it must be'),
    ('llama', {'rope_scaling': 'linear'}, "rope_scaling = 'linear', but it m"),
    ('llama', {'rope_scaling': {**LINEAR, 'factor': 0}}, 'factor = 0, but it'),
    ('llama', {'rope_scaling': {'rope_type': 'linear'}}, "KeyError: 'factor'"),
    ('llama', {'hidden_act': ['silu']}, 'unhashable'),
    ('llama', {'tie_word_embeddings': 'no'}, "tie_word_embeddings = 'no', but"),
    (
      'qwen2',
      {'use_sliding_window': 'no'},
      "use_sliding_window = 'no', but it",
    ),
    ('qwen2', {'layer_types': [SLIDING] * 8}, 'sliding_window = None, but it'),
    ('qwen2', {'layer_types': [FULL]}, 'but it must be a list of 8'),
    (
      'smollm3',
      {'no_rope_layer_interval': 0},
      'no_rope_layer_interval = 0, bu',
    ),
    ('smollm3', {'no_rope_layers': [1]}, 'no_rope_layers = [1], but 8 are ne'),
    ('gemma2', {'sliding_window': None}, 'sliding_window = None, but it must'),
    ('gemma2', {'query_pre_attn_scalar': 0}, 'query_pre_attn_scalar = 0, but'),
    (
      'gemma3_text',
      {'sliding_window_pattern': 0},
      'sliding_window_pattern = 0',
    ),
    (
      'gemma3_text',
      {'final_logit_softcapping': '3'},
      'final_logit_softcapping',
    ),
  ],
)
def test_odd_values_are_one_clear_line(refusal, family, more, said):
  line = refusal(family, **more)
  assert said in line
  assert 'config.json: cannot be understood' in line
  assert '; fetch the file again' in line


def test_a_family_that_is_no_name_is_refused(refusal):
  assert "model_type = ['llama'] is not one of" in refusal(['llama'])
