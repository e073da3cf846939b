# SPDX-License-Identifier: Apache-2.0
"""Chooses how programs are shut in here, and starts keepers that way.

What works is not guessed from versions: a program runs that should be right
and should be denied a socket, once for each kind until one passes.
"""

import base64
import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

from srpo_jax.reward.pool import Reply, Worker
from srpo_jax.reward.sandbox import bubblewrap, cgroups, seccomp

# All that a keeper and a submission see of our environment. One hash seed,
# so that the order of a set cannot change a verdict; one malloc arena, since
# each would cost a thread 64 MiB of its address space.
ENVIRONMENT = {
  'PATH': '/usr/bin:/bin',
  'HOME': '/tmp',
  'LANG': 'C.UTF-8',
  'MALLOC_ARENA_MAX': '1',
  'PYTHONHASHSEED': '0',
  'OMP_NUM_THREADS': '1',
}
START = """
import json, sys
sys.path.insert(0, sys.argv[1])
from inside import keeper
del sys.path[0]
config = json.loads(sys.argv[2])
sys.argv = ['']
sys.exit(keeper.main(config))
"""
PROBE_S = 60.0
PROBE = """
def confined():
  import socket
  try:
    socket.socket()
  except OSError:
    return 1
  return 0
"""
UNSAFE = (
  'NO SANDBOX (--unsafe_no_sandbox): programs run as this user, with limits '
  'on their resources and nothing else'
)


class NoSandbox(ValueError):
  """Nothing here can shut a program in; one line that says what was tried."""


class Keeper(Worker):
  """A worker that judges programs, one at a time."""

  group: cgroups.Cgroup | None = None

  async def ask(self, job: Sequence[Any], limit_s: float) -> Reply:
    """The reply to ('program', job); its value is a report."""
    job = job[1]
    if self.group is None:
      return await super().ask(job, limit_s)
    limits = job['limits']
    self.group.limit(limits['memory_mb'], limits['processes'])
    before = self.group.kills()
    reply = await super().ask(job, limit_s)
    if reply.kind == 'value' and self.group.kills() > before:
      blame_memory(reply.value, limits['memory_mb'])
    return reply

  async def kill(self) -> None:
    """Ends the sandbox; its control group goes with it."""
    await super().kill()
    if self.group is not None:
      await self.group.removed()


def blame_memory(report: dict, memory_mb: int) -> None:
  """What died as the tree ran out of memory died of that.

  The program itself, or the host on a value of the program.
  """
  if report['status'] in ('runtime_error', 'invalid_task'):
    report |= {'status': 'memory', 'detail': f'over {memory_mb} MiB'}


class Backend:
  """One way to start keepers.

  Args:
    summary: one line for the log: what confines, and what is weaker.
    command: from a keeper's group and its real user to a command line.
    groups: where to make control groups; None if we may not.
  """

  def __init__(
    self,
    summary: str,
    command: Callable[[cgroups.Cgroup | None, int], list[str]],
    groups: cgroups.Cgroups | None = None,
  ):
    self.summary = summary
    self._command = command
    self._groups = groups
    first = bubblewrap.FIRST_USER
    self._users = itertools.cycle(range(first, first + bubblewrap.USERS))

  async def start_keeper(self) -> Keeper:
    """A keeper that is ready for its first program."""
    group = None if self._groups is None else self._groups.make()
    command = self._command(group, next(self._users))
    try:
      keeper = await Keeper.start(command, ENVIRONMENT)
    except BaseException:
      if group is not None:
        await group.removed()
      raise
    keeper.group = group
    return keeper

  def close(self) -> None:
    """Removes what it made on this machine; the keepers have ended."""
    if self._groups is not None:
      self._groups.close()

  def probe(self) -> str:
    """'' if a program can be judged and is confined, else the reason."""
    command = self._command(None, bubblewrap.FIRST_USER)
    try:
      done = subprocess.run(
        command,
        env=ENVIRONMENT,
        input=json.dumps(probe_job()).encode() + b'\n',
        capture_output=True,
        timeout=PROBE_S,
        check=False,
      )
    except (OSError, subprocess.TimeoutExpired) as error:
      return str(error)
    return fault_of(done.stdout, done.stderr)


def fault_of(output: bytes, errors: bytes) -> str:
  """'' if the last reply is that of a program judged correct."""
  try:
    report = json.loads(output.splitlines()[-1])['value']
  except (IndexError, ValueError, TypeError):
    last = errors.decode(errors='replace').strip().splitlines()[-1:]
    return last[0][:300] if last else 'it ended without a reply'
  if report['status'] == 'correct':
    return ''
  return f'the probe was {report["status"]}: {report["detail"]}'


def probe_job() -> dict:
  """A program that is right if it is confined."""
  return {
    'program': PROBE,
    'tests': {
      'type': 'call',
      'entry_point': 'confined',
      'cases': [{'args': [], 'expected': 1}],
    },
    'limits': {
      **{'cpu_s': 10.0, 'wall_s': 10.0, 'case_s': None, 'memory_mb': 256},
      **{'processes': 8, 'file_mb': 1, 'output_kb': 64, 'open_files': 16},
    },
  }


def keeper_arguments(code: str, config: dict) -> list[str]:
  """Python's arguments: a keeper, isolated, without site-packages."""
  return ['-I', '-S', '-B', '-c', START, code, json.dumps(config)]


def config_of(kind: str, filter: bytes = b'', seal: bytes = b'') -> dict:
  """What a keeper is told; `inside.confine.Isolation` reads it."""
  return {
    'kind': kind,
    'readable': ['/usr', '/lib', '/lib64', sys.base_prefix],
    'filter': base64.b64encode(filter).decode(),
    'seal': base64.b64encode(seal).decode(),
  }


def bubblewrap_backend() -> Backend:
  """Namespaces. NoSandbox if bwrap or libseccomp is missing."""
  bwrap = bubblewrap.executable()
  if bwrap is None:
    raise NoSandbox('bwrap is not installed')
  keeper = keeper_arguments(
    bubblewrap.CODE, config_of('namespaces', seccomp.base_filter())
  )
  groups = cgroups.find()

  def command(group: cgroups.Cgroup | None, user: int) -> list[str]:
    entrances = [] if group is None else group.entrances
    return bubblewrap.command(bwrap, keeper, entrances, user)

  weaker = '' if groups else '; no cgroups: memory is sampled every 20 ms'
  return Backend(
    'bubblewrap: user, pid, mount, net, ipc and uts namespaces, seccomp, '
    f'rlimits{", cgroups" if groups else ""}{weaker}',
    command,
    groups,
  )


def landlock_backend() -> Backend:
  """No namespaces: nothing may be written, forked or signalled."""
  config = config_of('landlock', seccomp.base_filter(), seccomp.seal_filter())
  keeper = keeper_arguments(str(bubblewrap.INSIDE.parent), config)
  return Backend(
    'landlock: Landlock, seccomp, rlimits. Weaker than bubblewrap: the '
    "service's own user, /usr and Python are in sight; programs can "
    'neither write files nor start processes',
    lambda group, user: [bubblewrap.interpreter(), *keeper],
  )


def unsafe_backend() -> Backend:
  """Limits on resources alone."""
  keeper = keeper_arguments(str(bubblewrap.INSIDE.parent), config_of('none'))
  return Backend(
    UNSAFE, lambda group, user: [bubblewrap.interpreter(), *keeper]
  )


KINDS: dict[str, Callable[[], Backend]] = {
  'bubblewrap': bubblewrap_backend,
  'landlock': landlock_backend,
}


def choose_backend(name: str = 'auto', unsafe: bool = False) -> Backend:
  """The named kind, or the strongest that works here.

  Args:
    name: 'auto', 'bubblewrap' or 'landlock'.
    unsafe: no sandbox at all, for closed experiments.

  Raises:
    NoSandbox: it does not work here, or nothing does.
  """
  if unsafe:
    return unsafe_backend()
  faults = []
  for kind in KINDS if name == 'auto' else (name,):
    try:
      backend = KINDS[kind]()
      fault = backend.probe()
    except ValueError as error:
      faults.append(f'{kind}: {error}')
      continue
    if not fault:
      return backend
    backend.close()
    faults.append(f'{kind}: {fault}')
  raise NoSandbox(
    f'no sandbox for programs works here ({"; ".join(faults)}); install '
    'bubblewrap and libseccomp2 and allow user namespaces, or pass '
    '--unsafe_no_sandbox for a closed experiment'
  )
