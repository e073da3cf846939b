# SPDX-License-Identifier: Apache-2.0
"""A sample of real sets: their own programs are right, empty ones are not.

benchmarks/reward_sets.py asks a running service about all of them.
"""

import ast

import pytest

EVERY = 40


def prelude_of(row):
  """What the prompt of a row defines beside the function to write."""
  body = ast.parse(row['prompt']).body
  entry = row['tests']['entry_point']
  return '\n'.join(
    ast.unparse(node) for node in body if getattr(node, 'name', '') != entry
  )


def test_mbpp(judge, rows):
  for row in rows('mbpp')[::EVERY]:
    tests = row['tests'] | {'entry_point': row['entry_point']}
    report = judge(row['solution'], tests)
    assert report['status'] == 'correct', (row['id'], report)
    assert report['passed'] == report['total'] >= 3


# Programs that build objects of their own classes, or need sys.
@pytest.mark.parametrize('number', [126, 367, 596, 601, 927])
def test_mbpp_beyond_plain_data(judge, rows, number):
  row = rows('mbpp')[number - 1]
  tests = row['tests'] | {'entry_point': row['entry_point']}
  assert judge(row['solution'], tests)['status'] == 'correct'
  program = f'def {row["entry_point"]}(*args): return None'
  assert judge(program, tests)['status'] in ('wrong', 'runtime_error')


@pytest.mark.parametrize('first', [0, 32, 38])
def test_humaneval(judge, rows, first):
  for row in rows('humaneval')[first::EVERY]:
    tests = row['tests'] | {'prelude': prelude_of(row)}
    report = judge(row['prompt'] + row['solution'], tests)
    assert report['status'] == 'correct', (row['id'], report)
    report = judge(row['prompt'] + '    return None\n', tests)
    assert report['status'] == 'wrong', (row['id'], report)


def test_humaneval_helpers_are_not_the_programs(judge, rows):
  row = rows('humaneval')[32]
  # A poly of one's own, of which everything is a root.
  cheat = 'def poly(*args): return 0\ndef find_zero(xs): return 0\n'
  tests = row['tests'] | {'prelude': prelude_of(row)}
  assert judge(cheat, tests)['status'] == 'wrong'
  report = judge(cheat, row['tests'])
  assert report['status'] == 'invalid_task'
  assert 'poly' in report['detail']


def test_p3(judge, rows):
  for row in rows('p3_train')[::EVERY]:
    report = judge(row['solution'], row['tests'])
    assert report['status'] == 'correct', (row['id'], report)
    header = row['tests']['sol_header']
    report = judge(f'{header}\n  return None', row['tests'])
    assert report['status'] == 'wrong', (row['id'], report)
