# SPDX-License-Identifier: Apache-2.0
"""Gold answers of GSM8K and AQuA: equal to themselves and to no other."""

import asyncio
import functools
import json
import lzma
import random
from pathlib import Path

import pytest

from srpo_jax.reward.judge import Judge
from srpo_jax.reward.mathematics import at_a_glance, is_plain, parse_number
from srpo_jax.reward.pool import Pool, start_worker

DATA = Path(__file__).parents[3] / 'shared' / 'data'


def rows_of(name: str) -> list[dict]:
  """The rows of a shared file; skips the test where it is not here."""
  path = DATA / f'{name}.jsonl.xz'
  if not path.exists():
    pytest.skip(f'{path} is not on this machine')
  with lzma.open(path, 'rt') as lines:
    return [json.loads(line) for line in lines]


def shuffled(values: list[str]) -> list[str]:
  """Other answers, one for each."""
  return random.Random(7).sample(values, len(values))


@pytest.mark.parametrize('name', ['gsm8k_train', 'gsm8k_test'])
def test_gsm8k_golds(name):
  golds = [row['answer'] for row in rows_of(name)]
  assert len(golds) > 1000
  assert all(map(is_plain, golds))
  assert all(at_a_glance(gold, True, gold) for gold in golds)
  for gold, other in zip(golds, shuffled(golds), strict=True):
    equal = parse_number(gold) == parse_number(other)
    assert at_a_glance(other, True, gold) is equal


@pytest.mark.parametrize(
  'dress',
  ['\\${}', '${}$', '{}.', '{}.00', '\\text{{{}}}', '{} dollars', '\\$ {}'],
)
def test_gsm8k_golds_in_other_dress(dress):
  golds = [row['answer'] for row in rows_of('gsm8k_test')]
  whole = [gold for gold in golds if '.' not in gold]
  for gold, other in zip(whole, shuffled(whole), strict=True):
    with_commas = f'{int(gold):,}'
    assert at_a_glance(dress.format(with_commas), True, gold), gold
    equal = int(gold) == int(other)
    assert at_a_glance(dress.format(other), True, gold) is equal


def judge_all(items: list[dict]) -> list[str]:
  """Statuses of the items, from one pool of real workers."""

  async def run() -> list[str]:
    pool = Pool(functools.partial(start_worker, ()), workers=2)
    pool.start()
    try:
      stream = Judge(pool.run).stream(items, budget_s=600)
      found = {index: each['status'] async for index, each in stream}
    finally:
      await pool.close()
    return [found[index] for index in range(len(items))]

  return asyncio.run(run())


def item(answer: str, gold: str) -> dict:
  response = f'<think>a</think><answer>{answer}</answer>'
  limits = {'wall_s': 30}
  fields = {'response': response, 'answer': gold, 'limits': limits}
  return {'id': '', 'domain': 'math', **fields}


def test_gsm8k_golds_through_math_verify():
  golds = shuffled([row['answer'] for row in rows_of('gsm8k_test')])[:20]
  items, expected = [], []
  for gold in golds:
    value = f'{int(gold):,}' if gold.isdigit() else gold
    for answer, status in (
      (f'\\boxed{{x = {value}}}', 'correct'),
      (f'so it is $\\frac{{2 \\cdot {value}}}{{2}}$ in all', 'correct'),
      (f'\\boxed{{{value} + 1}}', 'wrong'),
      (f'\\boxed{{{value}x}}', 'wrong'),
    ):
      items.append(item(answer, gold))
      expected.append(status)
  assert judge_all(items) == expected


def test_aqua_letters():
  rows = rows_of('aqua_dev')
  for row in rows:
    gold = row['answer']
    assert is_plain(gold)
    for letter in 'ABCDE':
      for dress in ('{}', '({})', '{})', '{}.', '\\text{{({})}}', '({}) 12'):
        given = at_a_glance(dress.format(letter), True, gold)
        assert given is (letter == gold), (row['id'], dress, letter)
