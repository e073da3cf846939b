# SPDX-License-Identifier: Apache-2.0
"""Rotary positions of a GGUF file, as config.json has them."""

import math

import numpy as np

from srpo_jax.core.config import ConfigError
from srpo_jax.core.gguf_file import GgufFile

# Llama 3.1 and later, the models of which all have these three.
LOW, HIGH, LENGTH = 1.0, 4.0, 8192
F32 = 0  # number of the type


def everywhere(gguf: GgufFile) -> dict:
  """One rotary base for all layers, where old and new transformers look."""
  theta = _theta(gguf)
  linear, llama3 = _scaling(gguf), _llama3(gguf, theta)
  if linear and llama3:
    raise ConfigError(
      f'{gguf.path}: its rotary positions are stretched twice, by '
      'rope.scaling.type and by rope_freqs.weight; use another file'
    )
  scaling = linear or llama3
  return {
    'rope_theta': theta,
    'rope_scaling': scaling,
    'rope_parameters': _parameters(theta, scaling),
  }


def by_kind(gguf: GgufFile, local_theta: float) -> dict:
  """The same where local layers have a base of their own (Gemma 3)."""
  theta, scaling = _theta(gguf), _scaling(gguf)
  return {
    'rope_theta': theta,
    'rope_local_base_freq': local_theta,
    'rope_scaling': scaling,
    'rope_parameters': {
      'full_attention': _parameters(theta, scaling),
      'sliding_attention': _parameters(local_theta, None),
    },
  }


def _parameters(theta: float, scaling: dict | None) -> dict:
  return {'rope_type': 'default', 'rope_theta': theta, **(scaling or {})}


def _theta(gguf: GgufFile) -> float:
  if gguf.get('{arch}.rope.freq_base') is None:
    return 10_000.0  # llama.cpp's, where the file has none
  return float(gguf.number('rope.freq_base'))


def _scaling(gguf: GgufFile) -> dict | None:
  kind = gguf.get('{arch}.rope.scaling.type', 'none')
  if kind == 'none':
    return None
  if kind != 'linear':
    raise ConfigError(
      f'{gguf.path}: rope.scaling.type = {kind!r} is not supported; use a file '
      'without it'
    )
  return {'rope_type': 'linear', 'factor': gguf.number('rope.scaling.factor')}


def _llama3(gguf: GgufFile, theta: float) -> dict | None:
  """Llama 3.1's, which GGUF keeps as the factor of each frequency.

  The longest wave is stretched by the whole factor; that the others follow
  from it is checked, because the three other numbers are not in the file.
  """
  tensor = gguf.tensors.get('rope_freqs.weight')
  if tensor is None:
    return None
  if tensor.kind != F32:
    raise ConfigError(
      f'{gguf.path}: rope_freqs.weight has the type {tensor.kind}, but '
      f'llama.cpp writes it in F32 ({F32}); convert the model again'
    )
  stored = np.fromfile(gguf.path, '<f4', tensor.shape[-1], '', tensor.offset)
  factor = float(str(stored.max(initial=1)))
  if not np.allclose(stored, _stretched(len(stored), theta, factor), rtol=1e-4):
    raise ConfigError(
      f'{gguf.path}: the stretching of its rotary positions '
      "(rope_freqs.weight) is not Llama 3.1's; use another file"
    )
  return {
    'rope_type': 'llama3',
    'factor': factor,
    'low_freq_factor': LOW,
    'high_freq_factor': HIGH,
    'original_max_position_embeddings': LENGTH,
  }


def _stretched(n: int, theta: float, factor: float) -> np.ndarray:
  """By what Llama 3.1 divides each of n frequencies."""
  waves = LENGTH * theta ** -(np.arange(n) / n) / (2 * math.pi)
  kept = np.clip((waves - LOW) / (HIGH - LOW), 0, 1)
  return 1 / (kept + (1 - kept) / factor)
