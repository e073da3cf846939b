# SPDX-License-Identifier: Apache-2.0
"""What a step does with its time, as a trace that Perfetto opens."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import jax

from srpo_jax.core import hosts

FOLDER = 'profile'


@contextlib.contextmanager
def of_step(workdir: Path, wanted: int | None, step: int) -> Iterator[None]:
  """Traces what is done inside, if it is the step that is wanted.

  On the first host alone. The trace is `perfetto_trace.json.gz` in a folder
  below WORKDIR/profile.
  """
  if step != wanted or not hosts.is_first():
    yield
    return
  options = {'create_perfetto_trace': True}
  with jax.profiler.trace(str(Path(workdir) / FOLDER), **options):
    yield


def part(name: str) -> contextlib.AbstractContextManager:
  """A part of a step by name; costs nothing while nobody traces."""
  return jax.profiler.TraceAnnotation(name)
