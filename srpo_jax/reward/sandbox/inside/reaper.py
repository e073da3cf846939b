# SPDX-License-Identifier: Apache-2.0
"""The guest's parent: process 1 of its namespaces, trusted, nearly idle.

It is started before there is a submission, so that a submission waits for
no namespace. Being process 1 it cannot be signalled from inside, and when it
ends the kernel ends every process of the namespace, whatever they did.
"""

import functools
import json
import os
import socket
import traceback
from collections.abc import Callable
from typing import NoReturn

from . import confine, kernel
from .confine import Isolation

# The number of files is capped by their inodes, which are kernel memory.
INODES = 1024
SHM_MB = 16
QUIET = kernel.MS_NOSUID | kernel.MS_NODEV
# Processes beside the guest's that count for its limit: keeper, host, us.
OUR_PROCESSES = 3

# The guest's end of the channel, its limits, and what it calls right before
# code of the submission runs in a process.
Guest = Callable[[socket.socket, dict, Callable[[], None]], NoReturn]


def start(
  isolation: Isolation,
  control: tuple[socket.socket, socket.socket],
  channel: tuple[socket.socket, socket.socket],
  guest: Guest,
) -> int:
  """Forks the reaper, in namespaces of its own; its process number.

  Args:
    isolation: how to shut in the guest.
    control: ours and the reaper's end: limits there, the guest's end back.
    channel: the host's and the guest's end.
    guest: what runs in the guest, given its end and the limits.
  """
  if isolation.kind == 'namespaces':
    kernel.unshare(kernel.CLONE_NEWPID)
  child = os.fork()
  if child:
    control[1].close()
    channel[1].close()
    return child
  try:
    close_others(control[1], channel[1])
    reap(isolation, control[1], channel[1], guest)
  except BaseException:
    traceback.print_exc()  # A fault of ours or of this machine.
  finally:
    os._exit(1)


def reap(
  isolation: Isolation,
  control: socket.socket,
  channel: socket.socket,
  guest: Guest,
) -> None:
  """Runs one guest when its limits come, and reports how it ended."""
  confine.die_with_parent()
  # A signal to a process group does not stop at namespaces.
  os.setsid()
  expendable()
  if isolation.kind == 'namespaces':
    enter_namespaces()
  line = control.recv(1 << 16)
  if not line:
    return  # The host is gone: no submission will come.
  limits = json.loads(line)
  if isolation.kind == 'namespaces':
    private_folders(limits['file_mb'])
  child = start_guest(isolation, control, channel, guest, limits)
  channel.close()
  # Without capabilities it is the guest's equal, to be read and written.
  kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
  kernel.drop_capabilities()
  while (ended := os.wait())[0] != child:
    continue  # An orphan of the guest.
  control.send(json.dumps({'wait_status': ended[1]}).encode())


def close_others(*kept: socket.socket) -> None:
  """Closes what was inherited, the way to report our own faults aside."""
  numbers = sorted(each.fileno() for each in kept)
  last = os.sysconf('SC_OPEN_MAX')
  for low, high in zip([2, *numbers], [*numbers, last], strict=True):
    os.closerange(low + 1, high)
  silence(0, 1)


def silence(*streams: int) -> None:
  """Makes standard streams /dev/null."""
  null = os.open('/dev/null', os.O_RDWR)
  for stream in streams:
    os.dup2(null, stream)
  os.close(null)


def expendable() -> None:
  """If a memory limit is reached, the guest goes first, not the keeper."""
  with open('/proc/self/oom_score_adj', 'w') as file:
    file.write('1000')


def enter_namespaces() -> None:
  """Mounts, shared memory and host name of its own; its own /proc."""
  kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS)
  kernel.mount('proc', '/proc', QUIET | kernel.MS_NOEXEC | kernel.MS_RDONLY)
  os.chdir('/')


def private_folders(file_mb: int) -> None:
  """The two folders that can be written; they vanish with the namespace."""
  options = f'size={file_mb}m,nr_inodes={INODES},mode=700'
  kernel.mount('tmpfs', '/tmp', QUIET, options)
  options = f'size={SHM_MB}m,nr_inodes={INODES},mode=700'
  kernel.mount('tmpfs', '/dev/shm', QUIET | kernel.MS_NOEXEC, options)
  os.chdir('/tmp')


def start_guest(
  isolation: Isolation,
  control: socket.socket,
  channel: socket.socket,
  guest: Guest,
  limits: dict,
) -> int:
  """Forks the guest, confines it and lets it run."""
  child = os.fork()
  if child:
    control.send(json.dumps({'guest': child}).encode())
    return child
  try:
    control.close()
    confine.die_with_parent()
    if isolation.kind == 'namespaces':
      confine.limit_processes(limits['processes'] + OUR_PROCESSES)
    confine.confine_guest(isolation, limits)
    silence(2)
    guest(channel, limits, functools.partial(confine.seal, isolation))
  except BaseException:
    traceback.print_exc()  # Ours, if it was not yet shut off.
  finally:
    os._exit(1)
