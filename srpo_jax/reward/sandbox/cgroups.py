# SPDX-License-Identifier: Apache-2.0
"""Memory and process limits of a whole tree, where the host offers them.

One control group for each keeper, which runs one submission at a time. Needs
root (or a delegated folder); without it the watch adds up the tree's memory
every 20 ms, and rlimits count its processes.
"""

import asyncio
import errno
import itertools
import os
import time
from pathlib import Path

MOUNT = Path('/sys/fs/cgroup')
NAME = 'srpo-reward'
# The keeper, its host and the reaper, beside the submission; the host rebuilds
# values of 32 MiB, which are several times as large in memory.
OUR_MEMORY_MB = 384
OUR_PROCESSES = 8
REMOVE_S = 2.0
CONTROLLERS = ('memory', 'pids')


class Cgroup:
  """The group of one keeper.

  Args:
    folders: controller -> folder, each made by us.
  """

  def __init__(self, folders: dict[str, Path]):
    self._folders = folders
    self._limits: tuple[int, int] | None = None

  @property
  def entrances(self) -> list[str]:
    """Files into which a process writes its number to be inside."""
    folders = sorted(set(self._folders.values()))
    return [str(folder / 'cgroup.procs') for folder in folders]

  def limit(self, memory_mb: int, processes: int) -> None:
    """Limits what the submission, beside us, may use."""
    if self._limits == (memory_mb, processes):
      return
    memory, pids = self._folders['memory'], self._folders['pids']
    size = str((memory_mb + OUR_MEMORY_MB) << 20)
    for name in ('memory.max', 'memory.limit_in_bytes'):
      if (memory / name).exists():
        (memory / name).write_text(size)
    if (memory / 'memory.swap.max').exists():
      (memory / 'memory.swap.max').write_text('0')
    (pids / 'pids.max').write_text(str(processes + OUR_PROCESSES))
    self._limits = (memory_mb, processes)

  def kills(self) -> int:
    """How many processes the memory limit has ended so far."""
    for name in ('memory.events', 'memory.oom_control'):
      file = self._folders['memory'] / name
      if file.exists():
        fields = dict(line.split() for line in file.read_text().splitlines())
        return int(fields.get('oom_kill', 0))
    return 0

  async def removed(self) -> None:
    """Removes the folders, as soon as the last process in them is dead."""
    deadline = time.monotonic() + REMOVE_S
    for folder in set(self._folders.values()):
      while not remove_folder(folder) and time.monotonic() < deadline:
        await asyncio.sleep(0.01)


def remove_folder(folder: Path) -> bool:
  """True if a group's folder is gone; False while it holds a process."""
  try:
    folder.rmdir()
  except FileNotFoundError:
    return True
  except OSError as error:
    if error.errno != errno.EBUSY:
      raise
    return False
  return True


class Cgroups:
  """Makes groups below one folder a controller; `find` makes it.

  Args:
    folders: controller -> the folder of this service.
  """

  def __init__(self, folders: dict[str, Path]):
    self._folders = folders
    self._numbers = itertools.count()

  def make(self) -> Cgroup:
    """A new group."""
    number = next(self._numbers)
    own = {
      name: folder / f'keeper-{number}'
      for name, folder in self._folders.items()
    }
    for folder in set(own.values()):
      folder.mkdir()
    return Cgroup(own)

  def close(self) -> None:
    """Removes the service's own folders, once the last group is empty."""
    deadline = time.monotonic() + REMOVE_S
    for folder in set(self._folders.values()):
      while not remove_tree(folder) and time.monotonic() < deadline:
        time.sleep(0.02)


def remove_tree(folder: Path) -> bool:
  """True if a service's folder and the groups in it are gone."""
  if folder.is_dir():
    for child in folder.iterdir():
      if child.is_dir() and not remove_folder(child):
        return False
  return remove_folder(folder)


def find(mount: Path = MOUNT, own: str = '/proc/self/cgroup') -> Cgroups | None:
  """Our groups if we may make any here, else None."""
  if not (mount.is_dir() and os.access(own, os.R_OK)):
    return None
  for folders_in in (folders_v1, folders_v2):
    try:
      folders = folders_in(mount, Path(own).read_text())
      made = {name: fresh(folder) for name, folder in folders.items()}
    except (OSError, LookupError):
      continue  # Not mounted, not delegated to us, or of the other version.
    return Cgroups(made)
  return None


def fresh(parent: Path) -> Path:
  """The folder of this process below a group; stale ones of others go."""
  for old in parent.glob(f'{NAME}-*'):
    if not Path('/proc', old.name.rpartition('-')[2]).exists():
      remove_tree(old)
  folder = parent / f'{NAME}-{os.getpid()}'
  folder.mkdir(exist_ok=True)
  return folder


def folders_v1(mount: Path, own: str) -> dict[str, Path]:
  """Our groups in the two hierarchies of version 1."""
  paths = {}
  for line in own.splitlines():
    _, controllers, path = line.split(':', 2)
    for name in controllers.split(','):
      paths[name] = path
  return {name: inside(mount / name, paths[name]) for name in CONTROLLERS}


def folders_v2(mount: Path, own: str) -> dict[str, Path]:
  """Our group in the one hierarchy of version 2, its controllers enabled."""
  path = next(line[3:] for line in own.splitlines() if line.startswith('0::'))
  # Only a group without processes of its own can limit its children, so
  # ours is made beside the service's, not below it.
  parent = inside(mount, path)
  parent = parent if parent == mount else parent.parent
  enabled = (parent / 'cgroup.controllers').read_text().split()
  if not set(CONTROLLERS) <= set(enabled):
    raise LookupError(f'{parent}: no {CONTROLLERS}')
  (parent / 'cgroup.subtree_control').write_text('+memory +pids')
  return dict.fromkeys(CONTROLLERS, parent)


def inside(mount: Path, path: str) -> Path:
  """Our own group, or the root where a container shows another tree."""
  folder = mount / path.lstrip('/')
  if folder.is_dir():
    return folder
  if mount.is_dir():
    return mount
  raise LookupError(f'{mount}: not mounted')
