# SPDX-License-Identifier: Apache-2.0
"""The kinds 'sat', 'call' and 'stdio'."""

import builtins
import multiprocessing
import os
import select
import signal
import socket
import time

import pytest

from srpo_jax.reward.sandbox.inside import host
from srpo_jax.reward.sandbox.inside import stdio as scripts

INCREASING = {
  'type': 'sat',
  'sat': 'def sat(x: List[int], n=3):\n  return len(x) == n and x == sorted(x)',
  'sol_header': 'def sol(n=3):',
  'ans_type': 'List[int]',
}


def call(*cases, **fields):
  cases = [{'args': args, 'expected': expected} for args, expected in cases]
  return {'type': 'call', 'entry_point': 'f', 'cases': cases} | fields


def stdio(*cases, **fields):
  cases = [{'input': given, 'output': output} for given, output in cases]
  return {'type': 'stdio', 'cases': cases} | fields


def brief(report):
  return report['status'], report['passed'], report['total']


@pytest.mark.parametrize(
  ('program', 'status'),
  [
    ('def sol(): return [1, 2, 3]', 'correct'),
    ('def sol(n=3): return list(range(n))', 'correct'),
    ('def sol(n): return list(range(n))', 'correct'),
    ('def sol(n: List[int] = 3): return [0] * n', 'correct'),
    ('def sol(): return [3, 2, 1]', 'wrong'),
    ('def sol(): return (1, 2, 3)', 'wrong'),
    ('def sol(): return [1, 2, True]', 'wrong'),
    ('def sol(): return [1, 2, 3.0]', 'wrong'),
    ('def sol(): return iter([1, 2, 3])', 'wrong'),
    ('def sol(): return None', 'wrong'),
    ('def sol(): raise TypeError', 'runtime_error'),
    ('def solve(): return [1, 2, 3]', 'runtime_error'),
    ('sol = [1, 2, 3]', 'runtime_error'),
  ],
)
def test_sat(judge, program, status):
  assert judge(program, INCREASING)['status'] == status


def test_only_true_is_true(judge):
  program = 'def sol(): return 5'
  for body, status in (('x == 5', 'correct'), ('x', 'wrong'), ('1', 'wrong')):
    tests = {'type': 'sat', 'sat': f'def sat(x): return {body}'}
    assert judge(program, tests | {'ans_type': 'int'})['status'] == status
  tests = {'type': 'sat', 'sat': 'def sat(x): return 1 / 0', 'ans_type': 'int'}
  assert judge(program, tests)['status'] == 'wrong'


@pytest.mark.parametrize(
  'fields',
  [
    {'sat': 'def sat(x'},
    {'sat': 'def other(x): return True'},
    {'ans_type': 'Callable'},
    {'ans_type': 'List[complex]'},
    {'sol_header': 'def sol(n=open("x")):'},
    {'prelude': '1 / 0'},
  ],
)
def test_puzzles_that_are_none(judge, fields):
  program = 'def sol(): return [1, 2, 3]'
  assert judge(program, INCREASING | fields)['status'] == 'invalid_task'


def test_a_predicate_without_end_ends_the_host(judge, guests, monkeypatch):
  # The child that is to be ended cannot ask its parent's fork server.
  monkeypatch.setattr(guests, 'SERVER', multiprocessing.get_context('fork'))
  monkeypatch.setattr(host, 'TESTS_CPU_S', 0.0)
  monkeypatch.setattr(host, 'GRACE_S', 0.2)
  tests = {'type': 'sat', 'sat': 'def sat(x): return sum(range(x)) > 0'}
  child = os.fork()
  if not child:
    try:
      judge('def sol(): return 10**12', tests | {'ans_type': 'int'}, cpu_s=0.2)
    finally:
      os._exit(0)
  status = os.waitpid(child, 0)[1]
  assert os.WTERMSIG(status) == signal.SIGVTALRM


def test_calls(judge):
  program = 'def f(x, y=0): return x + y'
  tests = call(([1], 1), ([1, 2], 3), ([1, 2], 4))
  assert brief(judge(program, tests)) == ('wrong', 2, 3)
  tests['cases'][2] = {'args': [1], 'kwargs': {'y': 3}, 'expected': 4}
  assert brief(judge(program, tests)) == ('correct', 3, 3)


@pytest.mark.parametrize(
  ('result', 'expected', 'status'),
  [
    ('(1, [2, (3,)])', [1, [2, [3]]], 'correct'),
    ('True', 1, 'wrong'),
    ('1', True, 'wrong'),
    ('2', 2.0, 'correct'),
    ('float("nan")', float('nan'), 'correct'),
    ('{"a": (1,)}', {'a': [1]}, 'correct'),
    ('{1}', [1], 'wrong'),
    ('map(int, "1")', [1], 'wrong'),
    ('0.1 + 0.2', 0.3, 'wrong'),
    ('1 / 0', 0.3, 'runtime_error'),
  ],
)
def test_values_of_calls(judge, result, expected, status):
  program = f'def f(): return {result}'
  assert judge(program, call(([], expected)))['status'] == status


def test_tolerance_of_calls(judge):
  tests = call(([], 0.3), tolerance=1e-9)
  assert judge('def f(): return 0.1 + 0.2', tests)['status'] == 'correct'


def test_every_call_has_a_fresh_object(judge):
  program = (
    'class Solution:\n'
    '  def __init__(self): self.n = 0\n'
    '  def f(self):\n'
    '    self.n += 1\n'
    '    return self.n\n'
  )
  tests = call(([], 1), ([], 1), entry_point='Solution().f')
  assert judge(program, tests)['status'] == 'correct'


def test_main_guards_run_only_in_scripts(judge):
  program = 'def f(): return 1\nif __name__ == "__main__": print(1 / 0)'
  assert judge(program, call(([], 1)))['status'] == 'correct'
  report = judge(program, stdio(('', '')))
  assert report['status'] == 'runtime_error'


def test_failures_do_not_stop_the_cases(judge):
  program = 'def f(x): return 6 // x'
  tests = call(([1], 6), ([0], 0), ([2], 3))
  report = judge(program, tests)
  assert brief(report) == ('runtime_error', 2, 3)
  assert report['detail'].startswith('case 2: it raised ZeroDivisionError')
  # The first that fails decides.
  tests = call(([1], 5), ([0], 0), ([2], 3))
  assert brief(judge(program, tests)) == ('wrong', 1, 3)


def test_limits_of_a_case(judge):
  program = 'def f(x):\n  while x: pass\n  return x\n'
  tests = call(([0], 0), ([1], 0), ([0], 0))
  report = judge(program, tests, wall_s=2)
  assert brief(report) == ('timeout', 1, 3)


READERS = {
  'input': 'text = input()',
  'stdin': 'import sys\ntext = sys.stdin.read()',
  'buffer': 'import sys\ntext = sys.stdin.buffer.read().decode()',
  'readline': 'import sys\ntext = sys.stdin.readline()',
  'open': 'text = open(0).read()',
  'os': 'import os\ntext = os.read(0, 99).decode()',
}
WRITERS = {
  'print': 'print(total)',
  'write': 'import sys\nsys.stdout.write(str(total))',
  'os': 'import os\nos.write(1, b"%d" % total)',
  'exit': 'print(total)\nexit()',
  'main': 'if __name__ == "__main__": print(total)',
  'atexit': 'import atexit\natexit.register(print, total)',
  'thread': 'import threading\n'
  'threading.Thread(target=lambda: print(total)).start()',
  'close': 'import sys\nprint(total)\nsys.stdout.close()',
  'mode': 'import sys\n'
  'print(total * (sys.stdin.mode + sys.stdout.mode == "rw"))',
  '_exit': 'import os\nprint(total, flush=True)\nos._exit(0)',
  'wrapper': 'import sys, io\n'
  'sys.stdout = io.TextIOWrapper(open(1, "wb"))\nprint(total)',
}


def make_adder(reader='input', writer='print'):
  total = 'total = sum(map(int, text.split()))'
  return '\n'.join([READERS[reader], total, WRITERS[writer]])


@pytest.mark.parametrize(
  'program',
  [*map(make_adder, READERS), *(make_adder(writer=name) for name in WRITERS)],
)
def test_stdio(judge, program):
  tests = stdio(('1 2 3\n', '6\n'), ('10 20\n', '30'))
  assert brief(judge(program, tests)) == ('correct', 2, 2)


@pytest.mark.parametrize(
  ('program', 'status', 'detail'),
  [
    ('print(7)', 'wrong', 'another output'),
    ('', 'wrong', ''),
    ('print(6); exit(3)', 'runtime_error', 'exit status 3'),
    ('print(6); exit("no")', 'runtime_error', 'exit status 1'),
    ('print(6); 1 / 0', 'runtime_error', ''),
    ('print(6', 'runtime_error', 'SyntaxError'),
    ('print(6); raise MemoryError', 'memory', ''),
    ('import os; os.kill(os.getpid(), 9)', 'runtime_error', 'signal 9'),
    ('while True: print(6)', 'runtime_error', 'too much output'),
    ('import os\nos.write(1, b"6\\xff")', 'wrong', ''),
    ('print("6\\0")', 'wrong', ''),
    ('import sys\nsys.stdout.close()', 'wrong', ''),
    ('import os\nos.closerange(0, 99)\nprint(6)', 'runtime_error', ''),
  ],
)
def test_scripts_that_fail(judge, program, status, detail):
  report = judge(program, stdio(('', '6')))
  assert report['status'] == status
  assert detail in report['detail']


def test_cases_of_stdio_start_clean(judge):
  program = 'import builtins\nprint(getattr(builtins, "n", 0))\nbuiltins.n = 1'
  tests = stdio(('', '0'), ('', '0'))
  assert judge(program, tests)['status'] == 'correct'


def test_an_orphan_that_holds_the_output_is_not_waited_for(judge):
  program = (
    'import os, time\n'
    'if os.fork() == 0:\n'
    '  {}\n'
    '  time.sleep(4)\n'
    '  os._exit(0)\n'
    'print(6)\n'
  )
  for new_session in ('pass', 'os.setsid()'):
    tests = stdio(('', '6'), ('', '6'))
    report = judge(program.format(new_session), tests, wall_s=3)
    assert report['status'] == 'correct'


def test_much_input_that_nobody_reads(judge):
  tests = stdio(('x' * (1 << 20), '6'))
  assert judge('print(6)', tests)['status'] == 'correct'
  tests = stdio(('x' * (1 << 20), str(1 << 20)))
  assert judge('print(len(input()))', tests)['status'] == 'correct'


def test_empty_output_is_not_free(judge):
  assert judge('pass', stdio(('', '')))['status'] == 'correct'
  assert judge('print(6)', stdio(('', '')))['status'] == 'wrong'
  assert judge('1 / 0', stdio(('', '')))['status'] == 'runtime_error'


def test_timeout_of_a_script(judge):
  tests = stdio(('', '6'), ('', '6'))
  report = judge('while True: pass', tests, wall_s=2)
  assert brief(report) == ('timeout', 0, 2)


@pytest.mark.parametrize('name', ['exit', 'quit'])
def test_programs_may_exit_without_site(judge, monkeypatch, name):
  monkeypatch.delattr(builtins, name)
  tests = stdio(('', '6'))
  assert judge(f'print(6); {name}()', tests)['status'] == 'correct'
  report = judge(f'print(6); {name}(3)', tests)
  assert report['detail'].endswith('exit status 3')
  report = judge(f'def f(): {name}()', call(([], 1)))
  assert 'SystemExit' in report['detail']


def test_calls_that_work_in_place(judge):
  program = 'def f(x): x.sort()'
  for in_place, status in ((True, 'correct'), (False, 'wrong')):
    tests = call(([[2, 1]], [1, 2]), ([[3]], [3]), in_place=in_place)
    assert judge(program, tests)['status'] == status
  tests = call(([[2, 1]], [1, 2]), in_place=True)
  assert judge('def f(x): return sorted(x)', tests)['status'] == 'correct'
  assert judge('def f(x): return x.sort', tests)['status'] == 'wrong'
  assert judge('def f(x): pass', tests)['status'] == 'wrong'


def test_a_script_dies_with_the_guest(tmp_path):
  path = tmp_path / 'pid'
  program = (
    'import os, time\n'
    f'with open({str(path)!r} + "_", "w") as file:\n'
    '  file.write(str(os.getpid()))\n'
    f'os.rename({str(path)!r} + "_", {str(path)!r})\n'
    'time.sleep(60)\n'
  )
  guest = os.fork()
  if not guest:
    try:
      channel = socket.socketpair()[0]
      limits = {'output_kb': 1}
      scripts.Run(program, limits, lambda: None, channel).run(b'')
    finally:
      os._exit(0)
  while not path.exists():
    time.sleep(0.02)
  script = int(path.read_text())
  ended = os.pidfd_open(script)
  os.kill(guest, signal.SIGKILL)
  os.waitpid(guest, 0)
  died = bool(select.select([ended], [], [], 5)[0])
  if not died:
    signal.pidfd_send_signal(ended, signal.SIGKILL)
  os.close(ended)
  assert died
