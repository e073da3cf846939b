# SPDX-License-Identifier: Apache-2.0
"""Starts a reward service as a child that cannot outlive its parent."""

import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from srpo_jax.reward.environment import child_environment

# From the start of the interpreter to the first line, on a busy machine.
START_S = 60.0
# After SIGTERM, before SIGKILL.
STOP_S = 15.0


class Service:
  """A reward service that is our child; `launch_service` makes one.

  Attributes:
    address: where it listens; a restart may change it.
  """

  def __init__(self, flags: Sequence[str], log_path: Path | None):
    self._flags = tuple(flags)
    self._log_path = log_path
    self._lock = threading.Lock()
    self._closed = False
    self._process = self._start()
    self.address = self._read_address()

  def alive(self) -> bool:
    """True while the process runs."""
    return self._process.poll() is None

  def restart(self) -> str:
    """Starts it again if it is dead; its address. For RewardClient."""
    with self._lock:
      if not self.alive() and not self._closed:
        self._release()
        self._process = self._start()
        self.address = self._read_address()
      return self.address

  def close(self) -> None:
    """Stops it: SIGTERM, and SIGKILL if it does not obey."""
    with self._lock:
      self._closed = True
      self._process.terminate()
      try:
        self._process.wait(STOP_S)
      except subprocess.TimeoutExpired:
        self._process.kill()
        self._process.wait()
      self._release()

  def __enter__(self) -> 'Service':
    return self

  def __exit__(self, *_: object) -> None:
    self.close()

  @property
  def pid(self) -> int:
    """Number of the process."""
    return self._process.pid

  def _start(self) -> subprocess.Popen:
    """The child. Its own session: Ctrl-C is for the trainer to handle."""
    log = None if self._log_path is None else open_log(self._log_path)
    try:
      return subprocess.Popen(
        [sys.executable, '-m', 'srpo_jax.reward.service', *self._flags],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env=child_environment(),
        start_new_session=True,
      )
    finally:
      if log is not None:
        log.close()

  def _read_address(self) -> str:
    """The first line of its standard output."""
    line = first_line(self._process.stdout, START_S)
    if line.startswith('http://'):
      return line.strip()
    where = self._log_path or 'standard error'
    self._process.kill()
    status = self._process.wait()
    self._release()
    raise ValueError(
      f'the reward service ({" ".join(self._flags)}) did not start: exit '
      f'status {status}; the reason is in {where}'
    )

  def _release(self) -> None:
    self._process.stdin.close()
    self._process.stdout.close()


def open_log(path: Path) -> BinaryIO:
  """A log to append to; its folder is made."""
  path.parent.mkdir(parents=True, exist_ok=True)
  return path.open('ab')


def first_line(stream: BinaryIO, limit_s: float) -> str:
  """The first line of a pipe; '' if it ends or the time is up before."""
  deadline = time.monotonic() + limit_s
  line = b''
  with selectors.DefaultSelector() as selector:
    selector.register(stream, selectors.EVENT_READ)
    while not line.endswith(b'\n'):
      if not selector.select(max(deadline - time.monotonic(), 0)):
        return ''
      byte = os.read(stream.fileno(), 1)
      if not byte:
        return ''
      line += byte
  return line.decode()


def launch_service(
  *,
  workers: int = 2,
  verifiers: Sequence[str] = (),
  sandboxes: int | None = None,
  unsafe_no_sandbox: bool = False,
  log_path: str | Path | None = None,
) -> Service:
  """A reward service of our own, on a free port of this machine.

  Args:
    workers: how many worker processes judge.
    verifiers: modules with VERIFIERS, see docs/reward.md.
    sandboxes: how many programs may run at once; None is twice the cores.
    unsafe_no_sandbox: run programs unconfined, for closed experiments.
    log_path: where its standard error goes; ours where it is None.

  Raises:
    ValueError: it did not start; one line that says where the reason is.
  """
  flags = ['--port=0', f'--workers={workers}', '--exit_with_parent']
  flags += [f'--verifiers={module}' for module in verifiers]
  flags += [] if sandboxes is None else [f'--sandboxes={sandboxes}']
  flags += ['--unsafe_no_sandbox'] if unsafe_no_sandbox else []
  return Service(flags, None if log_path is None else Path(log_path))
