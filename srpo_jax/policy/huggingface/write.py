# SPDX-License-Identifier: Apache-2.0
"""Weights into a Hugging Face folder, shard by shard.

Every process of a run takes part, since an array may lie on all of them; the
first one writes. config.json comes last: a folder without it is not whole.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import save_file

from srpo_jax.core import hosts
from srpo_jax.policy.config import DecoderConfig
from srpo_jax.policy.huggingface import names as names_lib
from srpo_jax.policy.huggingface.config_json import config_to_json
from srpo_jax.policy.huggingface.read import INDEX, ONE
from srpo_jax.policy.policy import Params

SHARD_BYTES = 2 * 2**30


def save(
  folder: Path,
  config: DecoderConfig,
  params: Params,
  raw: dict,
  *,
  dtype: str | None = None,
  shard_bytes: int = SHARD_BYTES,
) -> None:
  """Writes safetensors, their index if there are several, and config.json.

  Args:
    folder: made if need be.
    config: of the policy.
    params: on the host, or on any mesh; each array is asked for once.
    raw: config.json as it is to be; its dtype is set here.
    dtype: of the file, such as 'bfloat16'; None for that of the parameters.
    shard_bytes: at most so much a file, and in the host's memory.
  """
  folder = Path(folder)
  if jax.process_index() == 0:
    folder.mkdir(parents=True, exist_ok=True)
    _clear(folder)
  dtype = jnp.dtype(dtype or config.param_dtype)
  shards = _cut(names_lib.shapes(config), dtype.itemsize, shard_bytes)
  tensors = _tensors(config, params, dtype)
  where = {}
  for k, names in enumerate(shards, start=1):
    name = f'model-{k:05d}-of-{len(shards):05d}.safetensors'
    name = name if len(shards) > 1 else ONE
    shard = {wanted: next(tensors) for wanted in names}
    where |= dict.fromkeys(names, name)
    if jax.process_index() == 0:
      save_file(shard, folder / name, metadata={'format': 'pt'})
  if jax.process_index() == 0:
    _write_json(folder, raw, where, dtype)


def save_policy(
  folder: Path, config: DecoderConfig, params: Params, extra: dict
) -> None:
  """Writes a policy that was made here; `extra` adds token ids."""
  save(folder, config, params, config_to_json(config, extra))


def _clear(folder: Path) -> None:
  """Takes away what an earlier writing left: other shards, an index to them.

  config.json first: without it the folder is not taken for a whole one.
  """
  left = [folder / 'config.json', folder / INDEX, folder / ONE]
  for path in [*left, *folder.glob('model-*-of-*.safetensors')]:
    path.unlink(missing_ok=True)


def _cut(
  shapes: dict[str, tuple[int, ...]], itemsize: int, shard_bytes: int
) -> list[list[str]]:
  """Names of each shard, in order."""
  shards, size = [[]], 0
  for name, shape in shapes.items():
    own = int(np.prod(shape)) * itemsize
    if shards[-1] and size + own > shard_bytes:
      shards.append([])
      size = 0
    shards[-1].append(name)
    size += own
  return shards


def _tensors(config, params, dtype) -> Iterator[np.ndarray]:
  """Every tensor as it is stored there, on the host, one at a time."""
  for row in names_lib.table(config):
    leaf = names_lib.get(params, row.path)
    for i in range(len(names_lib.names(row, config))):
      x = _fetch(leaf, i) if row.stacked else _fetch(leaf)
      theirs = row.save(x, config).astype(dtype, copy=False)
      yield np.ascontiguousarray(theirs)


@jax.jit
def _layer(stacked, i):
  return jax.lax.dynamic_index_in_dim(stacked, i, keepdims=False)


def _fetch(x, i: int | None = None) -> np.ndarray:
  """An array, or its layer i, on every host."""
  if isinstance(x, np.ndarray):
    return x if i is None else x[i]
  return hosts.fetch(x if i is None else _layer(x, i))


def _write_json(folder: Path, raw: dict, where: dict, dtype) -> None:
  if len(set(where.values())) > 1:
    index = {'metadata': {}, 'weight_map': where}
    (folder / INDEX).write_text(json.dumps(index, indent=2) + '\n')
  # transformers writes 'dtype', and 'torch_dtype' before its version 5.
  said = [name for name in ('dtype', 'torch_dtype') if name in raw] or ['dtype']
  raw = {**raw, **dict.fromkeys(said, dtype.name)}
  text = json.dumps(raw, indent=2, sort_keys=True)
  partial = folder / '.config.json'
  partial.write_text(text + '\n')
  partial.replace(folder / 'config.json')
