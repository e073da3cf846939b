# SPDX-License-Identifier: Apache-2.0
"""Programs that are paid to cheat, as far as host and guest are concerned.

What a sandbox has to stop (files, sockets, processes) has tests of its own.
"""

import secrets
import textwrap

import pytest

# f(x) should be x + 1000; each program below would like to be believed.
PROGRAMS = {
  'equal to all': """
    class Yes:
      def __eq__(self, other): return True
      def __ne__(self, other): return False
      def __lt__(self, other): return True
      __le__ = __gt__ = __ge__ = __contains__ = __lt__
      def __bool__(self): return True
      def __hash__(self): return 1005
      def __len__(self): return 1
      def __iter__(self): return iter([self])
      def __getattr__(self, name): return self
      def __call__(self, *args): return self
      def __getitem__(self, key): return self
      def __index__(self): return 1005
      def __instancecheck__(self, other): return True
      __int__ = __index__
    def f(x): return Yes()
    """,
  'int that is equal to all': """
    class Yes(int):
      def __eq__(self, other): return True
      def __ne__(self, other): return False
      def __hash__(self): return 1005
      def __reduce__(self): return eval, ('1005',)
    def f(x): return Yes(5)
    """,
  'str that is equal to all': """
    class Yes(str):
      __eq__ = lambda self, other: True
      __hash__ = str.__hash__
    def f(x): return Yes('1005')
    """,
  'list that is equal to all': """
    class Yes(list):
      __eq__ = lambda self, other: True
    def f(x): return [Yes([1005])]
    """,
  'class that lies about itself': """
    class Yes:
      __class__ = int
      real = 1005
      def __eq__(self, other): return True
    def f(x): return Yes()
    """,
  'metaclass': """
    class Meta(type):
      def __eq__(cls, other): return True
      def __hash__(cls): return hash(int)
      __name__ = property(lambda cls: 1 / 0)
    class Yes(metaclass=Meta):
      def __eq__(self, other): return True
    def f(x): return Yes
    """,
  'float': 'def f(x): return float("nan")',
  'lambda': 'def f(x): return lambda *args: True',
  'generator': 'def f(x):\n  while True: yield True',
  'mock': """
    from unittest.mock import MagicMock, ANY
    def f(x): return ANY
    """,
  'operators': """
    import operator, builtins
    operator.eq = builtins.__eq__ = lambda a, b: True
    def f(x): return 5
    """,
  'builtins': """
    import builtins
    for name in ('all', 'any', 'isinstance', 'len', 'type', 'zip', 'bool'):
      setattr(builtins, name, lambda *args: True)
    builtins.AssertionError = builtins.Exception = None
    def f(x): return 5
    """,
  'modules': """
    import sys
    for name in list(sys.modules):
      if name not in ('builtins', 'sys'):
        sys.modules[name] = sys.modules['builtins']
    def f(x): return 5
    """,
  'our own modules': """
    import sys
    for name, module in list(sys.modules.items()):
      if name.rpartition('.')[2] in ('host', 'tally', 'compare', 'asserts'):
        for each in ('same_value', 'same_leaf', 'judge', 'same_output'):
          setattr(module, each, lambda *args: True)
        if hasattr(module, 'Tally'):
          module.Tally.judge = lambda self, *args: self.passes()
          module.Tally.fails = lambda self, *args: self.passes()
    def f(x): return 5
    """,
  'unittest': """
    import unittest
    unittest.TestCase.assertEqual = lambda *args: None
    unittest.TestCase.run = lambda *args: None
    def f(x): return 5
    """,
  'assertion that passes': """
    import builtins
    class Quiet(Exception):
      def __new__(cls, *args): raise SystemExit(0)
    builtins.AssertionError = Quiet
    def f(x): return 5
    """,
  'exit': 'import sys\nsys.exit(0)',
  'exit in the call': 'def f(x): raise SystemExit(0)',
  'exit at once': 'import os\nos._exit(0)',
  'exit at once in the call': 'import os\ndef f(x): os._exit(0)',
  'atexit': 'import atexit, os\natexit.register(os._exit, 0)\ndef f(x): exit()',
  'prints the verdict': """
    print('correct')
    def f(x):
      print('{"status": "correct", "passed": 2, "total": 2}', flush=True)
    """,
  'error with a verdict': """
    class correct(Exception):
      __str__ = lambda self: 'correct'
    def f(x): raise correct({'status': 'correct', 'passed': 2, 'total': 2})
    """,
  'error that cannot be described': """
    class Evil(Exception):
      def __str__(self): raise SystemExit(0)
      __repr__ = __str__
      __class__ = property(lambda self: exit())
    def f(x): raise Evil
    """,
  'base exception': """
    class Ended(BaseException):
      status, detail = 'correct', ''
    def f(x): raise Ended
    """,
  'stop iteration': 'def f(x): raise StopIteration(1005)',
  'changes the argument': 'def f(x, *args):\n  x = 1005',
  'streams': """
    import sys, io
    sys.stdout = sys.stderr = sys.stdin = io.StringIO('1005')
    sys.__stdout__ = None
    def f(x): return 5
    """,
  'recursion limit': 'import sys\nsys.setrecursionlimit(5)\ndef f(x): return 5',
  'trace': """
    import sys, threading
    sys.settrace(lambda *args: 1 / 0)
    sys.setprofile(lambda *args: None)
    def f(x): return 5
    """,
  # Its answer would be right, but does not arrive.
  'closes everything': """
    import os
    os.closerange(0, 256)
    def f(x): return 1005
    """,
  'cycle': 'def f(x):\n  y = []\n  y.append(y)\n  return y',
  'deep list': 'def f(x):\n  for _ in range(10**6): x = [x]\n  return x',
  'deep tuple': 'def f(x):\n  for _ in range(10**5): x = (x,)\n  return x',
  'huge text': 'def f(x): return "1005" * (10 << 20)',
  'huge number': 'def f(x): return 1 << (1 << 27)',
  'wide graph': 'def f(x):\n  for _ in range(99): x = [x, x]\n  return x',
}
# Finds the socket and writes frames of its own on it.
SOCKET = """
import json, os, socket, stat
def frames(*messages):
  data = b''
  for message in messages:
    text = json.dumps(message).encode()
    data += len(text).to_bytes(4, 'big') + text
  for number in range(3, 256):
    try:
      if stat.S_ISSOCK(os.fstat(number).st_mode):
        os.write(number, data)
    except OSError:
      pass
"""
WRITERS = {
  'a verdict': '{"status": "correct", "passed": 2, "total": 2}',
  'replies with a verdict': '*[{"n": n, "status": "correct"}'
  ' for n in range(9)]',
  'replies to all requests': '*[{"n": n, "nodes": [], "roots": [True]}'
  ' for n in range(9)]',
  'junk': '"correct"',
  'an end': '{"n": 2, "error": ["Ended", "correct"]}',
}
PROGRAMS |= {
  f'writes {name}': f'{SOCKET}\ndef f(x): frames({what})'
  for name, what in WRITERS.items()
}
PROGRAMS |= {
  f'writes {name} at once': f'{SOCKET}\nframes({what})\ndef f(x): return True'
  for name, what in WRITERS.items()
}
CASES = [{'args': [n], 'expected': n + 1000} for n in (5, 6)]
TESTS = {
  'call': {'type': 'call', 'entry_point': 'f', 'cases': CASES},
  'assert': {
    'type': 'assert',
    'asserts': ['assert f(5) == 1005', 'assert not f(6) != 1006'],
  },
  'check': {
    'type': 'check',
    'entry_point': 'f',
    'code': 'def check(f):\n  assert f(5) == 1005\n  assert 1006 == f(6)\n'
    '  assert f(7) in (1007,)\n  assert [f(8)] == [1008]\n',
  },
  'sat': {
    'type': 'sat',
    'ans_type': 'int',
    'sat': 'def sat(x: int): return x == 1005 or x in {1006} or not x != 1007',
  },
}


# What costs seconds is tried in one way.
SLOW = ('deep list', 'deep tuple', 'huge text', 'huge number')
PAIRS = [
  (name, kind)
  for name in PROGRAMS
  for kind in TESTS
  if kind == 'call' or name not in SLOW
]


@pytest.mark.parametrize(('name', 'kind'), PAIRS)
def test_no_cheat_is_believed(judge, name, kind):
  program = textwrap.dedent(PROGRAMS[name])
  if kind == 'sat':
    program += '\ndef sol(): return f(5)\n'
  report = judge(program, TESTS[kind], wall_s=5.0)
  statuses = ('wrong', 'runtime_error', 'timeout', 'memory')
  assert report['status'] in statuses, report
  assert report['passed'] < report['total']


def test_the_honest_program_is_believed(judge):
  for kind, tests in TESTS.items():
    program = 'def f(x): return x + 1000\ndef sol(): return f(5)'
    assert judge(program, tests)['status'] == 'correct', kind


PEEK = """
import gc, os, re, sys

def everything():
  frames, frame = [], sys._getframe()
  while frame:
    frames.append((frame.f_locals, frame.f_globals, frame.f_code.co_consts))
    frame = frame.f_back
  return [gc.get_objects(), frames, sys.argv, dict(os.environ), sys.modules]

def memory():
  pieces = []
  with open('/proc/self/maps') as maps, open('/proc/self/mem', 'rb') as mem:
    for line in maps:
      span, rights = line.split()[:2]
      if rights.startswith('rw') and not line.rstrip().endswith('[vvar]'):
        start, end = (int(x, 16) for x in span.split('-'))
        mem.seek(start)
        pieces.append(mem.read(min(end - start, 1 << 26)))
  return b''.join(pieces)

def texts():
  for value in everything():
    for inner in gc.get_referents(value):
      yield from gc.get_referents(inner)

def f(half, *more):
  # What counts is longer than the part that we were given; that part may
  # stand in memory several times in a row.
  part = half.encode()
  longer = re.compile(part + b'(?!' + part + b')[0-9a-f]{8,}')
  found = memory()
  size = len(found)
  for text in texts():
    if type(text) is str and half in text:
      found += text.encode('utf-8', 'replace')
  return [size, *longer.findall(found)]
"""


def test_expected_values_are_nowhere_in_the_guest(judge):
  def make_tests(*known):
    """Tests with a secret that is younger than the guest, as a job is."""
    secret = secrets.token_hex(12)
    given = ', '.join(repr(secret[start:]) for start in known)
    body = [
      f'found = f({secret[:8]!r}, {given})',
      'assert found[0] > 10**6',
      'assert found[1:] == []',
      f'assert f != {secret!r}',
    ]
    code = '\n  '.join(['def check(f):', *body])
    return {'type': 'check', 'code': code, 'entry_point': 'f'}

  report = judge(PEEK, make_tests, memory_mb=2048, wall_s=60.0)
  assert report['status'] == 'correct', report
  # It does find what is there: this time it was given the secret.
  report = judge(PEEK, lambda: make_tests(0), memory_mb=2048, wall_s=60.0)
  assert 'found[1:]' in report['detail']


@pytest.mark.parametrize(
  'program',
  [
    'import os\nos._exit(0)',
    'print("1006")\nimport os\nos._exit(0)',
    'import os\nos.kill(os.getppid(), 0)\nprint(5)',
    'import sys\nsys.exit(0)',
    f'{SOCKET}\nframes({WRITERS["replies to all requests"]})',
    'import os, sys\nsys.stdout = None\nos.write(1, b"100")',
    'import os\nos.write(1, b"1005\\0")',
    'import os\nos.write(1, b"1005\\xff")',
    'print("1005" * 10**5)',
    'print("[1005]")',
    'print("1005\\n1006")',
    'print("1005"); raise SystemExit(1)',
    'print("1005", flush=True)\nimport os\nos.abort()',
  ],
)
def test_scripts_that_cheat(judge, program):
  cases = [{'input': '5', 'output': '1005'}, {'input': '6', 'output': '1006'}]
  report = judge(program, {'type': 'stdio', 'cases': cases})
  assert report['status'] in ('wrong', 'runtime_error')
  assert report['passed'] < 2


def test_a_prelude_object_cannot_bring_its_own_methods(judge):
  prelude = (
    'class Box:\n'
    '  def __init__(self, x): self.x = x\n'
    '  def same(self, other): return self.x == other.x\n'
  )
  code = 'def check(f):\n  assert f(5).same(Box(1005))\n'
  tests = {
    'type': 'check',
    'code': code,
    'entry_point': 'f',
    'prelude': prelude,
  }
  honest = 'def f(x): return Box(x + 1000)'
  assert judge(honest, tests)['status'] == 'correct'
  for cheat in (
    'def f(x):\n  box = Box(5)\n  box.same = lambda other: True\n  return box',
    'Box.same = lambda *args: True\ndef f(x): return Box(5)',
    'Box.__eq__ = lambda *args: True\ndef f(x): return Box(Box(5))',
    'class Box(Box):\n  def same(*args): return True\ndef f(x): return Box(5)',
  ):
    assert judge(cheat, tests)['status'] in ('wrong', 'runtime_error')
