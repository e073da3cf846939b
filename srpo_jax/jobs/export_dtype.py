# SPDX-License-Identifier: Apache-2.0
"""In which dtype a policy is written: known before anything is trained."""

import json
from pathlib import Path

from srpo_jax.core.config import ConfigError
from srpo_jax.jobs.settings import EXPORT_DTYPES


def stored_dtype(folder: Path) -> object:
  """What config.json of a folder says of its weights; float32 if nothing."""
  raw = json.loads((folder / 'config.json').read_text())
  # transformers says 'dtype', and 'torch_dtype' before its version 5.
  said = raw.get('dtype') or raw.get('torch_dtype') or 'float32'
  return said.removeprefix('torch.') if isinstance(said, str) else said


def export_dtype(identity: Path, asked: str | None) -> str:
  """What was asked for, else the one that the policy came in.

  Args:
    identity: folder that the policy came from.
    asked: EXPORT_DTYPE, one of EXPORT_DTYPES.

  Raises:
    ConfigError: it came in one that cannot be written.
  """
  dtype = asked or stored_dtype(identity)
  if dtype not in EXPORT_DTYPES:
    listed = ', '.join(filter(None, EXPORT_DTYPES))
    raise ConfigError(
      f'{identity}/config.json: the policy came in {dtype!r}, but can '
      f'be exported only in {listed}; try --gin.EXPORT_DTYPE=float32'
    )
  return dtype
