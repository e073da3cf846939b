# SPDX-License-Identifier: Apache-2.0
"""SIGTERM: asked to stop, a run ends at the next safe place."""

import contextlib
import signal
import threading
from collections.abc import Iterator

from srpo_jax.core import gin_text


class Stopped(gin_text.Stop):
  """Raised at a safe place after SIGTERM; on one host, then on all.

  Whoever catches it makes an `Interrupted` of it.
  """

  status = 75


class Stop:
  """Whether the run was asked to stop.

  Args:
    also: another one; what asks that one asks this one too.
  """

  def __init__(self, also: 'Stop | None' = None):
    self._asked = threading.Event()
    self._also = also

  def ask(self, *_) -> None:
    """Signal handler: only notes it, since arrays may be in flight."""
    self._asked.set()

  def check(self) -> None:
    """Raises Stopped if the run was asked to stop."""
    if self._also is not None:
      self._also.check()
    if self._asked.is_set():
      raise Stopped('SIGTERM')


@contextlib.contextmanager
def on_sigterm() -> Iterator[Stop]:
  """A Stop that SIGTERM triggers; the old handler comes back at the end."""
  stop = Stop()
  # Only the main thread may set handlers; elsewhere (a notebook's worker
  # thread, a test) there is nothing to catch.
  if threading.current_thread() is not threading.main_thread():
    yield stop
    return
  old = signal.signal(signal.SIGTERM, stop.ask)
  try:
    yield stop
  finally:
    signal.signal(signal.SIGTERM, old)
