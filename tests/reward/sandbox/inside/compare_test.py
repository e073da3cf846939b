# SPDX-License-Identifier: Apache-2.0
"""When an output or a value is the expected one."""

import math
from collections import Counter, deque

import pytest

from srpo_jax.reward.sandbox.inside import compare
from srpo_jax.reward.sandbox.inside.compare import same_output, same_value


@pytest.mark.parametrize(
  ('output', 'expected', 'tolerance', 'same'),
  [
    ('1 2\n3\n', '1 2\n3', 0, True),
    ('1  2 3', '1 2\n3\n\n', 0, True),
    ('YES\r\n', 'YES', 0, True),
    ('yes', 'YES', 0, False),
    ('1 2', '1 2 3', 0, False),
    ('1 2 3', '1 2', 0, False),
    ('1.0', '1', 0, False),
    ('1.0', '1', 1e-9, True),
    ('0.3333', '0.33333333', 1e-3, True),
    ('0.33', '0.33333333', 1e-3, False),
    ('1000.5', '1000', 1e-3, True),
    ('a0.5', 'a0.50001', 1e-3, False),
    ('nan', 'NaN', 1e-3, False),
    ('inf', '1e999', 1e-3, False),
    ('1_0', '10', 1e-3, False),
    ('1.', '.99999', 1e-3, True),
    ('-1.5e1', '-15', 1e-3, True),
    ('1' * 5001, '1' * 5001, 1e-3, True),
    ('1.' + '0' * 5000, '1', 1e-3, False),
    # In linear time; a quadratic pattern takes minutes.
    ('1' * 400_000 + 'x', '1', 1e-3, False),
    ('', '', 0, True),
    ('\n ', '', 0, True),
    ('x', '', 0, False),
    ('', 'x', 0, False),
  ],
)
def test_outputs(output, expected, tolerance, same):
  assert same_output(output, expected, tolerance) is same


@pytest.mark.parametrize(
  ('value', 'expected', 'tolerance', 'same'),
  [
    (5, 5, 0, True),
    (5, 6, 0, False),
    (5.0, 5, 0, True),
    (5, 5.0, 0, True),
    (True, True, 0, True),
    (True, 1, 0, False),
    (1, True, 0, False),
    (0, False, 0, False),
    (None, None, 0, True),
    (None, [], 0, False),
    (0, None, 0, False),
    ('a', 'a', 0, True),
    (b'a', 'a', 0, False),
    ((1, (2, [3])), [1, [2, [3]]], 0, True),
    ([1, 2], [1, 2, 3], 0, False),
    ([1, [2, True]], [1, [2, 1]], 0, False),
    ({1, 2}, [1, 2], 0, False),
    (deque([1]), [1], 0, False),
    ({'a': (1,)}, {'a': [1]}, 0, True),
    (Counter('aa'), {'a': 2}, 0, True),
    ({1: 2}, {'1': 2}, 0, False),
    ({'a': 1}, {'a': 1, 'b': 2}, 0, False),
    ([], {}, 0, False),
    (0.1 + 0.2, 0.3, 0, False),
    (0.1 + 0.2, 0.3, 1e-9, True),
    (2.0000001, 2, 1e-6, True),
    (2, 3, 10, False),
    (10**400, 0.5, 1, False),
    (math.nan, math.nan, 0, True),
    (math.nan, 0.0, 1e9, False),
    (math.inf, math.inf, 0, True),
    (math.inf, 1e308, 1e9, False),
    (1j, 1, 0, False),
    (int, 1, 0, False),
  ],
)
def test_values(value, expected, tolerance, same):
  assert same_value(value, expected, tolerance) is same


def test_handles_equal_nothing():
  class AlwaysEqual:
    def __eq__(self, other):
      return True

  for expected in (5, 'a', None, [], {}, True):
    assert same_value(AlwaysEqual(), expected) is False
    assert same_value([AlwaysEqual()], [expected]) is False


def test_depth_costs_no_recursion():
  deep, cycle = [], []
  for _ in range(10**5):
    deep = [deep]
  cycle.append(cycle)
  assert same_value(deep, deep)
  assert not same_value(cycle, deep)
  assert not same_value(deep, [[5]])


def test_the_pattern_of_numbers_is_linear(monkeypatch):
  monkeypatch.setattr(compare, 'MAX_NUMBER', 1 << 20)
  assert not same_output('1' * 400_000 + 'x', '1', 1e-3)
