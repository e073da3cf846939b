# SPDX-License-Identifier: Apache-2.0
"""Tokenizers: text to ids and back, exactly.

SentencePieceTokenizer reads a sentencepiece model, tokenizer_json.py the
tokenizer.json of a Hugging Face folder; the embedded policy's own model is made
by `train_sentencepiece`.
"""

import collections
import io
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import Protocol

import sentencepiece

from srpo_jax.core.config import ConfigError

TAGS = ('<think>', '</think>', '<answer>', '</answer>')
MODEL_NAME = 'tokenizer.model'
PAD, END, UNKNOWN = '<pad>', '</s>', '<unk>'
WORD = re.compile(' [A-Za-z]{2,}|[A-Za-z]{3,}')
SPACE = '\u2581'  # how sentencepiece writes a space inside a piece


class Tokenizer(Protocol):
  """What the rest of the package asks of a tokenizer."""

  vocab_size: int
  pad_id: int
  end_ids: tuple[int, ...]
  files: dict[str, bytes]  # what to save beside the weights

  def encode(self, text: str) -> list[int]:
    """The ids of a text; no start or end token is added."""

  def decode(self, ids: Sequence[int]) -> str:
    """The text of ids; pad and end tokens give no text."""


class SentencePieceTokenizer:
  """A sentencepiece model as a Tokenizer.

  Attributes:
    vocab_size: number of ids.
    pad_id: the model's pad, or its unknown id where it has none.
    end_ids: ids that end a response.
    files: the model file, to save beside the weights.
  """

  def __init__(
    self,
    model: str | pathlib.Path | bytes,
    end_pieces: tuple[str, ...] = (),
  ):
    """Reads a model.

    Args:
      model: the path of a tokenizer.model, or its bytes.
      end_pieces: pieces that end a response beside the model's own end token,
        such as '<end_of_turn>'.

    Raises:
      ConfigError: no such file, not a sentencepiece model, or no such piece.
    """
    data, name = _read(model)
    self.files = {MODEL_NAME: data}
    self._model = _parse(data, name)
    self.vocab_size = self._model.vocab_size()
    pad, end = self._model.pad_id(), self._model.eos_id()
    self.pad_id = pad if pad >= 0 else self._model.unk_id()
    ends = [end, *(self._piece_id(piece, name) for piece in end_pieces)]
    self.end_ids = tuple(i for i in ends if i >= 0)
    self._space_ids = [
      self._model.piece_to_id(f'<0x{byte:02X}>') for byte in SPACE.encode()
    ]

  def encode(self, text: str) -> list[int]:
    """The ids of a text; no start or end token is added."""
    # A literal U+2581 would come back as a space: it goes in as its bytes.
    parts = [self._model.encode(part) for part in text.split(SPACE)]
    ids = list(parts[0])
    for part in parts[1:]:
      ids += [*self._space_ids, *part]
    return ids

  def decode(self, ids: Sequence[int]) -> str:
    """The text of ids; pad and end tokens give no text."""
    return self._model.decode([int(i) for i in ids])

  def _piece_id(self, piece: str, name: str) -> int:
    found = self._model.piece_to_id(piece)
    if self._model.id_to_piece(found) != piece:
      raise ConfigError(
        f'{name}: has no piece {piece!r}, asked for as an end token; name a '
        'piece of this model'
      )
    return found


def _read(model: str | pathlib.Path | bytes) -> tuple[bytes, str]:
  if isinstance(model, bytes):
    return model, 'tokenizer model'
  path = pathlib.Path(model)
  try:
    return path.read_bytes(), str(path)
  except OSError as error:
    raise ConfigError(
      f'{path}: cannot read the tokenizer ({error.strerror}); give the path '
      'of a tokenizer.model'
    ) from error


def _parse(model: bytes, name: str) -> sentencepiece.SentencePieceProcessor:
  processor = sentencepiece.SentencePieceProcessor()
  try:
    processor.LoadFromSerializedProto(model)
  except (RuntimeError, OSError, TypeError, ValueError) as error:
    raise ConfigError(
      f'{name}: not a sentencepiece model ({len(model)} bytes); fetch it again'
    ) from error
  return processor


def common_words(texts: Iterable[str], share: float = 0.01) -> tuple[str, ...]:
  """Words that stand in at least that share of the texts, sorted.

  A space in front belongs to the word; without one it needs three letters.
  """
  texts = list(texts)
  counts: collections.Counter[str] = collections.Counter()
  for text in texts:
    counts.update(set(WORD.findall(text)))
  return tuple(sorted(w for w, n in counts.items() if n >= share * len(texts)))


def train_sentencepiece(
  texts: Iterable[str],
  vocab_size: int,
  *,
  words: tuple[str, ...] = (),
  model_type: str = 'bpe',
) -> bytes:
  """A sentencepiece model from texts; the same texts give the same bytes.

  The text goes in as it is: no normalisation, no space put in front or taken
  away, a piece for every digit, newline and tag, and bytes for what is in no
  piece. So decode(encode(text)) is the text.

  Args:
    texts: what it learns from.
    vocab_size: the most ids there may be; 256 of them are bytes.
    words: what is one piece wherever it stands, such as `common_words`.
    model_type: 'bpe', 'unigram', or 'char': single characters and `words`,
      which leaves the letters of an unusual word apart.
  """
  pieces = [word.replace(' ', SPACE) for word in words]
  model = io.BytesIO()
  sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter(texts),
    model_writer=model,
    vocab_size=vocab_size,
    model_type=model_type,
    hard_vocab_limit=False,
    normalization_rule_name='identity',
    add_dummy_prefix=False,
    remove_extra_whitespaces=False,
    split_digits=True,
    byte_fallback=True,
    character_coverage=1.0,
    user_defined_symbols=[*TAGS, '\n', *pieces],
    pad_id=0,
    eos_id=1,
    unk_id=2,
    bos_id=-1,
    pad_piece=PAD,
    eos_piece=END,
    unk_piece=UNKNOWN,
    num_threads=1,
    max_sentence_length=1 << 20,
    minloglevel=2,
  )
  return model.getvalue()
