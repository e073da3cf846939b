# SPDX-License-Identifier: Apache-2.0
"""The programs XLA compiles: how many, how long, and where they are kept.

A run should compile its few programs in its first steps and none after; a
second run should find them on disk.
"""

import hashlib
import os
import platform
from pathlib import Path

import jax

_EVENT = '/jax/core/compile/backend_compile_duration'
_seconds: list[float] = []


def _listen(event: str, seconds: float, **_) -> None:
  if event == _EVENT:
    _seconds.append(seconds)


jax.monitoring.register_event_duration_secs_listener(_listen)


def count() -> int:
  """Programs compiled since this module was imported."""
  return len(_seconds)


def seconds() -> float:
  """Seconds spent compiling them."""
  return sum(_seconds)


def keep_on_disk() -> None:
  """Compiled programs are kept between runs, if JAX was not told where.

  `JAX_COMPILATION_CACHE_DIR` names another folder;
  `JAX_ENABLE_COMPILATION_CACHE=0` keeps nothing.
  """
  if jax.config.jax_compilation_cache_dir is None:
    jax.config.update('jax_compilation_cache_dir', str(folder()))
  # A second is JAX's default; small policies compile faster, many times.
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.1)


def folder() -> Path:
  """Of this kind of machine: code for another CPU may not run here."""
  base = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
  return Path(base) / 'srpo_jax' / 'compiled' / _machine()


def _machine() -> str:
  """A short name for what its processor can do."""
  known = Path('/proc/cpuinfo')
  lines = known.read_text().splitlines() if known.exists() else []
  can = sorted({x for x in lines if x.startswith(('flags', 'Features'))})
  text = '\n'.join([platform.machine(), platform.processor(), *can])
  return hashlib.sha256(text.encode()).hexdigest()[:16]
