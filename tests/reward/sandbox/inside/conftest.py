# SPDX-License-Identifier: Apache-2.0
"""Host and guest in two plain processes: a harness, and no sandbox at all.

For reference programs and for the harmless programs of these tests. The guest
is forked before the job is made, as the keeper does it.
"""

import contextlib
import importlib.util
import json
import lzma
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType

import pytest

from srpo_jax.reward.sandbox.inside import host
from srpo_jax.reward.sandbox.inside.ended import Ended

DATA = Path(__file__).parents[5] / 'shared' / 'data'
LIMITS = {
  'cpu_s': 10.0,
  'wall_s': 10.0,
  'case_s': None,
  'memory_mb': 512,
  'processes': 32,
  'file_mb': 16,
  'output_kb': 64,
  'open_files': 64,
}


def load_guests() -> ModuleType:
  """The module guests.py; tests are no package, so nothing imports it."""
  path = Path(__file__).with_name('guests.py')
  spec = importlib.util.spec_from_file_location('guests', path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


GUESTS = load_guests()


class Watch:
  """A stand-in: one wall limit over all stretches, and the end of a child."""

  def __init__(self, child: BaseProcess, limit_s: float):
    self._child = child
    self._left_s = limit_s
    self._deadline = 0.0
    self.stretch_limits: list[float | None] = []

  @contextlib.contextmanager
  def running(self, limit_s: float | None = None) -> Iterator[None]:
    """Counts down while the guest owes an answer."""
    self.stretch_limits.append(limit_s)
    start = time.monotonic()
    self._deadline = start + self._left_s
    yield
    self._left_s -= time.monotonic() - start

  def check(self) -> None:
    """Raises Ended when the time is up."""
    if time.monotonic() > self._deadline:
      raise Ended('timeout', 'over the limit')

  def death(self) -> Ended:
    """How the child ended."""
    self._child.join()
    return Ended('runtime_error', f'exit status {self._child.exitcode}')

  def kill(self) -> None:
    """Ends the child and its script, if they have not ended."""
    pid = self._child.pid
    children = Path(f'/proc/{pid}/task/{pid}/children')
    with contextlib.suppress(OSError):
      # A script that never ends would outlive the guest that started it.
      for script in children.read_text().split():
        os.kill(int(script), signal.SIGKILL)
    self._child.kill()
    self._child.join()
    self._child.close()


def judge_program(
  program: str, make_tests: dict | Callable[[], dict], **limits
) -> dict:
  """The report on a program.

  Args:
    program: its text.
    make_tests: the tests, or what makes them once the guest is on its way.
    **limits: in place of LIMITS.
  """
  limits = LIMITS | limits
  ours, theirs = socket.socketpair()
  child = GUESTS.start(theirs, limits)
  theirs.close()
  watch = Watch(child, limits['wall_s'])
  try:
    tests = make_tests() if callable(make_tests) else make_tests
    job = {'program': program, 'tests': tests, 'limits': limits}
    return host.judge(job, ours, watch)
  finally:
    ours.close()
    watch.kill()


def read_set(name: str) -> list[dict]:
  """The rows of a data set; skips the test where there is none."""
  path = DATA / f'{name}.jsonl.xz'
  if not path.exists():
    pytest.skip(f'no {path}')
  with lzma.open(path, 'rt') as lines:
    return [json.loads(line) for line in lines]


@pytest.fixture(scope='session')
def judge() -> Callable[..., dict]:
  """The function that judges a program."""
  return judge_program


@pytest.fixture(scope='session')
def guests() -> ModuleType:
  """The module that starts guests."""
  return GUESTS


@pytest.fixture(scope='session')
def rows() -> Callable[[str], list[dict]]:
  """The function that reads a data set."""
  return read_set
