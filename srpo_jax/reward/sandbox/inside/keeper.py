# SPDX-License-Identifier: Apache-2.0
"""The process that a prepared sandbox starts with: one submission at a time.

`main` speaks the protocol of the service's workers: 'ready' at the start, then
for each line with a job 'begin' and a reply.
It never reads a job itself. It forks a host ahead of time, which forks
a reaper in fresh namespaces ahead of time, and only then reads one job from
the pipe that they share; so no process that runs a submission was forked from
one that has seen the tests of this job, or of any before it.

  keeper ─ host (reads the job, runs its tests) ─ reaper ─ guest (submission)
"""

import gc
import importlib
import json
import os
import signal
import socket
import time
import traceback
from typing import Any, NoReturn

from . import confine, guest, host, reaper
from .confine import Isolation
from .reaper import silence
from .watch import Watch

# What programs import most; imported once, shared by all guests.
WARM = (
  *('array', 'bisect', 'cmath', 'collections', 'copy', 'dataclasses'),
  *('datetime', 'decimal', 'enum', 'fractions', 'functools', 'hashlib'),
  *('heapq', 'io', 'itertools', 'json', 'math', 'operator', 'queue'),
  *('random', 're', 'statistics', 'string', 'sys', 'textwrap', 'threading'),
  *('time', 'traceback', 'types', 'typing', 'unicodedata', 'unittest'),
)
# Exit statuses of a host.
SERVED, NO_MORE = 0, 3
# What a host tells the keeper, so that a dead host's job is still answered.
BEGUN = b'b'


def main(config: dict) -> int:
  """Serves jobs until standard input ends."""
  isolation = Isolation.of(config)
  if isolation.kind != 'namespaces':
    confine.die_with_parent()
  for name in WARM:
    importlib.import_module(name)
  gc.freeze()  # Collections in the forks do not touch these pages.
  say(1, 'ready')
  while serve_one(isolation):
    reap_orphans()
  return 0


def serve_one(isolation: Isolation) -> bool:
  """One submission; False if there are no more."""
  begun, tell = os.pipe()
  child = os.fork()
  if not child:
    os.close(begun)
    run_host(isolation, tell)
  os.close(tell)
  status = os.waitpid(child, 0)[1]
  news = os.read(begun, 1)
  os.close(begun)
  if os.WIFEXITED(status) and os.WEXITSTATUS(status) in (SERVED, NO_MORE):
    return os.WEXITSTATUS(status) == SERVED
  if news != BEGUN:
    raise RuntimeError(f'a host ended before it had a job: status {status}')
  say(1, {'value': crashed(status)})
  return True


def crashed(status: int) -> dict:
  """The report on a job that ended the host itself.

  A signal means that a value of the program was too much for it: were that
  the task's fault, programs could choose not to be judged.
  """
  how = os.waitstatus_to_exitcode(status)
  if how == -signal.SIGVTALRM:  # The host's own clock, in one long C call.
    return report('timeout', 'its value keeps the tests computing')
  if how < 0:
    name = signal.Signals(-how).name
    return report('runtime_error', f'its value ended the tests ({name})')
  detail = f'the tests ended the process that runs them ({how})'
  return report('invalid_task', detail)


def report(status: str, detail: str) -> dict:
  """A report without any case judged."""
  return {
    'status': status,
    'passed': 0,
    'total': 0,
    'detail': detail,
    'seconds': 0.0,
  }


def reap_orphans() -> None:
  """Collects what hosts left behind; as process 1 we inherit it."""
  try:
    while os.waitpid(-1, os.WNOHANG)[0]:
      continue
  except ChildProcessError:
    return


def run_host(isolation: Isolation, tell: int) -> NoReturn:
  """The host's life: prepare, read one job, judge it, answer, exit."""
  status = 1
  replies, errors = os.dup(1), os.dup(2)
  try:
    confine.die_with_parent()
    control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel = socket.socketpair()
    root = reaper.start(isolation, control, channel, guest.serve)
    silence(1, 2)
    confine.confine_host(isolation)
    if line := read_line(0):
      os.write(tell, BEGUN)
      say(replies, 'begin')
      verdict = judge(json.loads(line), root, control[0], channel[0])
      end(root)
      say(replies, {'value': verdict})
    status = SERVED if line else NO_MORE
  except BaseException:
    # A fault of ours: what tests and submissions do is in their report.
    os.write(errors, traceback.format_exc().encode())
  finally:
    os._exit(status)


def judge(
  job: dict, root: int, control: socket.socket, channel: socket.socket
) -> dict:
  """The report of the host on one job, with the seconds that it took."""
  start = time.monotonic()
  control.send(json.dumps(job['limits']).encode())
  watch = Watch(root, job['limits'], control)
  verdict = host.judge(job, channel, watch)
  return {**verdict, 'seconds': round(time.monotonic() - start, 6)}


def end(root: int) -> None:
  """Ends the reaper and with it all processes of the guest."""
  os.kill(root, 9)
  os.waitpid(root, 0)


def read_line(number: int) -> bytes:
  """A line; nothing after it is read, since the next host has to find it.

  The service sends a job only after the reply to the one before.
  """
  chunks: list[bytes] = []
  while chunk := os.read(number, 1 << 16):
    chunks.append(chunk)
    if chunk.endswith(b'\n'):
      return b''.join(chunks)
  return b''


def say(number: int, message: Any) -> None:
  """Writes one line to the service."""
  data = json.dumps(message).encode() + b'\n'
  while data:
    data = data[os.write(number, data) :]
