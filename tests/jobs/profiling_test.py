# SPDX-License-Identifier: Apache-2.0
"""A step's trace: written for the step that was asked for, its parts named."""

import gzip
import json

import jax
import jax.numpy as jnp

from srpo_jax.jobs import profiling


def trace(workdir, step: int):
  """The names in the trace of step 3, if there is one."""
  with profiling.of_step(workdir, 3, step), profiling.part('some work'):
    jnp.ones(8).sum().block_until_ready()
  found = list((workdir / profiling.FOLDER).rglob('perfetto_trace.json.gz'))
  if not found:
    return None
  (path,) = found
  events = json.loads(gzip.decompress(path.read_bytes()))
  events = events['traceEvents'] if isinstance(events, dict) else events
  return {event.get('name') for event in events}


def test_the_step_that_is_wanted_is_traced(tmp_path):
  jax.devices()
  assert trace(tmp_path, 2) is None
  assert 'some work' in trace(tmp_path, 3)


def test_nothing_is_traced_unless_wanted(tmp_path):
  with profiling.of_step(tmp_path, None, 1):
    pass
  assert not list(tmp_path.iterdir())
