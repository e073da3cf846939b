# SPDX-License-Identifier: Apache-2.0
"""The weights of a GGUF file as a Hugging Face folder, in float32.

Quantised blocks become the numbers that they stand for (the `gguf` package
knows how), names become those of transformers, and what llama.cpp changes when
it writes a file is changed back: it turns q and k of a Llama around within a
head, and adds one to a Gemma's norms. A shard is written as soon as it is full,
so no more than one shard is in memory.
"""

import json
import math
import types
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.numpy import save_file

from srpo_jax.core.config import ConfigError
from srpo_jax.core.gguf_file import GgufFile, GgufTensor
from srpo_jax.policy.gguf import config, names

SHARD_BYTES = 2 * 10**9  # our choice
CHUNK = 1 << 22  # numbers that are dequantised at once; our choice


class Planned(NamedTuple):
  """Attributes:
  name: in transformers.
  tensor: where it comes from.
  heads: 0, or how many heads are to be turned back.
  minus: what is taken off each number.
  """

  name: str
  tensor: GgufTensor
  heads: int
  minus: float


class Plan(NamedTuple):
  """Attributes:
  file: what is converted.
  raw: its config.json.
  tensors: all of the policy's, in the order of the file.
  """

  file: GgufFile
  raw: dict
  tensors: list[Planned]


def plan(file: GgufFile) -> Plan:
  """What `write` is to do; reads no weights yet.

  Raises:
    ConfigError: the file is of an unknown family, is cut off, or holds
      tensors that do not belong there or cannot be dequantised.
  """
  package = _package()
  raw = config.config(file)
  tensors = _tensors(file, raw)
  for tensor in file.tensors.values():
    _check_bytes(file, tensor, package)
  return Plan(file, raw, tensors)


def write(found: Plan, folder: Path) -> None:
  """Writes config.json and safetensors into a folder."""
  text = json.dumps(found.raw, indent=2, sort_keys=True)
  (folder / 'config.json').write_text(text + '\n')
  _write_shards(found, folder)


def _package() -> types.ModuleType:
  try:
    import gguf
  except ImportError as error:
    raise ConfigError(
      'reading a GGUF file needs the package gguf; try '
      "pip install 'srpo_jax[gguf]'"
    ) from error
  return gguf


# --- which tensors ----------------------------------------------------------


def _tensors(file: GgufFile, raw: dict) -> list[Planned]:
  """All tensors of the policy, in the order of the file."""
  wanted = names.wanted(
    file.architecture, raw['num_hidden_layers'], raw['tie_word_embeddings']
  )
  in_config = names.IN_CONFIG.get(file.architecture, set())
  missing = [name for name in wanted if name not in file.tensors]
  unknown = sorted(set(file.tensors) - set(wanted) - in_config)
  if missing or unknown:
    what = 'lacks' if missing else 'has'
    raise ConfigError(
      f'{file.path}: {what} the tensor {(missing or unknown)[0]}, unlike a '
      f'{file.architecture} of {raw["num_hidden_layers"]} layers; use a file '
      'of a model that is supported'
    )
  widths = config.sizes(raw)
  heads = {'attn_q': 'num_attention_heads', 'attn_k': 'num_key_value_heads'}
  planned = []
  for tensor in file.tensors.values():
    if tensor.name in in_config:
      continue
    name, axes = wanted[tensor.name]
    _check_shape(file, tensor, tuple(getattr(widths, axis) for axis in axes))
    part = tensor.name.split('.')[-2]
    turned = part in heads and file.architecture in names.TURNED
    raised = part.endswith('norm') and file.architecture in names.RAISED
    count = raw[heads[part]] if turned else 0
    planned.append(Planned(name, tensor, count, float(raised)))
  return planned


def _check_shape(file: GgufFile, tensor: GgufTensor, shape: tuple) -> None:
  if tensor.shape != shape:
    raise ConfigError(
      f'{file.path}: {tensor.name} is {list(tensor.shape)}, but its metadata '
      f'says {list(shape)}; fetch it again'
    )


def _check_bytes(file: GgufFile, tensor: GgufTensor, package) -> None:
  """That its type is known and its bytes are there."""
  if not _readable(tensor.kind, package):
    raise ConfigError(
      f'{file.path}: {tensor.name} has the quantisation type {tensor.kind}, '
      'which the installed package gguf cannot read; use a file in Q8_0 or F16'
    )
  block, size = package.GGML_QUANT_SIZES[tensor.kind]
  rows = math.prod(tensor.shape[:-1])
  if tensor.shape[-1] % block:
    raise ConfigError(
      f'{file.path}: {tensor.name} has rows of {tensor.shape[-1]}, not whole '
      f'blocks of {block}; fetch it again'
    )
  end = tensor.offset + rows * tensor.shape[-1] // block * size
  if end > file.size:
    raise ConfigError(
      f'{file.path}: cut off, its {file.size} bytes end before {tensor.name} '
      f'does ({end}); fetch it again'
    )


def _readable(kind: int, package) -> bool:
  """Whether the package knows a type and has a way back from it."""
  if kind not in package.GGML_QUANT_SIZES:
    return False
  _, size = package.GGML_QUANT_SIZES[kind]
  try:
    one = np.zeros((1, size), np.uint8)
    package.dequantize(one, package.GGMLQuantizationType(kind))
  except NotImplementedError:
    return False
  return True


# --- their numbers ----------------------------------------------------------


def _read(file: GgufFile, planned: Planned) -> np.ndarray:
  """One tensor as transformers has it, float32."""
  x = _dequantized(file, planned.tensor)
  if planned.heads:
    # In the file the two halves of a head alternate.
    pairs = x.reshape(planned.heads, -1, 2, x.shape[-1])
    x = pairs.swapaxes(1, 2).reshape(x.shape)
  x -= np.float32(planned.minus)
  return x


def _dequantized(file: GgufFile, tensor: GgufTensor) -> np.ndarray:
  """Its numbers, some rows at a time: a whole table would be there thrice."""
  package = _package()
  kind = package.GGMLQuantizationType(tensor.kind)
  block, size = package.GGML_QUANT_SIZES[kind]
  width = tensor.shape[-1]
  shape = (math.prod(tensor.shape[:-1]), width // block * size)
  blocks = np.memmap(file.path, np.uint8, 'r', tensor.offset, shape)
  x = np.empty((shape[0], width), np.float32)
  step = max(CHUNK // width, 1)
  for i in range(0, shape[0], step):
    x[i : i + step] = package.dequantize(blocks[i : i + step], kind)
  return x.reshape(tensor.shape)


# --- shards -----------------------------------------------------------------


def _shards(tensors: list[Planned]) -> Iterator[list[Planned]]:
  """Cuts the list where a shard is full."""
  shard, size = [], 0
  for planned in tensors:
    own = 4 * math.prod(planned.tensor.shape)
    if shard and size + own > SHARD_BYTES:
      yield shard
      shard, size = [], 0
    shard.append(planned)
    size += own
  yield shard


def _write_shards(found: Plan, folder: Path) -> None:
  shards = list(_shards(found.tensors))
  where = {}
  for i, shard in enumerate(shards, 1):
    name = f'model-{i:05}-of-{len(shards):05}.safetensors'
    if len(shards) == 1:
      name = 'model.safetensors'
    tensors = {planned.name: _read(found.file, planned) for planned in shard}
    save_file(tensors, folder / name, metadata={'format': 'pt'})
    where |= dict.fromkeys(tensors, name)
  if len(shards) > 1:
    total = sum(4 * math.prod(p.tensor.shape) for p in found.tensors)
    index = {'metadata': {'total_size': total}, 'weight_map': where}
    text = json.dumps(index, indent=2, sort_keys=True)
    (folder / 'model.safetensors.index.json').write_text(text + '\n')
