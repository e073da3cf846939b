# SPDX-License-Identifier: Apache-2.0
"""Ends a guest that is over a limit; the host asks it while it waits.

A busy machine must not change a verdict. So `timeout` is decided by what the
submission did itself: its CPU seconds, or the time in which it neither ran
nor stood in a run queue. What other programs took from it is credited; if
that grows too large the item is 'unavailable', which judges nobody.
"""

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Iterator

from . import tree
from .ended import Ended

SAMPLE_S = 0.02
# Wall time after which a machine is too busy to judge: 3 limits and a bit.
PATIENCE, PATIENCE_S = 3.0, 2.0
# The reaper, and the guest that is waiting for a script.
OUR_THREADS = 2
# For the reaper to say how a guest ended whose socket has closed.
DEATH_S = 1.0


class Watch:
  """The clocks of one guest. They stand still while it owes no answer.

  Args:
    root: process number of its reaper.
    limits: as in docs/reward.md, all of them.
    control: our end; the reaper says there how the guest ended.
  """

  def __init__(self, root: int, limits: dict, control: socket.socket):
    self._root = root
    self._limits = limits
    self._control = control
    self._baseline = tree.memory_of('self')
    self._wall_s = 0.0
    self._cpu_s = 0.0
    self._credit_s = 0.0
    self._memory = 0
    self._delay_s: dict[int, float] = {}
    self._last = 0.0
    self._sampled_s = 0.0  # Of the wall time, what samples have seen.
    self._next = 0.0
    self._threads = 0
    # CPU seconds at which the present stretch is over.
    self._until_s = limits['cpu_s']

  @contextlib.contextmanager
  def running(self, limit_s: float | None = None) -> Iterator[None]:
    """While the guest owes an answer.

    Args:
      limit_s: CPU seconds for this stretch alone, beside the item's.
    """
    self._last = time.monotonic()
    self._until_s = self._limits['cpu_s']
    if limit_s is not None:
      self._sample()
      self._until_s = min(self._until_s, self._cpu_s + limit_s)
    yield
    # Many short answers must not pass between the samples.
    self.check()
    self._advance(time.monotonic())

  def check(self) -> None:
    """Raises Ended if the guest is over a limit."""
    if time.monotonic() >= self._next:
      self._sample()
      self._judge()

  def _advance(self, now: float) -> None:
    """Brings the wall clock up to now."""
    self._wall_s += now - self._last
    self._last = now

  def _sample(self) -> None:
    """Brings all clocks up to now."""
    used = tree.usage(self._root, self._baseline)
    now = time.monotonic()
    self._advance(now)
    passed = self._wall_s - self._sampled_s
    delays = [
      delay
      for thread, s in used.delay_s.items()
      if (delay := s - self._delay_s.get(thread, 0.0)) > 0.0
    ]
    self._next, self._sampled_s = now + SAMPLE_S, self._wall_s
    self._delay_s = used.delay_s
    # Several that wait at once may well wait for each other.
    if len(delays) == 1:
      self._credit_s += min(*delays, passed)
    # Children that nobody waits for take their CPU time with them.
    self._cpu_s = max(self._cpu_s, used.cpu_s)
    self._memory = used.memory
    self._threads = len(used.delay_s)

  def _judge(self) -> None:
    """Raises Ended for the first limit that is passed."""
    limits = self._limits
    if self._memory > limits['memory_mb'] << 20:
      raise Ended('memory', f'over {limits["memory_mb"]} MiB')
    # Where there are namespaces the kernel counts them too, and first.
    if self._threads > limits['processes'] + OUR_THREADS:
      raise Ended('runtime_error', f'over {limits["processes"]} processes')
    if self._cpu_s >= self._until_s:
      raise Ended('timeout', f'{self._cpu_s:.2f} s of CPU')
    own_s = self._wall_s - self._credit_s
    if own_s >= limits['wall_s']:
      raise Ended('timeout', f'{own_s:.2f} s without an answer')
    if self._wall_s >= PATIENCE * limits['wall_s'] + PATIENCE_S:
      raise Ended('unavailable', 'the machine is too busy to judge')

  def death(self) -> Ended:
    """Why the guest has closed its socket."""
    return death_of(wait_status(self._control))


def wait_status(control: socket.socket) -> int | None:
  """What the reaper's wait returned for the guest; None if it says nothing."""
  control.settimeout(DEATH_S)
  try:
    while message := control.recv(1 << 12):
      if 'wait_status' in (report := json.loads(message)):
        return report['wait_status']
  except TimeoutError:
    return None
  return None


def death_of(status: int | None) -> Ended:
  """The end that a wait status stands for."""
  if status is None:
    return Ended('runtime_error', 'the program closed its channel')
  if os.WIFSIGNALED(status):
    number = os.WTERMSIG(status)
    if number == signal.SIGXCPU:
      return Ended('timeout', 'over the CPU seconds of one process')
    return Ended('runtime_error', f'ended by {signal.Signals(number).name}')
  code = os.waitstatus_to_exitcode(status)
  return Ended('runtime_error', f'exited with status {code} before it answered')
