# SPDX-License-Identifier: Apache-2.0
"""The tokenizer of a Hugging Face folder: tokenizer.json.

Qwen and SmolLM come with one. Which tokens end a response stands in
the folder's other files; all of them travel with a run.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import tokenizers

from srpo_jax.core.config import ConfigError

NAME = 'tokenizer.json'
# Beside it: what other programs read, and which tokens are special.
BESIDE = (
  'tokenizer_config.json',
  'special_tokens_map.json',
  'generation_config.json',
)


class JsonTokenizer:
  """A tokenizer.json as a Tokenizer (data/tokenizer.py).

  Attributes:
    vocab_size: number of ids, those of added tokens included.
    pad_id: the folder's pad token, or its first end token where it names none.
    end_ids: ids that end a response, all that the folder names.
    files: name -> bytes of what to save beside the weights.
  """

  def __init__(self, folder: str | Path):
    """Reads a folder.

    Raises:
      ConfigError: no sound tokenizer.json, or nothing says what ends a
        response.
    """
    folder = Path(folder)
    names = (NAME, *(name for name in BESIDE if (folder / name).exists()))
    self.files = {name: _read(folder / name) for name in names}
    self._model = _parse(folder / NAME, self.files[NAME])
    self.vocab_size = max(self._model.get_vocab().values()) + 1
    self.end_ids = self._end_ids(folder)
    pad = _json(folder / 'config.json').get('pad_token_id')
    self.pad_id = self.end_ids[0] if pad is None else pad
    if not 0 <= self.pad_id < self.vocab_size:
      raise ConfigError(
        f'{folder / "config.json"}: pad_token_id is {pad}, but tokens go from '
        f'0 to {self.vocab_size - 1}; correct it'
      )
    self._silent = {self.pad_id, *self.end_ids}

  def encode(self, text: str) -> list[int]:
    """The ids of a text; no start or end token is added."""
    return self._model.encode(text, add_special_tokens=False).ids

  def decode(self, ids: Sequence[int]) -> str:
    """The text of ids; pad and end tokens give no text."""
    heard = [int(i) for i in ids if int(i) not in self._silent]
    return self._model.decode(heard, skip_special_tokens=False)

  def _end_ids(self, folder: Path) -> tuple[int, ...]:
    """Those of config.json and generation_config.json, in that order."""
    found: dict[int, None] = {}
    for name in ('config.json', 'generation_config.json'):
      ids = _json(folder / name).get('eos_token_id')
      found |= dict.fromkeys(ids if isinstance(ids, list) else [ids])
    ends = tuple(i for i in found if i is not None)
    if not ends or not all(0 <= i < self.vocab_size for i in ends):
      raise ConfigError(
        f'{folder / "config.json"}: eos_token_id is {list(ends)}, but it must '
        f'name tokens (0 to {self.vocab_size - 1}) that end a response; add it'
      )
    return ends


def _read(path: Path) -> bytes:
  try:
    return path.read_bytes()
  except OSError as error:
    raise ConfigError(
      f'{path}: cannot read the tokenizer ({error.strerror}); a Hugging Face '
      'folder has a tokenizer.model or a tokenizer.json'
    ) from error


def _parse(path: Path, data: bytes) -> tokenizers.Tokenizer:
  try:
    model = tokenizers.Tokenizer.from_buffer(data)
  except Exception as error:  # the library raises no class of its own
    raise ConfigError(
      f'{path}: not a tokenizer.json ({error}); fetch it again'
    ) from error
  # A file may ask for both; here they are the caller's business.
  model.no_truncation()
  model.no_padding()
  return model


def _json(path: Path) -> dict:
  """A JSON file, empty where there is none."""
  if not path.exists():
    return {}
  try:
    return json.loads(path.read_text())
  except ValueError as error:
    raise ConfigError(f'{path}: not JSON ({error}); fetch it again') from error
