# SPDX-License-Identifier: Apache-2.0
"""The system calls that a sandbox leaves, as a seccomp filter.

A list of what is allowed: a call that a new kernel brings is denied until
somebody has thought about it. Built by libseccomp in the service, loaded
inside by `inside.kernel.load_filter`.
"""

import errno
import tempfile
from types import ModuleType

MEMORY = (
  *('brk', 'mmap', 'mprotect', 'mremap', 'munmap', 'madvise', 'mincore'),
  *('msync', 'membarrier', 'get_mempolicy', 'mlock', 'munlock', 'mlock2'),
)
FILES = (
  *('access', 'chdir', 'chmod', 'close', 'close_range', 'copy_file_range'),
  *('creat', 'dup', 'dup2', 'dup3', 'faccessat', 'faccessat2', 'fadvise64'),
  *('fallocate', 'fchdir', 'fchmod', 'fchmodat', 'fdatasync'),
  *('flock', 'fstat', 'fstatfs', 'fsync', 'ftruncate', 'getcwd', 'getdents'),
  *('getdents64', 'getxattr', 'lgetxattr', 'fgetxattr', 'link', 'linkat'),
  *('listxattr', 'llistxattr', 'lseek', 'lstat', 'mkdir', 'mkdirat'),
  *('newfstatat', 'open', 'openat', 'pipe', 'pipe2', 'pread64', 'preadv'),
  *('pwrite64', 'pwritev', 'read', 'readahead', 'readlink', 'readlinkat'),
  *('readv', 'rename', 'renameat', 'renameat2', 'rmdir', 'sendfile'),
  *('splice', 'stat', 'statfs', 'statx', 'symlink', 'symlinkat', 'tee'),
  *('truncate', 'umask', 'unlink', 'unlinkat', 'utime', 'utimensat'),
  *('utimes', 'futimesat', 'write', 'writev', 'sync_file_range'),
)
WAITING = (
  *('epoll_create', 'epoll_create1', 'epoll_ctl', 'epoll_pwait'),
  *('epoll_pwait2', 'epoll_wait', 'eventfd', 'eventfd2', 'poll', 'ppoll'),
  *('pselect6', 'select', 'nanosleep', 'clock_nanosleep', 'pause'),
  *('timerfd_create', 'timerfd_gettime', 'timerfd_settime', 'alarm'),
  *('getitimer', 'setitimer', 'timer_create', 'timer_delete'),
  *('timer_getoverrun', 'timer_gettime', 'timer_settime', 'futex'),
  *('futex_waitv', 'get_robust_list', 'set_robust_list', 'restart_syscall'),
  'pidfd_open',
)
SIGNALS = (
  *('rt_sigaction', 'rt_sigpending', 'rt_sigprocmask', 'rt_sigreturn'),
  *('rt_sigsuspend', 'rt_sigtimedwait', 'sigaltstack', 'signalfd'),
  *('signalfd4',),
)
SENDING = (
  *('kill', 'tgkill', 'tkill', 'rt_sigqueueinfo', 'rt_tgsigqueueinfo'),
  'pidfd_send_signal',
)
# Of files by their names or descriptors, beside writing.
CHANGING = (
  *('chmod', 'fchmod', 'fchmodat', 'utime', 'utimes', 'utimensat'),
  *('futimesat', 'truncate', 'ftruncate', 'link', 'linkat', 'rename'),
  *('renameat', 'renameat2', 'symlink', 'symlinkat', 'mkdir', 'mkdirat'),
  *('rmdir', 'unlink', 'unlinkat', 'creat', 'fallocate'),
)
PROCESSES = (
  *('execve', 'execveat', 'exit', 'exit_group', 'fork', 'vfork', 'wait4'),
  *('waitid', 'arch_prctl', 'set_tid_address', 'rseq', 'getpgid', 'getpgrp'),
  *('getpid', 'getppid', 'getpriority', 'getrlimit', 'getrusage', 'getsid'),
  *('gettid', 'sched_get_priority_max'),
  *('sched_get_priority_min', 'sched_getaffinity', 'sched_getparam'),
  *('sched_getscheduler', 'sched_yield', 'setpgid', 'setrlimit', 'setsid'),
)
IDENTITY = (
  *('getegid', 'geteuid', 'getgid', 'getgroups', 'getresgid', 'getresuid'),
  *('getuid', 'capget', 'getrandom', 'getcpu', 'sysinfo', 'times', 'uname'),
  *('clock_getres', 'clock_gettime', 'gettimeofday', 'time'),
)
# Talking over a pair of sockets that one has; no new one can reach anything.
PAIRS = (
  *('getpeername', 'getsockname', 'getsockopt', 'recvfrom', 'recvmsg'),
  *('sendmsg', 'sendto', 'shutdown', 'recvmmsg', 'sendmmsg'),
)
ALLOWED = (
  *MEMORY,
  *FILES,
  *WAITING,
  *SIGNALS,
  *SENDING,
  *PROCESSES,
  *IDENTITY,
  *PAIRS,
)
AF_UNIX = 1
NAMESPACE_FLAGS = 0x7E020080  # Every CLONE_NEW*, CLONE_NEWTIME among them.
CLONE_THREAD = 0x00010000
# Names of threads, SECCOMP_MODE_FILTER (filters can only be added to), and to
# die with one's parent, which a sealed program cannot undo.
PRCTL_ALLOWED = (1, 15, 16, 21, 22, 23, 38, 39)
PR_SET_PDEATHSIG = 1
# F_DUPFD to F_SETLKW, locks of open files, duplicates, pipe sizes. Not
# F_SETOWN and F_SETSIG, by which a file sends signals to others.
FCNTL_ALLOWED = (*range(8), 36, 37, 38, 1030, 1031, 1032)
# TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX: what Python's io
# asks of any file. TIOCSTI, which types into a terminal, is not among them.
IOCTL_ALLOWED = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)


class NoSeccomp(ValueError):
  """The library is missing; one line that says what to install."""


def base_filter() -> bytes:
  """What a submission, and the tests of a data set, may call."""
  library = load()
  rules = library.SyscallFilter(library.ERRNO(errno.EPERM))
  for name in ALLOWED:
    add_known(library, rules, name)
  plain = library.Arg(0, library.MASKED_EQ, NAMESPACE_FLAGS, 0)
  rules.add_rule(library.ALLOW, 'clone', plain)
  # Its flags lie in memory where a filter cannot look; libc then uses clone.
  rules.add_rule(library.ERRNO(errno.ENOSYS), 'clone3')
  pair = library.Arg(0, library.EQ, AF_UNIX)
  rules.add_rule(library.ALLOW, 'socketpair', pair)
  for option in PRCTL_ALLOWED:
    same = library.Arg(0, library.EQ, option)
    rules.add_rule(library.ALLOW, 'prctl', same)
  for name, numbers in (('ioctl', IOCTL_ALLOWED), ('fcntl', FCNTL_ALLOWED)):
    for number in numbers:
      # The kernel looks at the low half alone, so a rule must do the same.
      same = library.Arg(1, library.MASKED_EQ, 0xFFFFFFFF, number)
      rules.add_rule(library.ALLOW, name, same)
  oneself = library.Arg(0, library.MASKED_EQ, 0xFFFFFFFF, 0)
  rules.add_rule(library.ALLOW, 'prlimit64', oneself)
  return export(rules)


def seal_filter() -> bytes:
  """Takes new processes (threads aside), signals and changes of files away.

  For a submission that no namespaces keep to itself: Landlock has no say in
  modes and times of the files that belong to this user.
  """
  library = load()
  rules = library.SyscallFilter(library.ALLOW)
  denied = library.ERRNO(errno.EPERM)
  for name in ('fork', 'vfork', 'execve', 'execveat', *SENDING, *CHANGING):
    deny_known(rules, denied, name)
  undo = library.Arg(0, library.EQ, PR_SET_PDEATHSIG)
  rules.add_rule(denied, 'prctl', undo)
  rules.add_rule(library.ERRNO(errno.ENOSYS), 'clone3')
  no_thread = library.Arg(0, library.MASKED_EQ, CLONE_THREAD, 0)
  rules.add_rule(denied, 'clone', no_thread)
  return export(rules)


def add_known(library: ModuleType, rules: object, name: str) -> None:
  """Allows a call if this processor has it (64-bit ARM has no `open`)."""
  try:
    rules.add_rule(library.ALLOW, name)
  except ValueError:
    return  # libseccomp does not know the name here: it stays denied.


def deny_known(rules: object, denied: int, name: str) -> None:
  """Denies a call if this processor has it."""
  try:
    rules.add_rule(denied, name)
  except ValueError:
    return  # libseccomp does not know the name; the base filter denies it.


def export(rules: object) -> bytes:
  """The filter as BPF instructions."""
  with tempfile.TemporaryFile() as file:
    rules.export_bpf(file)
    file.seek(0)
    return file.read()


def load() -> ModuleType:
  """pyseccomp; NoSeccomp with the remedy if it or libseccomp is missing."""
  try:
    import pyseccomp
  except (ImportError, RuntimeError, OSError) as error:
    raise NoSeccomp(
      f'no seccomp filter: {error}; install pyseccomp from PyPI and the '
      "system's libseccomp2"
    ) from error
  return pyseccomp
