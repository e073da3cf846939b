# SPDX-License-Identifier: Apache-2.0
"""GSM8K: grade-school mathematics in words, from its publisher or a folder.

Cobbe et al. 2021, arXiv:2110.14168; MIT licence. The answer is the number
behind '####', without the commas in it. Matched by equivalence (our choice),
so that `72` and `\\boxed{72\\text{ clips}}` both count where the answer is 72.
"""

import functools
import json
import lzma
import pathlib
import re
import types
from collections.abc import Iterator

import requests
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download.download_manager import (
  NonMatchingChecksumError,
)

from srpo_jax.core.config import ConfigError
from srpo_jax.core.records import Prompt, prompt_id
from srpo_jax.data.builders import schema, store

SPLITS = ('train', 'test')
URL = (
  'https://raw.githubusercontent.com/openai/grade-school-math/master/'
  'grade_school_math/data/{}.jsonl'
)
# Sizes and SHA-256 as tensorflow/datasets pins them for the same addresses:
# tensorflow_datasets/text/gsm8k/checksums.tsv at commit
# 90b66237ad09c9e5b9b1bc61b646db7b1fb0713c.
PINNED = {
  'train': (
    4166206,
    '17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465',
  ),
  'test': (
    749738,
    '3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14',
  ),
}
# What a folder may call a split's file: our copies, then the publisher's.
FILE_NAMES = ('gsm8k_{}.jsonl.xz', 'gsm8k_{}.jsonl', '{}.jsonl')
NUMBER = re.compile(r'-?\d+(\.\d+)?')


class Gsm8k(tfds.core.GeneratorBasedBuilder):
  """GSM8K as prompts."""

  VERSION = tfds.core.Version('1.0.0')
  url_infos = types.MappingProxyType(
    {
      URL.format(split): tfds.download.checksums.UrlInfo(
        size=size, checksum=checksum, filename=f'{split}.jsonl'
      )
      for split, (size, checksum) in PINNED.items()
    }
  )

  def __init__(self, *, files: dict[str, pathlib.Path] | None = None, **kwargs):
    """Reads `files` (split: path); without them it downloads."""
    self._files = files
    super().__init__(**kwargs)

  def _info(self) -> tfds.core.DatasetInfo:
    return tfds.core.DatasetInfo(
      builder=self,
      features=schema.features(),
      homepage='https://github.com/openai/grade-school-math',
    )

  def _split_generators(self, dl_manager):
    files = self._files or _download(dl_manager)
    return {
      split: self._generate_examples(split, path)
      for split, path in files.items()
    }

  def _generate_examples(
    self, split: str, path: pathlib.Path
  ) -> Iterator[tuple[str, dict]]:
    for prompt in read_prompts(split, pathlib.Path(path)):
      yield str(prompt.id), schema.to_row(prompt)


def _download(dl_manager) -> dict[str, pathlib.Path]:
  remedy = (
    f'set DATA_DIR to a folder that holds {FILE_NAMES[0].format("train")}'
  )
  try:
    return dl_manager.download({split: URL.format(split) for split in SPLITS})
  except (requests.RequestException, tfds.download.DownloadError) as error:
    raise ConfigError(
      f'{URL.format("train")}: cannot be fetched '
      f'({type(error).__name__}); try again, or {remedy}'
    ) from error
  except NonMatchingChecksumError as error:
    raise ConfigError(
      f'{URL.format("train")} or its test split: not the file whose SHA-256 '
      f'is pinned in {pathlib.Path(__file__).name}; try again, or {remedy}'
    ) from error


def find_files(folder: pathlib.Path) -> dict[str, pathlib.Path] | None:
  """The file of each split in a folder; None if it has none of them.

  Raises:
    ConfigError: there is one split's file and not the other's.
  """
  found = {
    split: path
    for name in reversed(FILE_NAMES)
    for split in SPLITS
    if (path := folder / name.format(split)).is_file()
  }
  missing = [split for split in SPLITS if split not in found]
  if found and missing:
    raise ConfigError(
      f'{folder}: holds GSM8K without its {missing[0]} split; add '
      f'{FILE_NAMES[0].format(missing[0])} or {missing[0]}.jsonl'
    )
  return found or None


def read_prompts(split: str, path: pathlib.Path) -> Iterator[Prompt]:
  """The prompts of a JSON Lines file, the publisher's form or ours.

  Raises:
    ConfigError: naming file and line of a row that cannot be used.
  """
  lines = _open(path)
  for number, line in enumerate(lines, start=1):
    where = f'{path}: line {number}'
    row = _parse(line, where)
    yield schema.checked(_to_prompt(split, number - 1, row, where), where)


def _open(path: pathlib.Path) -> Iterator[str]:
  opened = lzma.open if path.suffix == '.xz' else open
  try:
    with opened(path, 'rt', encoding='utf-8') as lines:
      yield from lines
  except (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError) as error:
    raise ConfigError(
      f'{path}: cannot be read ({error}); fetch the file again'
    ) from error


def _parse(line: str, where: str) -> dict:
  try:
    row = json.loads(line)
  except ValueError as error:
    raise ConfigError(
      f'{where}: not JSON ({error}); correct or delete the line'
    ) from error
  if not isinstance(row, dict):
    raise ConfigError(f'{where}: not a JSON object; correct or delete the line')
  return row


def _to_prompt(split: str, index: int, row: dict, where: str) -> Prompt:
  # The publisher's rows have no id; ours number them by the same line, so a
  # problem has one id however it came.
  question = row.get('question', row.get('prompt'))
  answer = row.get('answer')
  for name, value in (('question', question), ('answer', answer)):
    if not isinstance(value, str):
      raise ConfigError(f'{where}: has no {name}; correct or delete the line')
  final = answer.split('####')[-1].strip().replace(',', '')
  if not NUMBER.fullmatch(final):
    raise ConfigError(
      f'{where}: the answer {final[:40]!r} is no number; correct or delete '
      'the line'
    )
  return Prompt(
    id=prompt_id('gsm8k', row.get('id', f'gsm8k-{split}-{index}')),
    domain='math',
    source='gsm8k',
    question=question,
    answer=(final,),
    level='gsm8k',
  )


def prepare(data_dir: pathlib.Path | None, cache: pathlib.Path) -> pathlib.Path:
  """The folder of the built set; builds it where it is not in the cache yet.

  The folder's name tells what it was built from, so that the publisher's
  files and a folder's never mix, and a changed file is built anew.

  Args:
    data_dir: a folder that may hold the files; else they are downloaded.
    cache: where built sets and downloads are kept.
  """
  files = find_files(data_dir) if data_dir else None
  folder = cache / f'gsm8k-{_origin(files)}'
  if not folder.is_dir():
    builder = functools.partial(Gsm8k, files=files)
    store.write(builder, folder, download_dir=cache / 'downloads')
  return folder


def _origin(files: dict[str, pathlib.Path] | None) -> str:
  if files is None:
    return 'publisher'
  return store.digest(b''.join(files[s].read_bytes() for s in SPLITS))[:12]
