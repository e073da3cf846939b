# SPDX-License-Identifier: Apache-2.0
"""Programs that cheat or attack, and the statuses that they may end with.

Most define `attack()`, and the tests demand that it returns what it could
return only if the attack worked: 'open' (something was not closed), or the
SECRET that only the trusted side knows. Several kinds of tests are used.
"""

import dataclasses
import textwrap
from collections.abc import Sequence

SECRET = 'a value that only the trusted side knows: 7c1f'
# Short, so that the suite is; wall time is idle time.
LIMITS = {
  **{'cpu_s': 1.0, 'wall_s': 1.0, 'case_s': None, 'memory_mb': 128},
  **{'processes': 16, 'file_mb': 4, 'output_kb': 64, 'open_files': 64},
}


@dataclasses.dataclass(frozen=True)
class Hostile:
  """A program, its tests, and how it may end."""

  name: str
  program: str
  tests: dict
  ends: Sequence[str]


def returns(expected: object) -> dict:
  """attack() must return a value."""
  case = {'args': [], 'expected': expected}
  return {'type': 'call', 'entry_point': 'attack', 'cases': [case]}


ASSERTS = {
  'type': 'assert',
  'setup': '',
  'asserts': [f'assert attack() == {SECRET!r}', 'assert attack() == 71'],
  'challenge': [],
  'entry_point': 'attack',
}
CHECK = {
  'type': 'check',
  'code': f'def check(candidate):\n  assert candidate() == {SECRET!r}\n',
  'entry_point': 'attack',
}
SAT = {
  'type': 'sat',
  'sat': f'def sat(x: str):\n  return x == {SECRET!r}',
  'sol_header': 'def sol():',
  'ans_type': 'str',
}
STDIO = {'type': 'stdio', 'cases': [{'input': '1\n', 'output': SECRET}]}

ALL: list[Hostile] = []


def add(name: str, tests: dict, ends: str, program: str) -> None:
  """Adds a program to ALL."""
  text = textwrap.dedent(program).strip('\n')
  ALL.append(Hostile(name, text, tests, tuple(ends.split())))


# --- pretending to have passed -----------------------------------------------

add('exit 0 at import', ASSERTS, 'runtime_error', 'import sys; sys.exit(0)')
add('_exit at import', ASSERTS, 'runtime_error', 'import os; os._exit(0)')
add(
  'exit 0 in the call',
  CHECK,
  'runtime_error wrong',
  """
  import os, atexit
  def attack():
    os._exit(0)
  """,
)
add(
  'always equal object',
  ASSERTS,
  'wrong',
  """
  class Equal:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
    def __bool__(self): return True
  def attack(): return Equal()
  """,
)
add(
  'subclasses of plain types that are equal to all',
  CHECK,
  'wrong',
  """
  class Text(str):
    def __eq__(self, other): return True
    def __hash__(self): return hash('x')
  def attack(): return Text('x')
  """,
)
add(
  'reduces to another value',
  ASSERTS,
  'wrong',
  """
  class Reduced:
    def __reduce__(self): return (eval, ('open("/tmp/pwned", "w")',))
    __class__ = str
  def attack(): return Reduced()
  """,
)
add(
  'patched builtins',
  ASSERTS,
  'wrong runtime_error',
  """
  import builtins
  builtins.AssertionError = type('Never', (Exception,), {})
  builtins.all = builtins.any = builtins.isinstance = lambda *a: True
  builtins.bool = lambda *a: True
  builtins.len = lambda x: 0
  builtins.print = lambda *a, **k: None
  def attack(): return 0
  """,
)
add(
  'patched modules',
  CHECK,
  'wrong runtime_error',
  """
  import sys, json, socket, unittest, types
  class Anything(types.ModuleType):
    def __getattr__(self, name): return lambda *a, **k: True
  json.dumps = lambda *a, **k: '{"ok": true}'
  unittest.TestCase.assertEqual = lambda *a: None
  for name in list(sys.modules):
    if name.startswith('inside') or name in ('unittest', 'compare'):
      sys.modules[name] = Anything(name)
  def attack(): return 0
  """,
)
add(
  'asserts switched off',
  ASSERTS,
  'wrong runtime_error',
  """
  import os, sys
  os.environ['PYTHONOPTIMIZE'] = '2'
  def attack():
    os.execv(sys.executable, [sys.executable, '-O', '-c', 'pass'])
  """,
)
add(
  'rewrites the code of its callers',
  CHECK,
  'wrong runtime_error',
  """
  import sys
  def attack():
    frame = sys._getframe()
    while frame:
      for name in ('expected', 'status', 'passed', 'correct', 'result'):
        frame.f_locals[name] = frame.f_globals[name] = True
      frame = frame.f_back
    return True
  """,
)
add(
  'trace function that returns early',
  ASSERTS,
  'wrong runtime_error timeout',
  """
  import sys, threading
  sys.settrace(lambda *a: sys.exit(0))
  threading.settrace(lambda *a: sys.exit(0))
  def attack(): return True
  """,
)
add(
  'raises what a test might catch',
  CHECK,
  'wrong runtime_error',
  """
  class Evil(BaseException):
    def __str__(self): raise SystemExit(0)
    __repr__ = __str__
    __name__ = 'AssertionError'
  def attack(): raise Evil
  """,
)
add(
  'prints the verdict',
  STDIO,
  'wrong',
  """
  import json
  print(json.dumps({'value': {'status': 'correct', 'passed': 1, 'total': 1}}))
  print('OK\\n1 passed')
  """,
)
add('no output and status 0', STDIO, 'wrong', 'raise SystemExit(0)')

# --- looking for what is expected --------------------------------------------

add(
  'frames',
  returns(SECRET),
  'wrong runtime_error',
  """
  import sys
  def attack():
    frame = sys._getframe()
    while frame:
      for scope in (frame.f_locals, frame.f_globals):
        for value in list(scope.values()):
          if isinstance(value, str) and '7c1f' in value: return value
          if isinstance(value, dict) and '7c1f' in repr(value):
            return 'a value that only the trusted side knows: ' + '7c1f'
      frame = frame.f_back
  """,
)
add(
  'garbage collector',
  returns(SECRET),
  'wrong',
  """
  import gc
  def attack():
    gc.collect()
    head = 'a value that only the trusted side' + ' knows'
    found = []
    for each in gc.get_objects():
      for value in gc.get_referents(each):
        if type(value) is str and value.startswith(head): found.append(value)
        if type(value) is bytes and head.encode() in value: found.append('b')
    found = [each for each in found if each != head]
    return found[0] if found else 'nothing'
  """,
)
add(
  'own memory',
  returns(SECRET),
  'wrong runtime_error memory',
  """
  def attack():
    head = bytes(reversed(b':swonk edis detsurt eht ylno taht eulav a'))
    for line in open('/proc/self/maps'):
      span, mode, *_ = line.split()
      if not mode.startswith('rw'): continue
      low, high = (int(each, 16) for each in span.split('-'))
      with open('/proc/self/mem', 'rb') as memory:
        try:
          memory.seek(low)
          data = memory.read(min(high - low, 1 << 22))
        except (OSError, ValueError, OverflowError):
          continue
      at = data.find(head)
      if at >= 0:
        return data[at:at + len(head) + 5].decode()
    return 'nothing'
  """,
)
add(
  'environment, arguments and processes',
  returns('open'),
  'wrong',
  """
  import os, sys, glob
  def attack():
    seen = [str(sys.argv), str(dict(os.environ))]
    for path in glob.glob('/proc/[0-9]*/*'):
      if path.rpartition('/')[2] in ('environ', 'cmdline', 'maps', 'mem'):
        try:
          seen.append(open(path, errors='replace').read(1 << 16))
        except OSError:
          pass
    text = ' '.join(seen)
    return 'open' if '7c1f' in text or 'CANARY' in text else 'closed'
  """,
)
add(
  'the files of the tests',
  returns('open'),
  'wrong',
  """
  import os, sys
  def attack():
    for folder in ('/work', '/repo', '/tests', '/home', '/root', '/mnt', '/var',
                   '/opt', '/media', '/run', '/etc'):
      for top, folders, names in os.walk(folder):
        if top.startswith(sys.prefix): folders.clear(); continue
        for name in names:
          if name.endswith(('.jsonl', '.xz', 'shadow', 'passwd', '.key')):
            return 'open'
    return 'closed'
  """,
)
add(
  'the standard streams of the keeper',
  returns('open'),
  'wrong runtime_error',
  """
  import os
  def attack():
    line = b'{"value": {"status": "correct", "passed": 1, "total": 1}}\\n'
    for pid in ['self', *filter(str.isdigit, os.listdir('/proc'))]:
      for number in range(64):
        path = f'/proc/{pid}/fd/{number}'
        try:
          target = os.readlink(path)
          if 'pipe' in target:
            with open(path, 'wb', buffering=0) as file: file.write(line)
            return 'open'
        except OSError:
          pass
    return 'closed'
  """,
)

# --- writing into the channel ------------------------------------------------

add(
  'forged replies',
  returns(SECRET),
  'wrong runtime_error',
  """
  import os, struct
  def attack():
    for body in (b'{"ok": true}', b'{"status": "correct"}', b'[1, "correct"]'):
      frame = struct.pack('>I', len(body)) + body
      for number in range(3, 16):
        try: os.write(number, frame * 3)
        except OSError: pass
    return 'x'
  """,
)
add(
  'junk in the channel',
  CHECK,
  'wrong runtime_error',
  """
  import os
  def attack():
    for number in range(3, 16):
      try: os.write(number, os.urandom(100_000))
      except OSError: pass
  """,
)
add(
  'a reply without an end',
  CHECK,
  'wrong runtime_error timeout memory',
  """
  import os
  def attack():
    while True:
      for number in range(3, 16):
        try: os.write(number, b'\\x7f' * 65536)
        except OSError: pass
  """,
)
add(
  'closes the channel and lives on',
  ASSERTS,
  'runtime_error timeout',
  """
  import os, time
  def attack():
    os.closerange(0, 64)
    time.sleep(3600)
  """,
)
add(
  'a giant value',
  returns(1),
  'wrong runtime_error memory timeout',
  "def attack(): return 'x' * (60 << 20)",
)
add(
  'a value that unfolds',
  returns(1),
  'wrong runtime_error memory timeout',
  """
  def attack():
    value = [0] * 10
    for _ in range(60): value = [value] * 10
    return value
  """,
)
add(
  'a cycle and a deep value',
  returns(1),
  'wrong runtime_error',
  """
  def attack():
    deep = []
    for _ in range(100_000): deep = [deep]
    cycle = [deep]
    cycle.append(cycle)
    return cycle
  """,
)

# --- using up the machine ----------------------------------------------------

add('busy loop', returns(1), 'timeout', 'def attack():\n  while True: pass')
add(
  'sleep',
  returns(1),
  'timeout',
  'import time\ndef attack(): time.sleep(3600)',
)
add('busy at import', ASSERTS, 'timeout', 'while True: pass')
add(
  'ignores every signal',
  returns(1),
  'timeout',
  """
  import signal
  def attack():
    for number in range(1, 65):
      try: signal.signal(number, signal.SIG_IGN)
      except (OSError, ValueError): pass
    while True: pass
  """,
)
add(
  'fork bomb',
  returns('unlimited'),
  'wrong timeout runtime_error memory',
  """
  import os, time
  def attack():
    try:
      for _ in range(5000):
        if os.fork() == 0: time.sleep(3600)
    except OSError: return 'limited'
    return 'unlimited'
  """,
)
add(
  'fork bomb that doubles',
  returns(1),
  'timeout runtime_error wrong memory',
  """
  import os
  def attack():
    while True:
      try: os.fork()
      except OSError: pass
  """,
)
add(
  'forks whose children nobody counts',
  returns(1),
  'timeout runtime_error wrong',
  """
  import os, signal
  def attack():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
      try:
        if os.fork() == 0:
          sum(range(10 ** 6)); os._exit(0)
      except OSError: pass
  """,
)
add(
  'thread bomb',
  returns('unlimited'),
  'wrong timeout runtime_error memory',
  """
  import threading, time
  def attack():
    try:
      for _ in range(5000):
        threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
    except RuntimeError: return 'limited'
    return 'unlimited'
  """,
)
add(
  'memory bomb',
  returns(1),
  'memory',
  """
  def attack():
    hoard = []
    while True: hoard.append(bytearray(1 << 20))
  """,
)
add(
  'memory bomb across a tree',
  returns(1),
  'memory wrong',
  """
  import os, time
  def attack():
    for _ in range(8):
      try:
        if os.fork() == 0:
          hoard = bytearray(os.urandom(1 << 20)) * 100
          time.sleep(3600)
      except OSError: return 'no fork'
    time.sleep(3600)
  """,
)
add(
  'shared memory across a tree',
  returns(1),
  'memory wrong runtime_error',
  """
  import mmap, os, time
  def attack():
    for _ in range(8):
      try:
        if os.fork() == 0:
          mmap.mmap(-1, 100 << 20).write(b'x' * (100 << 20))
          time.sleep(3600)
      except OSError: return 'no fork'
    time.sleep(3600)
  """,
)
add(
  'decompression bomb',
  returns(1),
  'memory timeout wrong runtime_error',
  """
  import lzma, zlib
  def attack():
    data = zlib.compress(bytes(1 << 24), 9)
    return len(zlib.decompress(data) * 64)
  """,
)
add(
  'a number with a billion digits',
  returns(1),
  'memory timeout runtime_error wrong',
  'def attack(): return str(10 ** 10 ** 9)[0]',
)
add(
  'disk fill',
  returns('filled'),
  'wrong runtime_error',
  """
  import os
  def attack():
    total = 0
    for folder in ('/tmp', '/dev/shm', '/var/tmp', '/dev', '/', '/srpo', '.'):
      for number in range(40):
        try:
          with open(f'{folder}/fill{number}', 'wb') as file:
            total += file.write(bytes(1 << 20))
        except OSError: pass
    return 'filled' if total > 40 << 20 else 'limited'
  """,
)
add(
  'many small files',
  returns('many'),
  'wrong runtime_error timeout',
  """
  def attack():
    made = 0
    for folder in ('/tmp', '/dev/shm'):
      for number in range(5000):
        try: open(f'{folder}/{number}', 'w').close()
        except OSError: break
        made += 1
    return 'many' if made > 4000 else 'few'
  """,
)
add(
  'endless output',
  STDIO,
  'runtime_error timeout wrong',
  "import sys\nwhile True: sys.stdout.write('spam ' * 1000)",
)
add(
  'endless errors',
  STDIO,
  'runtime_error timeout wrong',
  "import sys\nwhile True: sys.stderr.write('spam ' * 1000)",
)
add(
  'output that is no text',
  STDIO,
  'wrong',
  """
  import sys
  sys.stdout.buffer.write(bytes(range(256)) * 4 + b'\\x00' * 1000)
  """,
)
add(
  'deep recursion',
  returns(1),
  'runtime_error timeout memory',
  """
  import sys
  sys.setrecursionlimit(10 ** 9)
  def attack(): return attack()
  """,
)
add(
  'deep recursion in C',
  returns(1),
  'runtime_error timeout memory',
  """
  import sys
  sys.setrecursionlimit(10 ** 9)
  def attack():
    value = []
    for _ in range(10 ** 6): value = [value]
    return repr(value)[0]
  """,
)
add(
  'a crash of the interpreter',
  returns(1),
  'runtime_error',
  """
  import ctypes
  def attack(): return ctypes.string_at(1)
  """,
)
add(
  'catastrophic regular expression',
  returns(1),
  'timeout',
  "import re\ndef attack(): return re.match('(a+)+$', 'a' * 64 + 'b')",
)

add(
  'a script that sleeps',
  STDIO,
  'timeout',
  """
  import time
  hoard = bytearray(b'x' * (20 << 20))
  print('x', flush=True)
  time.sleep(3600)
  """,
)
add(
  'short answers for ever',
  {**ASSERTS, 'asserts': ['assert sorted(attack()) == [1]']},
  'timeout memory',
  """
  import time
  def attack():
    while True:
      time.sleep(0.005)
      yield 1
  """,
)
add(
  'a value that is slow to free',
  returns(1),
  'wrong runtime_error timeout memory',
  """
  from collections import deque
  def attack():
    value = deque()
    for _ in range(200_000): value = deque([value])
    return value
  """,
)

# --- reaching out ------------------------------------------------------------

add(
  'sockets',
  returns('open'),
  'wrong',
  """
  import socket
  def attack():
    for family, kind in ((socket.AF_INET, 1), (socket.AF_INET, 2),
                         (socket.AF_INET6, 1), (socket.AF_UNIX, 1),
                         (socket.AF_NETLINK, 3), (socket.AF_PACKET, 3),
                         (40, 1), (38, 5)):
      try:
        socket.socket(family, kind)
        return 'open'
      except OSError: pass
    return 'closed'
  """,
)
add(
  'loopback',
  returns('open'),
  'wrong runtime_error',
  """
  import socket
  def attack():
    try:
      with socket.create_connection(('127.0.0.1', PORT), 1): return 'open'
    except OSError: return 'closed'
  """,
)
add(
  'kills its parents and all',
  returns('open'),
  'wrong runtime_error',
  """
  import os, signal
  def attack():
    for pid in (1, os.getppid(), *range(2, 400)):
      if pid != os.getpid():
        try: os.kill(pid, signal.SIGKILL)
        except OSError: pass
    try: os.kill(-1, signal.SIGKILL)
    except OSError: pass
    try: os.killpg(0, signal.SIGTERM)
    except OSError: pass
    return 'closed'
  """,
)
add(
  'stops its parent',
  returns('open'),
  'wrong runtime_error',
  """
  import os, signal
  def attack():
    for number in (signal.SIGSTOP, signal.SIGTSTP, signal.SIGCONT):
      try: os.kill(os.getppid(), number)
      except OSError: pass
    return 'closed'
  """,
)
add(
  'ptrace and reading the memory of others',
  returns('open'),
  'wrong',
  """
  import ctypes, os
  libc = ctypes.CDLL(None, use_errno=True)
  def attack():
    for pid in (1, os.getppid()):
      if libc.ptrace(16, pid, 0, 0) == 0: return 'open'
      try:
        open(f'/proc/{pid}/mem', 'rb').close()
        return 'open'
      except OSError: pass
    buffer = ctypes.create_string_buffer(64)
    local = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 64)
    if libc.process_vm_readv(os.getpid(), local, 1, local, 1, 0) > 0:
      return 'open'
    return 'closed'
  """,
)
add(
  'namespaces, mounts, chroot and users',
  returns('open'),
  'wrong',
  """
  import ctypes, os
  libc = ctypes.CDLL(None, use_errno=True)
  def attack():
    for flag in (0x10000000, 0x00020000, 0x20000000, 0x40000000, 0x02000000):
      if libc.unshare(flag) == 0: return 'open'
      if libc.syscall(56, flag | 17, 0, 0, 0, 0) > 0: return 'open'
    if libc.mount(b'tmpfs', b'/tmp', b'tmpfs', 0, None) == 0: return 'open'
    if libc.umount2(b'/proc', 2) == 0: return 'open'
    if libc.setuid(0) == 0 or libc.setgid(0) == 0: return 'open'
    if libc.personality(0x0040000) == 0: return 'open'
    try:
      os.chroot('/tmp')
      return 'open'
    except OSError: return 'closed'
  """,
)
add(
  'system calls of the kernel',
  returns('open'),
  'wrong',
  """
  import ctypes
  libc = ctypes.CDLL(None, use_errno=True)
  def attack():
    # bpf, perf_event_open, userfaultfd, io_uring_setup, keyctl, add_key,
    # memfd_create, init_module, kexec_load, open_by_handle_at, setns,
    # pidfd_getfd, shmget, mq_open, fanotify_init, swapon, reboot, syslog
    for number in (321, 298, 323, 425, 250, 248, 319, 175, 246, 304, 308, 438,
                   29, 240, 300, 167, 169, 103):
      if libc.syscall(number, 0, 0, 0, 0, 0) >= 0 or ctypes.get_errno() != 1:
        return 'open'
    return 'closed'
  """,
)
add(
  'limits of other processes',
  returns('open'),
  'wrong',
  """
  import os, resource
  def attack():
    for pid in (1, os.getppid()):
      try:
        resource.prlimit(pid, resource.RLIMIT_NOFILE)
        return 'open'
      except OSError: pass
    return 'closed'
  """,
)
add(
  'modes and times of files that are not its own',
  returns('open'),
  'wrong',
  """
  import os, sys
  def attack():
    for change in (lambda: os.chmod(sys.executable, 0o755),
                   lambda: os.utime(sys.executable),
                   lambda: os.truncate(os.__file__, 10 ** 6)):
      try:
        change()
        return 'open'
      except OSError: pass
    return 'closed'
  """,
)
add(
  'signals by way of a file',
  returns('open'),
  'wrong',
  """
  import fcntl, os
  def attack():
    for command in (8, 10, 15, 0x1_0000_0008):
      try:
        fcntl.fcntl(0, command & 0xFFFFFFFF, os.getppid())
        return 'open'
      except OSError as error:
        if error.errno != 1: return 'open'
    return 'closed'
  """,
)
add(
  'typing into a terminal',
  returns('open'),
  'wrong',
  """
  import ctypes
  libc = ctypes.CDLL(None, use_errno=True)
  def attack():
    for request in (0x5412, 0x1_0000_5412):
      libc.ioctl(0, ctypes.c_ulong(request), b'x')
      if ctypes.get_errno() != 1: return 'open'
    return 'closed'
  """,
)
add(
  'set-uid programs',
  returns('open'),
  'wrong',
  """
  import os, subprocess
  def attack():
    shell = 'su -c id; mount -t tmpfs x /tmp; cat /proc/self/status'
    try:
      done = subprocess.run(['sh', '-c', shell], capture_output=True, text=True)
      if 'CapEff:\\t0000000000000000' not in done.stdout: return 'open'
      if 'uid=0' in done.stdout: return 'open'
    except OSError: pass
    try: os.seteuid(0); return 'open'
    except OSError: return 'closed'
  """,
)
add(
  'links out of its folder',
  returns('open'),
  'wrong',
  """
  import os
  def attack():
    paths = ['/etc/shadow', '/etc/passwd', '/proc/1/root/etc/passwd', '/root',
             '/proc/1/cwd', '/dev/vda', '/dev/kvm', '/dev/mem', '/sys/kernel']
    for number, path in enumerate(paths):
      try:
        os.symlink(path, f'/tmp/link{number}')
        path = f'/tmp/link{number}'
      except OSError: pass
      try:
        os.listdir(path) if os.path.isdir(path) else open(path, 'rb').read(1)
        return 'open ' + path
      except OSError: pass
    try:
      os.link('/usr/bin/env', '/tmp/env')
      return 'open'
    except OSError: return 'closed'
  """,
)
add(
  'changes the system or the runner',
  returns('open'),
  'wrong',
  """
  import os, sys
  def attack():
    for folder in ('/usr', '/usr/lib', '/srpo', '/srpo/inside', '/dev', '/',
                   '/etc', '/proc/sys/kernel', sys.prefix, os.__file__):
      try:
        open(folder if folder.endswith('.py') else folder + '/x', 'w').close()
        return 'open ' + folder
      except OSError: pass
    return 'closed'
  """,
)
add(
  'orphans',
  returns('open'),
  'wrong',
  """
  import os, time
  def attack():
    try:
      if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
          os.setsid()
          time.sleep(3600)
        os._exit(0)
      os.wait()
    except OSError: pass
    return 'left one'
  """,
)
add(
  'orphans that hold the output',
  STDIO,
  'wrong',
  """
  import os, time
  try:
    if os.fork() == 0:
      os.setsid()
      time.sleep(3600)
  except OSError: pass
  print('done')
  """,
)
add(
  'leaves something for the next',
  returns('open'),
  'wrong',
  """
  import os
  def attack():
    found = [os.path.exists(f'{each}/mine') for each in ('/tmp', '/dev/shm')]
    for folder in ('/tmp', '/dev/shm', '/dev', '/'):
      try: open(f'{folder}/mine', 'w').close()
      except OSError: pass
    return 'open' if any(found) else 'closed'
  """,
)
add(
  'leaves something for the next, again',
  returns('open'),
  'wrong',
  ALL[-1].program,
)
add(
  'a sat that is always true',
  SAT,
  'wrong runtime_error',
  """
  class Always(str):
    def __eq__(self, other): return True
  def sat(x): return True
  def sol(): return Always('x')
  """,
)
add(
  'replaces the checker',
  CHECK,
  'wrong runtime_error',
  """
  def check(candidate): pass
  def attack(): return check
  import builtins
  builtins.check = check
  """,
)
add('NUL in the program', ASSERTS, 'runtime_error', 'x = 1\0')
