# SPDX-License-Identifier: Apache-2.0
"""Runs a program as a script, in a process of its own for every case.

The process that forks them never runs code of the submission, so a case
starts clean whatever the one before did. A case is over when its process is:
children that it leaves behind may hold its output open, and are not waited
for (they end with the sandbox).
"""

import atexit
import contextlib
import io
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

from . import confine, modules

CHUNK = 1 << 16
# How a child says that it ran out of memory. A program that exits so says the
# same of itself; neither earns anything.
OUT_OF_MEMORY = 113


class Run:
  """One run of the program, and the pipes to it."""

  def __init__(
    self,
    program: str,
    limits: dict,
    seal: Callable[[], None],
    channel: socket.socket,
  ):
    self._program = program
    self._most = limits['output_kb'] << 10
    self._seal = seal
    self._channel = channel
    self._output = bytearray()

  def run(self, text: bytes) -> dict:
    """Output and end of a run on some input.

    Returns:
      `output`: bytes; `status`: exit status, negative for a signal, or None if
      it was ended for writing too much.
    """
    stdin, give = os.pipe()
    take, stdout = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if not child:
      os.close(give)
      os.close(take)
      self._become(stdin, stdout, parent)
    os.close(stdin)
    os.close(stdout)
    for number in (give, take):
      os.set_blocking(number, False)
    self._exchange(child, give, take, memoryview(text))
    os.close(take)
    status = os.waitstatus_to_exitcode(end(child))
    within = len(self._output) <= self._most
    return {'output': bytes(self._output), 'status': status if within else None}

  def _exchange(
    self, child: int, give: int, take: int, rest: memoryview
  ) -> None:
    """Writes input and reads output until the child ends, or wrote too much.

    Closes `give` once all is written, so that the program sees the end.
    """
    ended = os.pidfd_open(child)
    poll = select.poll()
    for number, event in (
      (ended, select.POLLIN),
      (take, select.POLLIN),
      (give, select.POLLOUT),
    ):
      poll.register(number, event)
    giving, over = True, False
    while not over:
      ready = [number for number, _ in poll.poll()]
      if take in ready and not self._read(take):
        poll.unregister(take)
      if give in ready:
        rest = rest[write_some(give, rest) :]
        if not rest:
          giving = False
          poll.unregister(give)
          os.close(give)
      over = ended in ready or len(self._output) > self._most
    # What it wrote last is in the pipe; an orphan may hold that open.
    while len(self._output) <= self._most and self._read(take):
      continue
    os.close(ended)
    if giving:
      os.close(give)

  def _read(self, take: int) -> bool:
    """Reads what is there; False if there is nothing or the end."""
    try:
      chunk = os.read(take, CHUNK)
    except BlockingIOError:
      return False
    self._output += chunk
    return bool(chunk)

  def _become(self, stdin: int, stdout: int, parent: int) -> NoReturn:
    """The child: becomes the program."""
    status = 1
    try:
      # Where a filter forbids it, the sandbox ends the child.
      with contextlib.suppress(OSError):
        confine.die_with_parent()
      if os.getppid() != parent:
        os._exit(status)
      os.setpgid(0, 0)
      self._channel.close()
      os.dup2(stdin, 0)
      os.dup2(stdout, 1)
      os.closerange(3, os.sysconf('SC_OPEN_MAX'))
      fresh_streams()
      self._seal()
      status = run_script(self._program)
    finally:
      os._exit(status)


def write_some(number: int, data: memoryview) -> int:
  """Writes what fits; all of it counts as written if nobody reads."""
  try:
    return os.write(number, data[:CHUNK])
  except BlockingIOError:
    return 0
  except BrokenPipeError:
    return len(data)


def end(child: int) -> int:
  """Ends a child and its process group; the wait status."""
  try:
    os.killpg(child, signal.SIGKILL)
  except (ProcessLookupError, PermissionError):
    os.kill(child, signal.SIGKILL)
  return os.waitpid(child, 0)[1]


def fresh_streams() -> None:
  """Streams of Python over the pipes, as a new interpreter has them."""
  signal.signal(signal.SIGPIPE, signal.SIG_IGN)
  sys.stdin = sys.__stdin__ = text_stream(0, 'r')
  sys.stdout = sys.__stdout__ = text_stream(1, 'w')
  sys.argv = ['program.py']


def text_stream(number: int, mode: str) -> io.TextIOWrapper:
  """A stream of text over a file descriptor, left open."""
  return os.fdopen(number, mode, encoding='utf-8', closefd=False)


def run_script(program: str) -> int:
  """Runs a program to its end, atexit included; its exit status."""
  module = modules.create('__main__')
  first = sys.stdout
  try:
    status = 0
    try:
      modules.execute(program, module, 'program')
    except SystemExit as error:
      status = status_of(error.code)
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, first):
      # As the interpreter does it at its end; a program may have closed it.
      if stream is not None and not getattr(stream, 'closed', False):
        stream.flush()
    return status
  except MemoryError:
    return OUT_OF_MEMORY


def status_of(code: object) -> int:
  """The exit status that sys.exit(code) stands for."""
  if code is None:
    return 0
  return code & 0xFF if type(code) is int else 1
