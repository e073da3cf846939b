# SPDX-License-Identifier: Apache-2.0
"""Round trips through a trained tokenizer, and what it refuses."""

import hypothesis
import hypothesis.strategies as st
import pytest

from srpo_jax.core.config import ConfigError
from srpo_jax.data.tasks.sampling import corpus
from srpo_jax.data.tokenizer import (
  TAGS,
  SentencePieceTokenizer,
  common_words,
  train_sentencepiece,
)

TEXTS = tuple(f'{q}\n<think>{s}' for q, s in corpus(0, 1500))
MODEL = train_sentencepiece(
  TEXTS, 600, words=common_words(TEXTS), model_type='char'
)
PLAIN = train_sentencepiece(TEXTS, 500)
TOKENIZERS = [SentencePieceTokenizer(m) for m in (MODEL, PLAIN)]

PROGRAM = 'def f(x):\n\tif x > 1:\n\n    return  "a  b"\n  # end \n\n'
AWKWARD = (
  '',
  ' ',
  '\n',
  PROGRAM,
  ' two  spaces and a trailing one ',
  '<think>1+1=2</think><answer>2</answer>',
  'äöü ß 漢字 😀 ﬁ Å \u2028 \ufeff \x00 \x7f',
  '\u2581a\u2581\u2581 b\u2581',
  '<s></s><pad><unk><0x41>',
  '\r\n\t\r',
)


@pytest.mark.parametrize('tokenizer', TOKENIZERS, ids=['char', 'bpe'])
@pytest.mark.parametrize('text', [*AWKWARD, *TEXTS[:20]])
def test_round_trip(tokenizer, text):
  assert tokenizer.decode(tokenizer.encode(text)) == text


@hypothesis.given(st.text())
def test_round_trip_of_any_text(text):
  for tokenizer in TOKENIZERS:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert all(0 <= i < tokenizer.vocab_size for i in ids)


def test_digits_tags_and_newlines_are_single_tokens():
  for tokenizer in TOKENIZERS:
    assert len(tokenizer.encode('12345')) == 5
    assert len(tokenizer.encode('\n\n')) == 2
    for tag in TAGS:
      assert len(tokenizer.encode(tag)) == 1


def test_letters_of_an_unusual_word_stay_apart():
  assert len(TOKENIZERS[0].encode('cabd')) == 4
  assert len(TOKENIZERS[0].encode(' Greatest Common Divisor')) == 3


def test_pad_and_end_give_no_text_and_are_never_encoded():
  tokenizer = TOKENIZERS[0]
  end = tokenizer.end_ids[0]
  assert end != tokenizer.pad_id
  ids = tokenizer.encode('a</s><pad>')
  assert not {end, tokenizer.pad_id} & set(ids)
  assert (
    tokenizer.decode([*tokenizer.encode('a'), end, tokenizer.pad_id]) == 'a'
  )


def test_end_pieces_are_added():
  tokenizer = SentencePieceTokenizer(MODEL, end_pieces=('</answer>',))
  assert tokenizer.end_ids[1:] == tuple(tokenizer.encode('</answer>'))
  with pytest.raises(ConfigError, match='<end_of_turn>'):
    SentencePieceTokenizer(MODEL, end_pieces=('<end_of_turn>',))


def test_the_same_texts_give_the_same_bytes():
  again = train_sentencepiece(
    TEXTS, 600, words=common_words(TEXTS), model_type='char'
  )
  assert again == MODEL


def test_a_vocabulary_larger_than_the_text_supports_is_no_error():
  model = train_sentencepiece(['ab'], 5000)
  assert SentencePieceTokenizer(model).vocab_size < 300


def test_common_words_are_those_of_many_texts():
  texts = ['sort the row', 'sort the cabd', 'of the', 'to the']
  assert common_words(texts, share=0.5) == (' the', 'sort')


def test_reads_a_file_and_names_it_when_it_is_bad(tmp_path):
  path = tmp_path / 'tokenizer.model'
  path.write_bytes(MODEL)
  assert SentencePieceTokenizer(path).encode('1') == TOKENIZERS[0].encode('1')
  path.write_bytes(b'no model')
  with pytest.raises(ConfigError, match=r'tokenizer\.model: not a sentence'):
    SentencePieceTokenizer(path)
  with pytest.raises(ConfigError, match=r'gone\.model: cannot read'):
    SentencePieceTokenizer(tmp_path / 'gone.model')
