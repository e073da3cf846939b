# SPDX-License-Identifier: Apache-2.0
"""The child process that runs what may never end; its owner kills it.

`python -m srpo_jax.reward.worker [MODULE ...]` reads one job a line from
standard input, `[kind, argument, ...]` as JSON, and answers each with two
lines: 'begin' once what the job needs is imported, so that imports are not
in its time limit, then a reply such as `{"value": true}`. A fork of it does
that; the owner kills the fork alone, and the next one is ready at once: each
says `{"ready": PID}` first. Instead it says `{"refused": LINE}` and exits.
"""

import ctypes
import importlib.util
import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from srpo_jax.reward import mathematics
from srpo_jax.reward.verifiers import Verifiers, gym_verifier

# Address space; a policy's tower of powers must not take the machine down.
MEMORY_BYTES = 4 << 30
PR_SET_PDEATHSIG = 1


def main(modules: Sequence[str]) -> int:
  """Serves jobs until standard input ends."""
  die_with(os.getppid())
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  replies = private_stdout()
  resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
  try:
    verifiers = Verifiers(modules)
  except ValueError as error:
    say(replies, {'refused': str(error)})
    return 2
  warm()
  while nurse(verifiers, replies):
    continue
  return 0


def nurse(verifiers: Verifiers, replies: TextIO) -> bool:
  """Forks a child that serves jobs; True once it was killed.

  The imports cost seconds and a fork costs milliseconds: an answer that runs
  for ever costs its limit, and no more.
  """
  parent, child = os.getpid(), os.fork()
  if child:
    return os.waitpid(child, 0)[1] != 0
  status = 1
  try:
    die_with(parent)
    say(replies, {'ready': os.getpid()})
    for line in sys.stdin:
      serve(json.loads(line), verifiers, replies)
    status = 0
  except BrokenPipeError:
    status = 0  # The owner is gone; another child would find nobody either.
  except BaseException:
    traceback.print_exc()
  finally:
    os._exit(status)


def die_with(parent: int) -> None:
  """Makes the kernel kill this process when its parent dies (Linux).

  A worker deep in one huge multiplication cannot notice that by itself.
  """
  if sys.platform == 'linux':
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
      os._exit(1)


def private_stdout() -> TextIO:
  """The pipe to the owner; what others print goes to standard error."""
  replies = os.fdopen(os.dup(1), 'w')
  os.dup2(2, 1)
  return replies


def say(replies: TextIO, message: Any) -> None:
  """Writes one line of JSON."""
  replies.write(json.dumps(message) + '\n')
  replies.flush()


def serve(job: list, verifiers: Verifiers, replies: TextIO) -> None:
  """Answers one job."""
  try:
    run = prepare(job, verifiers)
    say(replies, 'begin')
    reply = {'value': run()}
  except MemoryError:
    reply = {'memory': f'over {MEMORY_BYTES >> 30} GiB'}
  say(replies, reply)


def prepare(job: list, verifiers: Verifiers) -> Callable[[], Any]:
  """Imports what the job needs; returns what runs under its limit."""
  kind, *arguments = job
  if kind == 'check_golds':
    return lambda: mathematics.check_golds(*arguments)
  if kind == 'equivalent':
    return lambda: (mathematics.equivalent(*arguments), '')
  # What cannot be loaded is reported by the run, as a fault of the task.
  preload(verifiers, arguments[0])
  run = {'check': verifiers.check, 'verify': verifiers.verify}[kind]
  return lambda: run(*arguments)


def preload(verifiers: Verifiers, name: str) -> bool:
  """Imports a verifier ahead of its time limit; False if it cannot be."""
  try:
    verifiers.load(name)
  except LookupError:
    return False
  return True


def warm() -> None:
  """Does what the first jobs would wait for: imports and parser tables."""
  mathematics.equivalent('\\frac{1}{2}', True, ['0.5x'])
  if importlib.util.find_spec('reasoning_gym') is not None:
    gym_verifier('gcd')


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
