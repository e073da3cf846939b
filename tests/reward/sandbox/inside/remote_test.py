# SPDX-License-Identifier: Apache-2.0
"""Objects that stay with the program, as the tests see them."""

import pytest

PROGRAM = """
import collections, enum, types

class Node:
  def __init__(self, value):
    self.value = value
    self.children = []
  def add(self, child):
    self.children.append(child)
    return self
  def __len__(self): return len(self.children)
  def __iter__(self): return iter(self.children)
  def __getitem__(self, n): return self.children[n]
  def __setitem__(self, n, child): self.children[n] = child
  def __str__(self): return f'<{self.value}>'
  def __eq__(self, other): return True
  def __contains__(self, other): return True

def f(*args): return args[0] if args else None
def g():
  yield 1
  yield [2]
def twice(function, x): return function(function(x))
def fails(): raise ValueError('low')
"""


def passes(judge, *lines):
  """Whether check code with these lines is found correct."""
  code = '\n  '.join(['def check(node):', *lines])
  tests = {'type': 'check', 'code': code, 'entry_point': 'Node'}
  report = judge(PROGRAM, tests)
  assert report['status'] in ('correct', 'wrong', 'runtime_error'), report
  return report['status'] == 'correct'


@pytest.mark.parametrize(
  'line',
  [
    'assert node(3).value == 3',
    'assert len(node(3)) == 0',
    'assert len(node(3).add(1)) == 1',
    'assert list(node(3).add(1).add([2])) == [1, [2]]',
    'assert node(3).add(7)[0] == 7',
    'n = node(3).add(7); n[0] = 8; assert n[0] == 8',
    'n = node(3); n.value = [4]; assert n.value == [4]',
    'n = node(3); n.add(n); assert n[0] is n and n[0] == n',
    'n = node(3); assert {n: 1}[n] == 1',
    'assert str(node(3)) == "<3>"',
    'assert isinstance(node(3), node)',
    'assert not isinstance(3, type(node(1)) and node)',
    'assert node(3)',
    'n = node(3); assert (n if n else None) is n',
    'n = node(node(2)); assert n.value.value == 2',
    'assert node([1, 2, 3]).value[1:] == [2, 3]',
    'assert node(node).value.__name__ == "Node"',
  ],
)
def test_objects_of_the_program(judge, line):
  assert passes(judge, line)


@pytest.mark.parametrize(
  'line',
  [
    'assert node(3) == 3',
    'assert 3 == node(3)',
    'assert node(3) == node(3)',
    'assert node(3) in (3, None, "")',
    'assert 5 in node(3)',
    'assert 5 in node(3).add(4)',
    'assert [node(3)] == [3]',
    'assert node(3) < 5',
    'assert abs(node(3) - 3) < 1',
    'assert node(3) is True',
    'assert isinstance(node(3), (int, str, list))',
    'assert node(3).missing == 3',
    'assert node(3)[5] == 3',
  ],
)
def test_objects_decide_nothing(judge, line):
  assert not passes(judge, line)


def test_nothing_compared_is_sent(judge):
  program = (
    'seen = []\n'
    'class Spy:\n'
    '  def __eq__(self, other): seen.append(other); return True\n'
    '  __ne__ = __lt__ = __gt__ = __contains__ = __eq__\n'
    '  def __getitem__(self, key): seen.append(key); raise IndexError\n'
    '  def __getattr__(self, key): seen.append(key); raise AttributeError\n'
    'def f(): return Spy()\n'
    'def g(): return seen\n'
  )
  asserts = [
    *('assert f() == 77', 'assert 77 == f()', 'assert f() != [78]'),
    *('assert 77 in f()', 'assert f() in [77]', 'assert f() < 77'),
    *('assert not f() == 79', 'assert 0 == len(known(g()))'),
  ]
  setup = 'def known(seen): return [x for x in seen if x in (77, [78], 79)]'
  tests = {'type': 'assert', 'asserts': asserts, 'setup': setup}
  report = judge(program, tests)
  assert report['passed'] == 3
  assert report['total'] == 8


def test_functions_and_generators(judge):
  asserts = [
    *('assert list(g()) == [1, [2]]', 'assert next(g()) == 1'),
    *(
      'assert [x for x in g()] == [1, [2]]',
      'assert sum(map(len, [[3]])) == 1',
    ),
    *('assert f(f)(5) == 5', 'assert twice(f, 3) == 3'),
    *('assert twice(abs, -3) == 3', 'assert f(int) is int'),
    'assert f({1: [(2,)]}) == {1: [(2,)]}',
  ]
  tests = {'type': 'assert', 'asserts': asserts}
  assert judge(PROGRAM, tests)['status'] == 'correct'


def test_an_iterator_without_end_is_read_as_far_as_needed(judge):
  program = 'import itertools\ndef f(): return itertools.count(1)\n'
  code = 'import itertools\nassert list(itertools.islice(f(), 3)) == [1, 2, 3]'
  tests = {'type': 'assert', 'asserts': [code]}
  assert judge(program, tests)['status'] == 'correct'
  tests = {'type': 'assert', 'asserts': ['assert list(f()) == [1]']}
  assert judge(program, tests, wall_s=0.5)['status'] == 'timeout'


def test_setup_may_build_objects(judge):
  setup = 'root = Node(1)\nroot.left = Node(2)\nroot.left.left = Node(3)'
  tests = {
    'type': 'assert',
    'setup': setup,
    'asserts': ['assert f(root).left.left.value == 3'],
  }
  assert judge(PROGRAM, tests)['status'] == 'correct'
