# SPDX-License-Identifier: Apache-2.0
"""Named verifiers; reasoning-gym's give nothing for containing the answer."""

import json
import re
from pathlib import Path

import pytest

from srpo_jax.reward.verifiers import OURS, Verifiers, load_modules

TASKS = (
  'gcd',
  'lcm',
  'chain_sum',
  'basic_arithmetic',
  'letter_counting',
  'spell_backward',
  'simple_equations',
  'count_bits',
  'number_sequence',
  'base_conversion',
)


@pytest.fixture(scope='module')
def verifiers():
  pytest.importorskip('reasoning_gym')
  return Verifiers()


def gym_items(task: str, count: int = 20) -> list[dict]:
  """Items of a task, as they come over the wire."""
  import reasoning_gym

  dataset = reasoning_gym.create_dataset(task, size=count, seed=3)
  # base_conversion writes 0 as an empty text, which is no task.
  entries = [entry for entry in dataset if entry['answer']]
  items = [{'tests': {'type': 'verifier', 'entry': each}} for each in entries]
  return json.loads(json.dumps(items))


@pytest.mark.parametrize('task', TASKS)
def test_gym_accepts_its_gold_and_nothing_around_it(verifiers, task):
  name = f'reasoning_gym/{task}'
  for item in gym_items(task):
    gold = item['tests']['entry']['answer']
    assert verifiers.check(name, item) == ''
    assert verifiers.verify(name, gold, item) == (True, '')
    for answer in (
      f'the answer is {gold}',
      f'The answer is {gold}.',
      f'{gold} {gold}',
      f'{gold}x',
      f'x{gold}',
      'junk',
      '',
      'nan',
      '1e999999',
      '(' * 1000,
      '\x00',
    ):
      assert verifiers.verify(name, answer, item)[0] is False, answer


def test_partial_score_above_one_is_wrong(verifiers):
  # spell_backward adds 1/9 nine times for an answer that starts with the
  # gold, which makes 1.0000000000000002.
  entry = {'question': '', 'answer': 'relaedbus', 'metadata': {}}
  item = {'tests': {'entry': entry}}
  name = 'reasoning_gym/spell_backward'
  assert verifiers.verify(name, 'relaedbus', item) == (True, '')
  assert verifiers.verify(name, 'relaedbusx', item) == (False, '')


@pytest.mark.parametrize(
  ('name', 'item', 'words'),
  [
    ('reasoning_gym/gcd', {}, 'tests.entry'),
    ('reasoning_gym/gcd', {'tests': {'entry': {}}}, 'answer'),
    ('reasoning_gym/gcd', {'tests': {'entry': {'answer': ''}}}, 'refuses'),
    ('reasoning_gym/nothing', {'tests': {'entry': {}}}, 'not registered'),
    ('nothing', {}, "no verifier is named 'nothing'"),
  ],
)
def test_unsound_tasks_are_said(verifiers, name, item, words):
  assert words in verifiers.check(name, item)


@pytest.mark.parametrize(
  ('answer', 'expected'),
  [
    ('2,3', True),
    (' 3 , 2 ', True),
    ('1,6', False),
    ('6,-1', False),
    ('2,3,1', False),
    ('2 3', False),
    ('the answer is 2,3', False),
    ('2.0,3.0', False),
    ('٢,٣', False),
    ('', False),
    ('9' * 10_000 + ',1', False),
  ],
)
def test_pair(answer, expected):
  verify, check = OURS['pair']
  item = {'tests': {'entry': {'sum': 5, 'product': 6}}}
  assert check(item) == ''
  assert verify(answer, item) is expected


def test_pair_with_zero_is_not_positive():
  verify, check = OURS['pair']
  item = {'tests': {'entry': {'sum': 5, 'product': 0}}}
  assert 'no two positive' in check(item)
  assert verify('5,0', item) is False


@pytest.mark.parametrize(
  'tests',
  [
    None,
    {},
    {'entry': 5},
    {'entry': {}},
    {'entry': {'sum': '5', 'product': 6}},
    {'entry': {'sum': True, 'product': 6}},
    {'entry': {'sum': 5, 'product': 7}},
    {'entry': {'sum': -5, 'product': 6}},
  ],
)
def test_pair_refuses_unsound_entries(tests):
  assert OURS['pair'][1]({'tests': tests}) != ''


def test_module_of_a_researcher(verifier_module, monkeypatch):
  name, folder = verifier_module
  monkeypatch.syspath_prepend(folder)
  known = Verifiers([name])
  assert known.verify('loud', '5', {'answer': '5'}) == (True, '')
  assert known.verify('loud', '6', {'answer': '5'}) == (False, '')
  assert known.verify('half', '5', {}) == (False, '')
  right, detail = known.verify('raises', '5', {})
  assert not right
  assert "KeyError('junk')" in detail
  assert known.check('loud', {'answer': ['5']}) == ''
  assert 'refuses' in known.check('half', {'answer': '5'})
  assert 'junk' in known.check('raises', {'answer': '5'})
  assert known.check('raises', {}) == ''


@pytest.mark.parametrize(
  ('text', 'words'),
  [
    ('', 'has no attribute'),
    ('VERIFIERS = [1]', 'must be a dict'),
    ('VERIFIERS = {"a": 1}', 'must be a dict'),
    ('VERIFIERS = {"pair": print}', 'taken'),
    ('1/0', 'ZeroDivisionError'),
  ],
)
def test_wrong_modules(tmp_path, monkeypatch, text, words):
  name = f'wrong_{abs(hash(text))}'
  (tmp_path / f'{name}.py').write_text(text)
  monkeypatch.syspath_prepend(tmp_path)
  with pytest.raises(ValueError, match=words):
    load_modules([name])


def test_entry_points(tmp_path, monkeypatch):
  (tmp_path / 'plugin_of_mine.py').write_text('def f(a, item): return a == "7"')
  info = tmp_path / 'plugin_of_mine-1.dist-info'
  info.mkdir()
  (info / 'METADATA').write_text('Name: plugin_of_mine\nVersion: 1\n')
  (info / 'entry_points.txt').write_text(
    '[srpo_jax.verifiers]\nseven = plugin_of_mine:f\nlost = plugin_of_mine:g\n'
  )
  monkeypatch.syspath_prepend(tmp_path)
  known = Verifiers()
  assert known.names() == ['lost', 'pair', 'seven']
  assert known.verify('seven', '7', {}) == (True, '')
  assert 'lost' in known.check('lost', {})


DOCS = Path(__file__).parents[2] / 'docs' / 'reward.md'


def test_the_example_of_the_docs_works(tmp_path, monkeypatch):
  blocks = re.findall(r'```python\n(.*?)```', DOCS.read_text(), re.DOTALL)
  (example,) = [block for block in blocks if 'VERIFIERS =' in block]
  (tmp_path / 'example_of_the_docs.py').write_text(example)
  monkeypatch.syspath_prepend(tmp_path)
  known = Verifiers(['example_of_the_docs'])
  tests = {'type': 'verifier', 'entry': {'length': 3}}
  item = {'tests': tests, 'answer': 'aba'}
  assert known.check('palindrome', item) == ''
  assert known.verify('palindrome', 'bcb', item) == (True, '')
  assert known.verify('palindrome', 'abc', item) == (False, '')
  assert known.verify('palindrome', 'abba', item) == (False, '')
  assert 'refuses' in known.check('palindrome', item | {'answer': 'abc'})


def test_the_entry_point_of_the_docs_names_our_group():
  assert '[project.entry-points."srpo_jax.verifiers"]' in DOCS.read_text()
