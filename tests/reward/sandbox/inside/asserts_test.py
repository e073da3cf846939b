# SPDX-License-Identifier: Apache-2.0
"""The kinds 'assert' and 'check': code of a data set, run on our side."""

import pytest

from srpo_jax.reward.sandbox.inside import host
from srpo_jax.reward.sandbox.inside.asserts import free_names, only_attributes

ADD = 'def f(x):\n  return x + 1\n'


def asserts(*texts, **fields):
  return {'type': 'assert', 'asserts': list(texts)} | fields


def check(body, **fields):
  code = f'def check(candidate):\n  {body}\n'
  return {'type': 'check', 'code': code, 'entry_point': 'f'} | fields


def brief(report):
  return report['status'], report['passed'], report['total']


def test_asserts_are_counted(judge):
  tests = asserts('assert f(1) == 2', 'assert f(2) == 4', 'assert f(3) == 4')
  report = judge(ADD, tests)
  assert brief(report) == ('wrong', 2, 3)
  assert 'f(2) == 4' in report['detail']
  tests = asserts('assert f(1) == 2', challenge=['assert f(2) == 3'])
  assert brief(judge(ADD, tests)) == ('correct', 2, 2)


@pytest.mark.parametrize(
  ('program', 'status', 'detail'),
  [
    ('def f(x): return 2 if x == 1 else None', 'wrong', '(2) == 3'),
    ('def f(x): return [2, 3][x]', 'wrong', ''),
    ('def f(x): return [2, 2][x]', 'runtime_error', 'IndexError'),
    ('def f(x): raise MemoryError', 'memory', ''),
    ('def f(x): return f(x)', 'runtime_error', 'RecursionError'),
    ('def f(x): raise SystemExit(0)', 'runtime_error', 'SystemExit'),
    ('def f(x): raise KeyboardInterrupt', 'runtime_error', 'Keyboard'),
    ('def f(', 'runtime_error', 'SyntaxError'),
    ('import no_such_module', 'runtime_error', 'ModuleNotFoundError'),
    ('def g(x): return x + 1', 'runtime_error', "'f' is not defined"),
    ('f = 5', 'runtime_error', 'not callable'),
    ('import sys; sys.exit(0)', 'runtime_error', 'SystemExit'),
    ('exit()', 'runtime_error', ''),
    ('\0', 'runtime_error', ''),
  ],
)
def test_programs_that_fail(judge, program, status, detail):
  for tests in (
    asserts('assert f(1) == 2', 'assert f(2) == 3'),
    check('assert candidate(1) == 2; assert candidate(2) == 3'),
  ):
    report = judge(program, tests)
    assert report['status'] == status
    assert detail in report['detail']
    assert report['total'] == 2


@pytest.mark.parametrize(
  'tests',
  [
    asserts('assert f(1) =='),
    asserts('f(1)'),
    asserts('assert True'),
    asserts('assert 1 == 1'),
    asserts('assert f(1) == 2', setup='1 / 0'),
    asserts('assert f(1) == 2', prelude='1 / 0'),
    asserts('assert f(1) == 2', setup='exit()'),
    asserts('assert f(1) == 2', setup='f = 1; f(1)'),
    asserts('assert f(lambda: 1) == 2'),
    asserts('assert f(1) == 2', setup='import no_such_module'),
    check('assert'),
    check('candidate(1)'),
    check('candidate(1); assert True, "still here"'),
    check('assert True'),
    check('assert 1 + 1 == 2'),
    check('1 / 0; assert candidate(1) == 2'),
    check('x = candidate(1); assert helper(x) == 2'),
    {'type': 'check', 'code': 'assert 1 == 2', 'entry_point': 'f'},
    check('assert candidate(1) == 2', entry_point='f('),
  ],
  ids=str,
)
@pytest.mark.parametrize('program', [ADD, 'def f(x): return None'])
def test_tests_that_judge_nothing(judge, tests, program):
  assert judge(program, tests)['status'] == 'invalid_task'


def test_the_program_cannot_make_a_task_invalid(judge):
  tests = asserts('assert f(1) == 2', setup='node = Node(1)')
  for program in ('', 'Node = 5', 'Node = None', 'def Node(x): raise OSError'):
    assert judge(program, tests)['status'] == 'runtime_error'
  tests = asserts('for x in f(1):\n  assert x > 0')
  for result in ('[]', 'None', '5', 'iter(())'):
    program = f'def f(x): return {result}'
    assert judge(program, tests)['status'] in ('wrong', 'runtime_error')


def test_check_counts_every_assert_that_runs(judge):
  tests = check(
    '\n  '.join(['for x in range(5):', '  assert candidate(x) != 3'])
  )
  assert brief(judge(ADD, tests)) == ('wrong', 4, 5)
  # The branch that is not taken is not missing.
  branch = (
    'if candidate(1) == 2:\n    assert True == True\n  else: assert False'
  )
  assert brief(judge(ADD, check(branch))) == ('correct', 1, 1)
  broken = 'assert candidate(1) == 2; candidate(1)[0]; assert candidate(2) == 3'
  assert brief(judge(ADD, check(broken))) == ('wrong', 1, 2)


def test_asserts_in_helpers_and_loops_are_recorded(judge):
  code = (
    'def same(a, b, name=""):\n  assert a == b, name\n'
    'class Test:\n  def run(self, f):\n    same(f(1), 2)\n    same(f(2), 4)\n'
    'def check(candidate):\n  Test().run(candidate)\n'
  )
  tests = {'type': 'check', 'code': code, 'entry_point': 'f'}
  assert brief(judge(ADD, tests)) == ('wrong', 1, 2)


def test_expected_exceptions(judge):
  code = (
    'try:\n    candidate(-1)\n    assert False\n'
    '  except ValueError as error:\n    assert str(error) == "low"\n'
  )
  assert judge('def f(x): raise ValueError("low")', check(code))['passed'] == 1
  assert judge(ADD, check(code))['status'] == 'wrong'
  report = judge('def f(x): raise KeyError("low")', check(code))
  assert report['status'] == 'runtime_error'
  own = 'class E(Exception): pass\ndef f(x): raise E("low")'
  assert 'E: low' in judge(own, check(code))['detail']


def test_a_builtin_name_is_the_programs(judge):
  tests = asserts('assert sum(10, 15) == 6', entry_point='sum')
  assert judge('def sum(a, b): return 6', tests)['status'] == 'correct'
  assert judge('def sum(a, b): return 7', tests)['status'] == 'wrong'
  report = judge('def total(a, b): return 6', tests)
  assert report['status'] == 'runtime_error'


def test_modules_that_tests_forget_to_import_are_ours(judge):
  program = 'class sys:\n  def getsizeof(x): return 5\ndef f(x): return 5\n'
  tests = asserts('assert f(1) == sys.getsizeof(1)')
  assert judge(program, tests)['status'] == 'wrong'


def test_entry_point_may_be_a_method(judge):
  program = 'class Solution:\n  def f(self, x): return x + 1\n'
  tests = check('assert candidate(x=1) == 2', entry_point='Solution().f')
  assert judge(program, tests)['status'] == 'correct'


LISTS = """
class ListNode:
  def __init__(self, val=0, next=None):
    self.val = val
    self.next = next

def to_list(node):
  values = []
  while node:
    values.append(node.val)
    node = node.next
  return values

def from_list(values):
  node = None
  for value in reversed(values):
    node = ListNode(value, node)
  return node
"""
REVERSE = """
def f(node):
  last = None
  while node:
    node.next, last, node = last, node, node.next
  return last
"""


@pytest.mark.parametrize(
  'program',
  [
    REVERSE,
    # Programs often define the class of the prelude once more.
    'class ListNode:\n  pass\n' + REVERSE,
    'def f(node):\n  return from_list(to_list(node)[::-1])',
  ],
)
def test_objects_of_the_prelude(judge, program):
  body = 'assert to_list(candidate(from_list([1, 2, 3]))) == [3, 2, 1]'
  assert judge(program, check(body, prelude=LISTS))['status'] == 'correct'
  body = 'assert to_list(candidate(from_list([1, 2, 3]))) == [1, 2, 3]'
  assert judge(program, check(body, prelude=LISTS))['status'] == 'wrong'


def test_changes_in_place(judge):
  program = 'def f(x): x.reverse()'
  body = 'x = [1, [2]]; candidate(x); assert x == [[2], 1]'
  assert judge(program, check(body))['status'] == 'correct'
  program = 'def f(x, y): x["a"] = 1; y.add(2)'
  body = 'x, y = {}, {1}; candidate(x, y=y); assert x == {"a": 1}'
  body += '; assert y == {1, 2}'
  assert brief(judge(program, check(body))) == ('correct', 2, 2)
  program = 'def f(node): node.val, node.next = 7, None'
  body = 'x = from_list([1, 2]); candidate(x); assert to_list(x) == [7]'
  assert judge(program, check(body, prelude=LISTS))['status'] == 'correct'


def test_a_call_that_returns_something_changes_nothing(judge):
  # Else it could empty what the reference is then asked about.
  program = 'def f(x):\n  x.clear()\n  return []\n'
  body = 'x = [3, 1]; assert candidate(x) == sorted(x)'
  assert judge(program, check(body))['status'] == 'wrong'
  program = 'def f(x):\n  x.pop()\n  return 1\n'
  body = 'x = [3, 1]; assert candidate(x) == 1; assert x == [3]'
  assert judge(program, check(body))['passed'] == 1
  tests = check(body, in_place=True)
  assert judge(program, tests)['status'] == 'correct'


@pytest.mark.parametrize(
  ('source', 'names'),
  [
    ('assert f(x) == y', {'f', 'x', 'y'}),
    ('import a.b, c as d\na; c; d', {'c'}),
    ('def g(x): return x + h(k)\n', {'h', 'k'}),
    ('def g():\n  z = 1\n  return lambda: z + w\ng', {'w'}),
    ('[i for i in j]; i', {'i', 'j'}),
    ('class A:\n  b = c\n  def d(self): return b', {'b', 'c'}),
    ('def g():\n  global h\n  h = 1\nh', set()),
    ('for n in m: n', {'m'}),
  ],
)
def test_free_names(source, names):
  assert free_names(source) == names


def test_only_attributes():
  assert only_attributes('a.b; a.c(); d; d.e; f(g.h)') == {'a', 'g'}


def test_messages_may_not_raise(judge):
  program = (
    'class Evil:\n'
    '  def __repr__(self): raise OSError\n'
    '  __str__ = __repr__\n'
    'def f(x): return Evil()\n'
  )
  for body in ('assert {}[candidate(1)]', 'raise ValueError(candidate(1))'):
    report = judge(program, check(f'{body}; assert candidate(1) == 2'))
    assert report['status'] == 'wrong'


def test_faults_of_ours_judge_nobody(judge, monkeypatch):
  def fails(*args):
    raise OSError('ours')

  monkeypatch.setitem(host.KINDS, 'assert', fails)
  report = judge(ADD, asserts('assert f(1) == 2'))
  assert report['status'] == 'sandbox_error'
  assert 'ours' in report['detail']


@pytest.mark.parametrize(
  'code',
  [
    'assert all(map(lambda t: f(t[0]) == t[1], [(1, 2), (3, 4)]))',
    'assert [a for a, b in zip(map(f, [1, 2]), [2, 3]) if a != b] == []',
  ],
)
@pytest.mark.parametrize('name', ['StopIteration', 'StopAsyncIteration'])
def test_the_program_cannot_end_a_loop_of_the_tests(judge, code, name):
  assert judge(ADD, asserts(code))['status'] == 'correct'
  report = judge(f'def f(*args): raise {name}', asserts(code))
  assert report['status'] == 'runtime_error'
  assert name in report['detail']


def test_too_much_to_pass_back_is_the_programs_fault(judge):
  tests = asserts('assert f(f(1)) == 2')
  report = judge('def f(x): return [[] for _ in range(249_999)]', tests)
  assert report['status'] == 'runtime_error'
  tests = asserts('assert f([[] for _ in range(250_000)]) == 2')
  assert judge(ADD, tests)['status'] == 'invalid_task'


RAISES = """
class F:
  def __getattr__(self, name): raise OSError(name)
  def __call__(self, x): raise OSError(x)
f = F()
"""


@pytest.mark.parametrize('line', ['x = f(1)', 'x = f(1)[0]', 'g = f.helper'])
def test_code_that_fails_by_the_program_is_not_the_tasks_fault(judge, line):
  tests = check('assert candidate(1) == 2')
  tests['code'] = f'{line}\n{tests["code"]}'
  assert judge(RAISES, tests)['status'] == 'runtime_error'
  tests = asserts('assert f(1) == 2', setup=line)
  assert judge(RAISES, tests)['status'] == 'runtime_error'
  for tests in (asserts('assert f.g(1) == 2'), check('assert candidate.g')):
    assert judge(RAISES, tests)['status'] == 'runtime_error'


def test_asserts_that_must_not_be_reached(judge):
  lines = ('try:', '  {}(-1)', '  assert False', 'except ValueError: pass')
  raising = 'def f(x): raise ValueError'
  for tests in (
    asserts('\n'.join(lines).format('f')),
    check('\n  '.join(lines).format('candidate')),
  ):
    assert brief(judge(raising, tests)) == ('correct', 1, 1)
    assert judge(ADD, tests)['status'] == 'wrong'
    assert judge('def f(x): 1 / 0', tests)['status'] == 'runtime_error'
    ends = 'import os\ndef f(x): os._exit(0)'
    assert judge(ends, tests)['status'] == 'runtime_error'
  uncalled = check('if False: assert False')
  assert judge(ADD, uncalled)['status'] == 'invalid_task'
