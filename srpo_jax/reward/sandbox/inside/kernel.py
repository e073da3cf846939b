# SPDX-License-Identifier: Apache-2.0
"""The system calls that Python has no function for, with errors as OSError.

Used by `confine` (what a process may do) and `reaper` (its namespaces).
"""

import ctypes
import os
from typing import Any

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
SECCOMP_MODE_FILTER = 2
CAPABILITY_VERSION_3 = 0x20080522
CAPABILITIES = 64

LANDLOCK_CREATE_RULESET = 444
LANDLOCK_ADD_RULE = 445
LANDLOCK_RESTRICT_SELF = 446
LANDLOCK_CREATE_RULESET_VERSION = 1
LANDLOCK_RULE_PATH_BENEATH = 1

_libc = ctypes.CDLL(None, use_errno=True)


def _demand(result: int, what: str) -> int:
  """The result of a call, or OSError with the reason if it is negative."""
  if result < 0:
    number = ctypes.get_errno()
    raise OSError(number, f'{what}: {os.strerror(number)}')
  return result


def prctl(option: int, *arguments: Any) -> None:
  """prctl(2); integers become unsigned longs, as its varargs want."""
  longs = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments]
  longs += [ctypes.c_ulong(0)] * (4 - len(longs))
  _demand(_libc.prctl(option, *longs), f'prctl {option}')


def unshare(flags: int) -> None:
  """unshare(2): new namespaces for this process, or for its children."""
  _demand(_libc.unshare(flags), f'unshare {flags:#x}')


def mount(kind: str, target: str, flags: int, options: str = '') -> None:
  """mount(2) of a file system without a device, such as tmpfs."""
  name, where, data = kind.encode(), target.encode(), options.encode()
  done = _libc.mount(name, where, name, ctypes.c_ulong(flags), data)
  _demand(done, f'mount {kind} on {target}')


def drop_capabilities() -> None:
  """Gives up every capability, the bounding and the ambient ones included.

  The bounding set needs CAP_SETPCAP, which a process outside any user
  namespace of ours does not have; then no_new_privs is what keeps
  a set-uid program from gaining anything.
  """
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
  for number in range(CAPABILITIES):
    try:
      prctl(PR_CAPBSET_DROP, number)
    except OSError:
      break  # Not permitted, or this kernel has no more of them.
  header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
  nothing = (ctypes.c_uint32 * 6)()
  _demand(_libc.capset(header, nothing), 'capset')


class _Program(ctypes.Structure):
  """struct sock_fprog."""

  _fields_ = [('length', ctypes.c_ushort), ('code', ctypes.c_char_p)]


def load_filter(code: bytes) -> None:
  """Loads a seccomp filter, for this process and all it will start.

  Args:
    code: BPF instructions of eight bytes each.
  """
  program = _Program(len(code) // 8, code)
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program))


class _Ruleset(ctypes.Structure):
  """struct landlock_ruleset_attr."""

  _fields_ = [
    ('files', ctypes.c_uint64),
    ('network', ctypes.c_uint64),
    ('scoped', ctypes.c_uint64),
  ]


class _PathBeneath(ctypes.Structure):
  """struct landlock_path_beneath_attr."""

  _fields_ = [('allowed', ctypes.c_uint64), ('folder', ctypes.c_int32)]


def landlock_abi() -> int:
  """The version of Landlock here; OSError if there is none."""
  version = _libc.syscall(
    LANDLOCK_CREATE_RULESET,
    None,
    ctypes.c_size_t(0),
    ctypes.c_uint32(LANDLOCK_CREATE_RULESET_VERSION),
  )
  return _demand(version, 'landlock')


def restrict_files(
  files: int, network: int, scoped: int, allowed: dict[str, int]
) -> None:
  """Denies all of the given rights, but for those allowed beneath paths.

  Args:
    files: file system rights to handle, see landlock(7).
    network: network rights to handle; 0 before ABI 4.
    scoped: what to keep to this domain; 0 before ABI 6.
    allowed: path -> rights.
  """
  rules = _Ruleset(files, network, scoped)
  # Older kernels refuse fields they do not know, even if they are zero.
  size = 24 if scoped else 16 if network else 8
  ruleset = _demand(
    _libc.syscall(
      LANDLOCK_CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(size), 0
    ),
    'landlock_create_ruleset',
  )
  for path, rights in allowed.items():
    _allow_beneath(ruleset, path, rights)
  _demand(
    _libc.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0), 'landlock_restrict_self'
  )
  os.close(ruleset)


def _allow_beneath(ruleset: int, path: str, rights: int) -> None:
  """Adds one path to a rule set."""
  folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
  rule = _PathBeneath(rights, folder)
  done = _libc.syscall(
    LANDLOCK_ADD_RULE,
    ruleset,
    LANDLOCK_RULE_PATH_BENEATH,
    ctypes.byref(rule),
    0,
  )
  os.close(folder)
  _demand(done, f'landlock_add_rule {path}')
