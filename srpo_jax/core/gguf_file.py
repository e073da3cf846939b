# SPDX-License-Identifier: Apache-2.0
"""The GGUF container: metadata, and where the bytes of each tensor lie.

The layout is that of ggml's docs/gguf.md: magic, version and counts, then
key-value pairs, then one entry a tensor, then the tensors' bytes, each aligned.
It is read here because the `gguf` package, which knows the quantisation types,
makes several arrays for each token of a vocabulary: 20 s for 262,144 tokens
that take 1 s here.
"""

import mmap
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from srpo_jax.core.config import ConfigError

MAGIC = b'GGUF'
VERSIONS = (2, 3)
ALIGNMENT = 32  # bytes, where the file does not say otherwise

# Number of a value's type -> how it is stored. 8 is a string, 9 an array.
SCALARS = {
  0: '<u1',
  1: '<i1',
  2: '<u2',
  3: '<i2',
  4: '<u4',
  5: '<i4',
  6: '<f4',
  7: '?',
  10: '<u8',
  11: '<i8',
  12: '<f8',
}
STRING, ARRAY = 8, 9
U32, F32, U64 = 4, 6, 10


class GgufTensor(NamedTuple):
  """Attributes:
  name: as llama.cpp calls it.
  shape: as numpy has it, the fastest axis last.
  kind: number of its quantisation type.
  offset: of its first byte, from the start of the file.
  """

  name: str
  shape: tuple[int, ...]
  kind: int
  offset: int


class GgufFile(NamedTuple):
  """Attributes:
  path: of the file.
  size: of the file, in bytes.
  metadata: key -> number, text, or array (numbers: numpy; texts: list).
  tensors: name -> tensor, in the order of the file.
  """

  path: Path
  size: int
  metadata: dict[str, Any]
  tensors: dict[str, GgufTensor]

  def get(self, key: str, default: Any = None) -> Any:
    """A value of the metadata; '{arch}.' stands for the architecture's own."""
    return self.metadata.get(key.replace('{arch}', self.architecture), default)

  def number(self, key: str) -> int | float:
    """A number that the architecture needs.

    Raises:
      ConfigError: it is missing, or one for each layer.
    """
    value = self.get(f'{{arch}}.{key}')
    if not isinstance(value, int | float):
      raise ConfigError(
        f'{self.path}: {self.architecture}.{key} = {value} is not one number; '
        'convert the model again with a newer llama.cpp'
      )
    return value

  def count(self, key: str, default: int | None = None) -> int:
    """A whole number above 0; `default` where the file says none.

    Raises:
      ConfigError: it is another one, or missing without a default.
    """
    if default is not None and self.get(f'{{arch}}.{key}') is None:
      return default
    value = self.number(key)
    if type(value) is not int or value < 1:
      raise ConfigError(
        f'{self.path}: {self.architecture}.{key} = {value} is not a whole '
        'number above 0; convert the model again'
      )
    return value

  @property
  def architecture(self) -> str:
    """What llama.cpp calls the family."""
    return str(self.metadata.get('general.architecture'))


def read(path: Path) -> GgufFile:
  """Reads everything but the tensors' bytes.

  Raises:
    ConfigError: no such file, not GGUF, damaged, or one part of several.
  """
  try:
    with path.open('rb') as file:
      if file.read(len(MAGIC)) != MAGIC:
        raise ConfigError(f'{path}: not a GGUF file; name one')
      with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found = _parse(path, _Cursor(data))
  except OSError as error:
    raise ConfigError(
      f'{path}: cannot be read ({error.strerror}); name a GGUF file'
    ) from error
  except (EOFError, ValueError) as error:
    raise ConfigError(
      f'{path}: damaged or cut off ({error}); fetch it again'
    ) from error
  if found.get('split.count', 1) > 1:
    raise ConfigError(
      f'{path}: one of {found.get("split.count")} parts; join them with '
      '`llama-gguf-split --merge` and name the result'
    )
  return found


class _Cursor:
  """Reads one value after another."""

  def __init__(self, data: mmap.mmap):
    self.data = data
    self.at = len(MAGIC)

  def take(self, size: int) -> bytes:
    end = self.at + size
    if end > len(self.data):
      raise EOFError(f'its {len(self.data)} bytes end inside its header')
    taken = self.data[self.at : end]
    self.at = end
    return taken

  def array(self, kind: int, count: int) -> np.ndarray:
    dtype = np.dtype(SCALARS[kind])
    return np.frombuffer(self.take(count * dtype.itemsize), dtype)

  def integer(self, kind: int) -> int:
    return int(self.array(kind, 1)[0])

  def text(self) -> str:
    (size,) = struct.unpack('<Q', self.take(8))
    return self.take(size).decode()

  def value(self, kind: int) -> Any:
    if kind == STRING:
      return self.text()
    if kind == ARRAY:
      inner, count = self.integer(U32), self.integer(U64)
      if inner in SCALARS:
        return self.array(inner, count)
      return [self.value(inner) for _ in range(count)]
    if kind not in SCALARS:
      raise ValueError(f'a value of the unknown type {kind}')
    number = self.array(kind, 1)[0]
    # The number that was meant: 1e-05, not 9.99999975e-06.
    return float(str(number)) if kind == F32 else number.item()


def _parse(path: Path, cursor: _Cursor) -> GgufFile:
  version = cursor.integer(U32)
  if version not in VERSIONS:
    raise ConfigError(
      f'{path}: GGUF version {version} is not one of {VERSIONS}; convert the '
      'model again with a newer llama.cpp'
    )
  n_tensors, n_values = cursor.integer(U64), cursor.integer(U64)
  metadata = {}
  for _ in range(n_values):
    key = cursor.text()
    metadata[key] = cursor.value(cursor.integer(U32))
  entries = [_entry(cursor) for _ in range(n_tensors)]
  alignment = int(metadata.get('general.alignment', ALIGNMENT))
  if alignment < 1:
    raise ValueError(f'general.alignment is {alignment}')
  start = -(-cursor.at // alignment) * alignment
  tensors = {t.name: t._replace(offset=start + t.offset) for t in entries}
  if len(tensors) < n_tensors:
    raise ValueError('two tensors have one name')
  return GgufFile(path, len(cursor.data), metadata, tensors)


def _entry(cursor: _Cursor) -> GgufTensor:
  """A tensor's entry; its offset still counts from the first tensor."""
  name, n_dims = cursor.text(), cursor.integer(U32)
  # The file has the fastest axis first.
  shape = tuple(int(n) for n in cursor.array(U64, n_dims)[::-1])
  return GgufTensor(name, shape, cursor.integer(U32), cursor.integer(U64))
