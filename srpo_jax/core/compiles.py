# SPDX-License-Identifier: Apache-2.0
"""How many programs XLA has compiled in this process.

A run should compile its few programs in its first steps and none after.
"""

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
