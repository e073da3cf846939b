# SPDX-License-Identifier: Apache-2.0
"""tokenizer.json: round trips, end tokens, and what is refused."""

import json

import hypothesis
import hypothesis.strategies as st
import pytest
import tokenizers

from srpo_jax.core.config import ConfigError
from srpo_jax.data.tasks.sampling import corpus
from srpo_jax.data.tokenizer_json import JsonTokenizer

SPECIAL = ['<|endoftext|>', '<|im_start|>', '<|im_end|>', '<think>']
END, START, TURN, THINK = range(4)
AWKWARD = (
  '',
  ' ',
  'def f(x):\n\tif x > 1:\n\n    return  "a  b"\n  # end \n\n',
  ' two  spaces and a trailing one ',
  'äöü ß 漢字 😀 ﬁ Å \u2028 \ufeff \x00 \x7f \u2581 Ġ',
  '\r\n\t\r',
)


def write_folder(folder, config, **files):
  """A folder with a byte-level BPE, as Qwen's and SmolLM's are."""
  model = tokenizers.Tokenizer(tokenizers.models.BPE())
  model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(
    add_prefix_space=False
  )
  model.decoder = tokenizers.decoders.ByteLevel()
  trainer = tokenizers.trainers.BpeTrainer(
    vocab_size=400,
    special_tokens=SPECIAL,
    initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    show_progress=False,
  )
  model.train_from_iterator([q + s for q, s in corpus(0, 200)], trainer)
  # What a folder may ask for, and must not get.
  model.enable_truncation(4)
  model.enable_padding(length=64)
  model.save(str(folder / 'tokenizer.json'))
  (folder / 'config.json').write_text(json.dumps(config))
  for name, value in files.items():
    (folder / f'{name}.json').write_text(json.dumps(value))
  return folder


@pytest.fixture(scope='module')
def tokenizer(tmp_path_factory):
  folder = tmp_path_factory.mktemp('model')
  return JsonTokenizer(write_folder(folder, {'eos_token_id': END}))


@pytest.mark.parametrize('text', AWKWARD)
def test_round_trip(tokenizer, text):
  assert tokenizer.decode(tokenizer.encode(text)) == text


@hypothesis.given(st.text())
def test_round_trip_of_any_text(tokenizer, text):
  ids = tokenizer.encode(text)
  assert tokenizer.decode(ids) == text
  assert all(0 <= i < tokenizer.vocab_size for i in ids)


def test_end_and_pad_give_no_text_but_other_special_tokens_do(tokenizer):
  assert tokenizer.end_ids == (END,)
  assert tokenizer.pad_id == END
  ids = tokenizer.encode('<think>1')
  assert ids[0] == THINK
  assert tokenizer.decode([END, *ids, END, END]) == '<think>1'
  assert tokenizer.decode([START]) == '<|im_start|>'


def test_all_end_tokens_of_the_folder_end_a_response(tmp_path):
  config = {'eos_token_id': TURN, 'pad_token_id': START}
  more = {'eos_token_id': [END, TURN]}
  folder = write_folder(tmp_path, config, generation_config=more)
  found = JsonTokenizer(folder)
  assert found.end_ids == (TURN, END)
  assert found.pad_id == START
  # They are known to whoever reads what is saved beside the weights.
  assert set(found.files) == {'tokenizer.json', 'generation_config.json'}
  for name, data in found.files.items():
    assert (folder / name).read_bytes() == data


@pytest.mark.parametrize('ends', [None, [], 4000, [END, -1]])
def test_nothing_that_ends_a_response_is_refused(tmp_path, ends):
  folder = write_folder(tmp_path, {'eos_token_id': ends})
  with pytest.raises(ConfigError, match=r'config.json: eos_token_id is .*add'):
    JsonTokenizer(folder)


def test_a_pad_that_is_no_token_is_refused(tmp_path):
  folder = write_folder(tmp_path, {'eos_token_id': END, 'pad_token_id': 4000})
  with pytest.raises(ConfigError, match=r'pad_token_id is 4000, but tokens go'):
    JsonTokenizer(folder)


def test_no_sound_file_is_refused(tmp_path):
  with pytest.raises(ConfigError, match=r'tokenizer.json: cannot read the tok'):
    JsonTokenizer(tmp_path)
  (tmp_path / 'tokenizer.json').write_text('{"model": 5}')
  with pytest.raises(ConfigError, match=r'tokenizer.json: not a tokenizer.j'):
    JsonTokenizer(tmp_path)
  write_folder(tmp_path, {'eos_token_id': END})
  (tmp_path / 'config.json').write_text('{')
  with pytest.raises(ConfigError, match=r'config.json: not JSON'):
    JsonTokenizer(tmp_path)
