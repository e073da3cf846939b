# SPDX-License-Identifier: Apache-2.0
"""What a process of the sandbox may still do once it is confined.

The guest (a submission) and the host (the tests of a data set) both pass
through here before they run a line that is not ours. Nothing here can be
undone by the process itself: hard limits, no capabilities, no_new_privs, a
seccomp filter and, where there are no namespaces, Landlock.
"""

import base64
import dataclasses
import os
import resource
import signal

from . import kernel

# What the host may use: it holds replies of the guest and runs the tests.
HOST_MEMORY_MB = 2048
HOST_CPU_S = 120
# CPU seconds by which the kernel's limit, one process at a time and in whole
# seconds, lies over the watch's, which counts the whole tree.
KERNEL_CPU_EXTRA_S = 2
# Address space beyond the memory limit: the interpreter and its libraries.
INTERPRETER_MB = 192
# Python 3.11's parser and C code recurse on the stack; the usual 8 MiB is
# short for programs that raise the recursion limit.
STACK_MB = 64

# Landlock: all rights on files that ABI 1 knows, and the reading ones.
FILES_ABI_1 = (1 << 13) - 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REFER, TRUNCATE, IOCTL = 1 << 13, 1 << 14, 1 << 15
TCP = 0b11
SCOPE_SOCKETS, SCOPE_SIGNALS = 0b01, 0b10


@dataclasses.dataclass(frozen=True)
class Isolation:
  """How the processes of this keeper are shut in.

  Attributes:
    kind: 'namespaces', 'landlock' or 'none'.
    readable: paths that Landlock leaves readable; unused by namespaces.
    filter: seccomp program of the host and the guest; empty is none.
    seal: added in a guest right before the submission's own code; empty
      where namespaces do the same.
  """

  kind: str
  readable: tuple[str, ...]
  filter: bytes
  seal: bytes

  @classmethod
  def of(cls, config: dict) -> 'Isolation':
    """From the JSON that the backend passes."""
    return cls(
      kind=config['kind'],
      readable=tuple(config['readable']),
      filter=base64.b64decode(config['filter']),
      seal=base64.b64decode(config['seal']),
    )


def confine_guest(isolation: Isolation, limits: dict) -> None:
  """Shuts in the process that will run the submission."""
  limit_guest(limits)
  if isolation.kind == 'landlock':
    restrict_files(isolation, SCOPE_SOCKETS | SCOPE_SIGNALS)
  give_up(isolation.filter)


def seal(isolation: Isolation) -> None:
  """The last step before code of the submission runs in this process."""
  if isolation.seal:
    kernel.load_filter(isolation.seal)


def confine_host(isolation: Isolation) -> None:
  """Shuts in the process that runs the tests."""
  mebibytes(resource.RLIMIT_AS, HOST_MEMORY_MB)
  limit(resource.RLIMIT_CPU, HOST_CPU_S)
  limit(resource.RLIMIT_CORE, 0)
  limit(resource.RLIMIT_FSIZE, 0)
  if isolation.kind == 'landlock':
    # It ends the guest by a signal, and counts its time in /proc.
    restrict_files(isolation, SCOPE_SOCKETS, also=('/proc',))
  give_up(isolation.filter)


def limit_guest(limits: dict) -> None:
  """Hard resource limits; the watch has the finer ones."""
  mebibytes(resource.RLIMIT_AS, limits['memory_mb'] + INTERPRETER_MB)
  mebibytes(resource.RLIMIT_FSIZE, limits['file_mb'])
  mebibytes(resource.RLIMIT_STACK, STACK_MB)
  limit(resource.RLIMIT_CPU, int(limits['cpu_s']) + KERNEL_CPU_EXTRA_S)
  limit(resource.RLIMIT_NOFILE, limits['open_files'])
  for none in (
    resource.RLIMIT_CORE,
    resource.RLIMIT_MEMLOCK,
    resource.RLIMIT_MSGQUEUE,
    resource.RLIMIT_RTPRIO,
  ):
    limit(none, 0)


def limit_processes(count: int) -> None:
  """At most so many processes and threads of this user, ours included."""
  limit(resource.RLIMIT_NPROC, count)


def mebibytes(which: int, size: int) -> None:
  """A limit in MiB."""
  limit(which, size << 20)


def limit(which: int, most: int) -> None:
  """A soft and hard limit, never above the hard one there is."""
  hard = resource.getrlimit(which)[1]
  if hard != resource.RLIM_INFINITY:
    most = min(most, hard)
  resource.setrlimit(which, (most, most))


def give_up(code: bytes) -> None:
  """No capabilities, no new privileges, and only the calls of the filter."""
  kernel.drop_capabilities()
  kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
  if code:
    kernel.load_filter(code)


def die_with_parent() -> None:
  """Has the kernel kill this process when its parent dies."""
  kernel.prctl(kernel.PR_SET_PDEATHSIG, int(signal.SIGKILL))


def restrict_files(
  isolation: Isolation, scoped: int, also: tuple[str, ...] = ()
) -> None:
  """Landlock: some paths may be read, nothing may be written."""
  abi = kernel.landlock_abi()
  files = FILES_ABI_1
  for since, right in ((2, REFER), (3, TRUNCATE), (5, IOCTL)):
    files |= right if abi >= since else 0
  paths = [path for path in isolation.readable if os.path.isdir(path)]
  allowed = dict.fromkeys(paths, EXECUTE | READ_FILE | READ_DIR)
  allowed |= dict.fromkeys(also, READ_FILE | READ_DIR)
  allowed |= {'/dev/null': READ_FILE | WRITE_FILE, '/dev/urandom': READ_FILE}
  kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
  kernel.restrict_files(
    files, TCP if abi >= 4 else 0, scoped if abi >= 6 else 0, allowed
  )
