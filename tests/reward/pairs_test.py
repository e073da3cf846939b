# SPDX-License-Identifier: Apache-2.0
"""The table of answer pairs, and texts that never end, through real workers."""

import asyncio
import collections
import functools
import os
import tomllib
from pathlib import Path

import pytest

from srpo_jax.reward.judge import Judge
from srpo_jax.reward.pool import Pool, start_worker

TABLE = tomllib.loads((Path(__file__).parent / 'pairs.toml').read_text())
SHORT_S, LONG_S = 1.0, 30.0

# Right answers that are refused. Refusing is the lesser evil, and each has its
# reason; no wrong answer may ever be added here.
MISSES = {
  # Letters in a word do not commute: `abc` is a name before it is a product.
  'commuted-pair',
  'word-in-symbols',
  # Copying `31_8` from the question would be the answer to it.
  'base-value-in-ten',
  # True for x > 0 alone; sympy is told that x is real.
  'log-power',
  'root-exponent',
}


def judge_all(items: list[dict]) -> list[dict]:
  """Results of the items, from one pool of two real workers."""

  async def run() -> list[dict]:
    pool = Pool(functools.partial(start_worker, ()), workers=2)
    pool.start()
    try:
      stream = Judge(pool.run).stream(items, budget_s=600)
      found = {index: result async for index, result in stream}
    finally:
      await pool.close()
    return [found[index] for index in range(len(items))]

  return asyncio.run(run())


def item_of(kind: str, name: str, row: list) -> dict:
  """An item as the trainer sends it."""
  gold, answer, _, *options = row
  fields = {'boxed': True} | (options[0] if options else {})
  final = f'\\boxed{{{answer}}}' if fields.pop('boxed') else answer
  limit = SHORT_S if kind in ('size', 'invalid') else LONG_S
  return {
    'id': name,
    'domain': 'math',
    'response': f'<think>a</think><answer>{final}</answer>',
    'answer': gold,
    'limits': {'wall_s': limit},
    **fields,
  }


def verdict_of(result: dict) -> str:
  """What the reward makes of a result: `timeout` earns what `wrong` does."""
  by_accuracy = {1: 'correct', 0: 'wrong', None: result['status']}
  return by_accuracy[result['accuracy']]


@pytest.fixture(scope='module')
def judged() -> list[tuple[str, str, list, dict]]:
  """(kind, name, row, result) of every pair; one start of the workers."""
  rows = [
    (kind, name, row)
    for kind, pairs in TABLE.items()
    for name, row in pairs.items()
  ]
  results = judge_all([item_of(*row) for row in rows])
  return [(*row, result) for row, result in zip(rows, results, strict=True)]


def test_table_is_large_and_names_are_unique():
  names = [name for pairs in TABLE.values() for name in pairs]
  assert len(names) == len(set(names)) >= 200
  assert all(len(pairs) >= 6 for pairs in TABLE.values())
  verdicts = {row[2] for pairs in TABLE.values() for row in pairs.values()}
  assert verdicts == {'correct', 'wrong', 'invalid_task'}


def test_pairs_are_judged_as_a_mathematician_would(judged):
  missed = {
    name: (row, result['status'], result['detail'])
    for _, name, row, result in judged
    if verdict_of(result) != row[2]
  }
  print(f'{len(judged) - len(missed)} of {len(judged)} right')
  for name, why in missed.items():
    print(name, *why)
  assert set(missed) == MISSES
  assert len(missed) <= 0.03 * len(judged)


def test_no_wrong_answer_is_taken_for_a_right_one(judged):
  taken = {
    name: row
    for _, name, row, result in judged
    if result['status'] == 'correct' and row[2] != 'correct'
  }
  assert not taken


def test_each_kind_is_mostly_right(judged):
  right = collections.defaultdict(list)
  for kind, _, row, result in judged:
    right[kind].append(verdict_of(result) == row[2])
  assert set(right) == set(TABLE)
  assert min(sum(each) / len(each) for each in right.values()) > 0.9


def test_what_was_not_settled_by_the_limit_is_said(judged):
  statuses = {name: result['status'] for _, name, _, result in judged}
  assert statuses['tower'] == statuses['many-digits-exponent'] == 'timeout'
  assert statuses['gold-tower'] == 'invalid_task'


# Short texts that an algebra system works on for ever, or very deep ones.
HOSTILE = {
  'tower': '9^{9^{9^9}}',
  'factorial': '(10^{9})!',
  'digits': '10^{10^{10}}',
  'sum': '\\sum_{k=1}^{10^{9}} \\frac{1}{k}',
  'expansion': '(a+b+c+d+f+g+h)^{200}-(h+g+f+d+c+b+a)^{200}+1',
  'tower-in-a-tuple': '(1, 9^{9^{9^9}})',
  'tower-in-a-matrix': '\\begin{pmatrix}9^{9^{9^9}}\\end{pmatrix}',
  'brackets': '(' * 900 + '1' + ')' * 900,
  'roots': '\\sqrt{' * 200 + '2' + '}' * 200,
  'fractions': '\\frac{1}{1+' * 150 + 'x' + '}' * 150,
  'matrix': '\\begin{pmatrix}' + '1&' * 800 + '1\\end{pmatrix}',
  'list': ','.join('x' for _ in range(900)),
  'digits-written': '7' * 1900,
  'very-long': '1+' * 50_000 + '1',
  'unclosed': '\\boxed{' * 250,
}
HOSTILE_GOLDS = ('tower', 'digits', 'brackets', 'list', 'very-long')
NOT_CORRECT = ('wrong', 'timeout', 'memory', 'no_answer')


def children() -> set[int]:
  """Processes whose parent is this one."""
  found = set()
  for path in Path('/proc').glob('[0-9]*/stat'):
    try:
      parent = path.read_text().rpartition(')')[2].split()[1]
    except (FileNotFoundError, ProcessLookupError):
      continue  # It ended while we looked.
    if int(parent) == os.getpid():
      found.add(int(path.parent.name))
  return found


def test_hostile_answers_and_golds_cost_their_limit():
  before = children()
  rows = [(name, ['3x', text, '']) for name, text in HOSTILE.items()]
  rows += [
    (f'{name} gold', [HOSTILE[name], '3x', '']) for name in HOSTILE_GOLDS
  ]
  rows.append(('last', ['x+x', '2x', '']))
  results = judge_all([item_of('size', *row) for row in rows])
  statuses = {result['id']: result['status'] for result in results}
  for name in HOSTILE:
    assert statuses[name] in NOT_CORRECT, name
  for name in HOSTILE_GOLDS:
    # A gold that can be compared within the limit is a sound one.
    assert statuses[f'{name} gold'] in ('invalid_task', 'wrong'), name
  for name in ('tower', 'digits', 'factorial', 'tower-in-a-tuple'):
    assert statuses[name] == 'timeout', name
  assert statuses['tower gold'] == statuses['digits gold'] == 'invalid_task'
  # Each was let go: those after it had their turn, and no process is left.
  assert statuses['last'] == 'correct'
  assert children() <= before
