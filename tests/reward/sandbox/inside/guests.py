# SPDX-License-Identifier: Apache-2.0
"""What a process of `start` runs: a guest with some limits, in no sandbox.

The tests' own process is large and full of JAX's threads, and a fork of it
inherits both: its guests would meet the memory limit and locks held for ever.
So guests are forked from multiprocessing's small fork server.
"""

import multiprocessing
import os
import resource
import runpy
import signal
import socket
from multiprocessing.process import BaseProcess
from pathlib import Path

SERVER = multiprocessing.get_context('forkserver')
SERVER.set_forkserver_preload(['srpo_jax.reward.sandbox.inside.guest'])


def start(sock: socket.socket, limits: dict) -> BaseProcess:
  """A guest in a process of its own, at the other end of a socket."""
  # By path: with pytest's importlib mode no module of tests has a name.
  given = {'sock': sock, 'limits': limits}
  guest = SERVER.Process(target=runpy.run_path, args=(__file__, given, 'guest'))
  guest.start()
  return guest


def address_space() -> int:
  """Bytes that this process has mapped already, tests and all."""
  pages = int(Path('/proc/self/statm').read_text().split()[0])
  return pages * resource.getpagesize()


def become_guest(sock: socket.socket, limits: dict) -> None:
  """No streams, some limits, then it serves."""
  from srpo_jax.reward.sandbox.inside import guest, kernel

  try:
    # A host that is killed does not hang up where the guest was its fork.
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
    null = os.open('/dev/null', os.O_RDWR)
    for stream in (0, 1, 2):
      os.dup2(null, stream)
    memory = (limits['memory_mb'] << 20) + address_space()
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
    guest.serve(sock, limits)
  finally:
    os._exit(1)


if __name__ == 'guest':
  become_guest(globals()['sock'], globals()['limits'])
