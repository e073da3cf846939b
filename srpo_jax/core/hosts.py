# SPDX-License-Identifier: Apache-2.0
"""Hosts: one process each, all running the same command in step.

  start(coordinator, hosts, host)   # once, before any device work
  text = from_first(text)           # what one host knows, given to all

Every function that asks other hosts must be called by all of them, in the
same order: a host that leaves one out leaves the others waiting. On one host
all of them are trivial, and nothing of jax is imported.
"""

import hashlib
import importlib.metadata
import itertools
import os
import pickle
import sys
import traceback
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from srpo_jax.core.config import ConfigError, Interrupted, guard_workdir
from srpo_jax.core.gin_text import Stop

T = TypeVar('T')
# Told this number of hosts, JAX finds out.
AUTO = 'auto'
# Seconds; our choice. Hosts of a pod come up minutes apart.
COME_S = 300
# A host that is not heard of for so long is taken for lost; our choice.
LOST_S = 60
# The last host may be writing its report while others have ended; our choice.
LEAVE_S = 60
# Messages are padded to powers of two: each length is a program to compile.
SHORTEST = 1024
VERSIONED = ('srpo_jax', 'jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint')

# (index, count) of a run on several hosts; set by `start`.
_place: tuple[int, int] | None = None


def start(
  coordinator: str | None,
  hosts: int | str | None,
  host: int | None,
  *,
  lost_s: int = LOST_S,
) -> None:
  """Meets the other hosts; nothing to do for one.

  Args:
    coordinator: HOST:PORT where host 0 is reached.
    hosts: how many; 'auto' lets JAX find out on TPU pods, Slurm and
      Kubernetes.
    host: number of this one.
    lost_s: seconds without a sign of life after which a host is lost; JAX
      then ends the others.

  Raises:
    ConfigError: 'auto', and there is nothing to detect; or hosts run other
      versions of the package than others.
    Interrupted: the others did not come.
  """
  global _place
  if hosts in (None, 1):
    return
  import jax

  try:
    jax.distributed.initialize(
      coordinator,
      None if hosts == AUTO else hosts,
      host,
      # Told everything, Slurm's one device a process is not asked for.
      cluster_detection_method=None if hosts == AUTO else 'deactivate',
      initialization_timeout=COME_S,
      heartbeat_timeout_seconds=lost_s,
      shutdown_timeout_seconds=LEAVE_S,
    )
  except ValueError as error:
    raise ConfigError(
      f'--hosts={hosts}: JAX detects no TPU pod, Slurm or Kubernetes here '
      f'({error}); give --hosts=N --host=I --coordinator=HOST:PORT'
    ) from error
  except RuntimeError as error:
    raise Interrupted(
      f'host {host} of {hosts} did not meet the others at {coordinator} in '
      f'{COME_S} s ({str(error).splitlines()[0]}); start them all again'
    ) from error
  count = jax.process_count()
  _place = (jax.process_index(), count) if count > 1 else None
  sys.excepthook = _fail
  if not is_first():
    # They have the same to say. Errors go to standard error, on every host.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
  same_everywhere('the package', versions())


def index() -> int:
  """Number of this host, from 0."""
  return _place[0] if _place else 0


def count() -> int:
  """How many hosts there are."""
  return _place[1] if _place else 1


def is_first() -> bool:
  """True on the host that writes files."""
  return index() == 0


def gather(value: T) -> list[T]:
  """Every host's value, by host, on all of them; what pickle takes."""
  if not _place:
    return [value]
  from jax.experimental import multihost_utils

  # Packed, because texts pass through the memory of the devices.
  data = zlib.compress(pickle.dumps(value), level=1)
  sizes = multihost_utils.process_allgather(np.int32(len(data)))
  lines = multihost_utils.process_allgather(_padded(data, int(sizes.max())))
  pairs = zip(lines, sizes.tolist(), strict=True)
  return [pickle.loads(zlib.decompress(line[:size])) for line, size in pairs]


def from_first(value: T) -> T:
  """The first host's value, on all; what the others give is not looked at."""
  if not _place:
    return value
  from jax.experimental import multihost_utils

  data = pickle.dumps(value) if is_first() else b''
  size = int(multihost_utils.broadcast_one_to_all(np.int32(len(data))))
  line = multihost_utils.broadcast_one_to_all(_padded(data, size))
  return value if is_first() else pickle.loads(line[:size].tobytes())


def fetch(x) -> np.ndarray:
  """An array on the host, all of it on every host wherever it lies."""
  if isinstance(x, np.ndarray) or x.is_fully_addressable:
    return np.asarray(x)
  from jax.experimental import multihost_utils

  return multihost_utils.process_allgather(x, tiled=True)


def on_first(call: Callable[..., T], *args) -> T | None:
  """call(*args) on the first host, which writes; nothing on the others."""
  return call(*args) if is_first() else None


def any_host(flag: bool) -> bool:
  """True on all hosts if it is on one."""
  if not _place:
    return bool(flag)
  from jax.experimental import multihost_utils

  return bool(multihost_utils.process_allgather(np.bool_(flag)).any())


def barrier(name: str) -> None:
  """Waits until every host is here."""
  if _place:
    from jax.experimental import multihost_utils

    multihost_utils.sync_global_devices(name)


def together(
  call: Callable[..., T], *args, passed: tuple[type[Exception], ...] = ()
) -> T:
  """call(*args) on every host; what stops it on one stops it on all.

  It must not ask other hosts itself: they may have failed before they came so
  far.

  Args:
    call, args: what is done.
    passed: exceptions of one text that are raised as they are, as Stop is.

  Raises:
    Stop, or one of `passed`: what this host, or else the first that did,
      stopped with.
    RuntimeError: another host failed with something else.
  """
  error = value = None
  try:
    value = call(*args)
  except Exception as raised:  # handed to all hosts first
    error = raised
  said = _said(error, passed)
  others = gather(said) if _place else [said]
  if error is not None:
    raise error
  for host, other in enumerate(others):
    if other is not None:
      kind, line = other
      raise kind(f'host {host}: {line}')
  return value


def same_everywhere(what: str, value: bytes | str) -> None:
  """Refuses a run whose hosts were not given the same.

  Raises:
    ConfigError: names the first line that differs, on every host.
  """
  if not _place:
    return
  data = value.encode() if isinstance(value, str) else value
  digests = gather(hashlib.sha256(data).hexdigest())
  if len(set(digests)) == 1:
    return
  other = next(i for i, d in enumerate(digests) if d != digests[0])
  given = gather(data)
  pairs = itertools.zip_longest(
    given[0].splitlines(), given[other].splitlines(), fillvalue=b'(nothing)'
  )
  ours, theirs = next(pair for pair in pairs if pair[0] != pair[1])
  say = lambda line: line.decode(errors='replace')[:120]
  raise ConfigError(
    f'{what} differs between hosts: {say(ours)} on host 0, {say(theirs)} on '
    f'host {other}; start all with the same'
  )


def share_workdir(workdir: Path, text: str) -> None:
  """Has the first host guard the workdir, which all of them must see.

  Raises:
    ConfigError: guard_workdir's, or a folder that is each host's own.
  """
  together(lambda: is_first() and guard_workdir(workdir, text))
  seen = together((Path(workdir) / 'config.gin').exists)
  if any_host(not seen):
    raise ConfigError(
      f'--workdir={workdir}: what host 0 writes there, another host does not '
      'see; name a folder that all hosts share'
    )


def versions() -> str:
  """What every host must run the same of: packages, and our own sources."""
  lines = [f'Python {sys.version.split()[0]}']
  lines += [f'{name} {importlib.metadata.version(name)}' for name in VERSIONED]
  digest = hashlib.sha256()
  folder = Path(__file__).parents[1]
  for path in sorted(folder.rglob('*.py')):
    digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
  return '\n'.join([*lines, f'sources {digest.hexdigest()[:16]}'])


def refuse_several(job: str) -> None:
  """For a job that is one host's.

  Raises:
    ConfigError: there are several.
  """
  if _place:
    raise ConfigError(
      f'--hosts={count()}: {job} runs on one host; start it there, without '
      '--hosts'
    )


def _padded(data: bytes, size: int) -> np.ndarray:
  line = np.zeros(1 << (max(size, SHORTEST) - 1).bit_length(), np.uint8)
  line[: len(data)] = np.frombuffer(data, np.uint8)
  return line


def _said(
  error: Exception | None, passed: tuple[type[Exception], ...]
) -> tuple[type[Exception], str] | None:
  """What another host can make of an exception."""
  if error is None:
    return None
  if isinstance(error, Stop):
    return type(error), error.line
  if isinstance(error, passed):
    return type(error), str(error)
  return RuntimeError, repr(error)


def _fail(kind, error, trace) -> None:
  """Ends this process at once after an error that nobody expected.

  JAX's way out waits for the other hosts, and those wait for this one.
  """
  traceback.print_exception(kind, error, trace)
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(1)
