# SPDX-License-Identifier: Apache-2.0
"""One item to one result; workers stand in as plain functions."""

import asyncio

import pytest

from srpo_jax.reward.judge import Judge
from srpo_jax.reward.outcome import Outcome
from srpo_jax.reward.plan import Ask, plan
from srpo_jax.reward.pool import Reply


def judge_all(items, ask=None, budget_s=60.0):
  """Results in the order in which they come, by index."""

  async def run():
    stream = Judge(ask).stream(items, budget_s)
    return {index: result async for index, result in stream}

  return asyncio.run(run())


@pytest.mark.parametrize(
  ('answer', 'gold', 'match', 'status'),
  [
    ('5', '5', 'exact', 'correct'),
    (' 5 ', '5', 'exact', 'correct'),
    ('5.0', '5', 'exact', 'wrong'),
    ('b', ['a', 'b'], 'exact', 'correct'),
    ('5.0', '5', 'numeric', 'correct'),
    ('1,000', '1000', 'numeric', 'correct'),
    ('0.3333333333', '1/3', 'numeric', 'wrong'),
    ('many', '5', 'numeric', 'wrong'),
    ('5', 'many', 'numeric', 'invalid_task'),
    ('5', ['5', 'many'], 'numeric', 'invalid_task'),
    ('', 'many', 'numeric', 'invalid_task'),
    ('5', ' ', 'exact', 'invalid_task'),
    ('', '5', 'exact', 'no_answer'),
    ('', '5', 'numeric', 'no_answer'),
    ('', '5', 'equivalence', 'no_answer'),
    # Equivalence of numbers and of words needs no worker.
    ('\\boxed{5.0}', '5', 'equivalence', 'correct'),
    ('6', '5', 'equivalence', 'wrong'),
    ('\\boxed{abc}', 'abc', 'equivalence', 'correct'),
    ('\\boxed{cba}', 'abc', 'equivalence', 'wrong'),
    ('\\boxed{c \\cdot b a}', 'abc', 'equivalence', 'wrong'),
    ('\\boxed{on}', 'no', 'equivalence', 'wrong'),
    ('\\boxed{\\text{Yes}}', 'yes', 'equivalence', 'correct'),
  ],
)
def test_decided_at_once(item, answer, gold, match, status):
  assert plan(item(answer, gold, match=match)).status == status


def test_equivalence_asks_what_is_open(item):
  step = plan(item('\\boxed{x+1}', ['1+x', '7', 'red']))
  assert step == Ask(
    ('check_golds', ['1+x']), ('equivalent', 'x+1', True, ['1+x', '7'])
  )
  # Two numbers have been compared; the sound golds need no check.
  assert plan(item('2+2', '4')) == Ask(
    None, ('equivalent', '2+2', False, ['4'])
  )
  # The task is checked whatever the response is.
  check = ('check_golds', ['1+x'])
  assert plan(item('', '1+x')) == Ask(check, Outcome('no_answer'))
  assert plan(item('7', ['1+x', '7'])) == Ask(check, Outcome('correct'))


def test_long_answers_cost_no_worker(item):
  assert plan(item('x' + '+x' * 5000, '4')).status == 'wrong'


def test_verifier_sees_the_item(item):
  tests = {'type': 'verifier', 'entry': {'answer': '5'}}
  own = item('5', match='verifier:mine', tests=tests)
  step = plan(own)
  assert step.then == ('verify', 'mine', '5', own)
  assert step.check[1] == 'mine'
  assert 'response' not in step.check[2]
  gym = plan(item('5', match='verifier:reasoning_gym/gcd', tests=tests))
  assert gym.then == ('verify', 'reasoning_gym/gcd', '5', {'tests': tests})


def test_pair_is_decided_at_once(item):
  tests = {'type': 'verifier', 'entry': {'sum': 5, 'product': 6}}
  fields = {'match': 'verifier:pair', 'tests': tests}
  assert plan(item('2,3', **fields)).status == 'correct'
  assert plan(item('1,4', **fields)).status == 'wrong'
  assert plan(item('', **fields)).status == 'no_answer'
  unsound = fields | {'tests': {'entry': {'sum': 5, 'product': 7}}}
  assert plan(item('', **unsound)).status == 'invalid_task'


def test_result_has_every_field(item):
  (result,) = judge_all([item('5', id='q')]).values()
  assert result == {
    'id': 'q',
    'status': 'correct',
    'accuracy': 1,
    'passed_share': 1.0,
    'format': 1,
    'language_mixing': 0,
    'seconds': 0.0,
    'detail': '',
  }


PROGRAM = {
  'domain': 'code',
  'tests': {
    'type': 'call',
    'entry_point': 'f',
    'cases': [{'args': [1], 'expected': 2}],
  },
}
FENCED = '\n```python\ndef f(x): ...\n```\n'


def make_report(status, passed=0, total=2):
  return Reply(
    'value',
    {
      'status': status,
      'passed': passed,
      'total': total,
      'detail': status,
      'seconds': 0.25,
    },
  )


def judge_code(item, replies):
  """The result of a program, and the jobs that it took."""
  asked = []

  async def ask_program(job, limit_s):
    asked.append((job, limit_s))
    return replies[len(asked) - 1]

  async def run():
    stream = Judge(None, ask_program).stream([item(FENCED, **PROGRAM)])
    return [result async for _, result in stream]

  (result,) = asyncio.run(run())
  return result, asked


def test_code_needs_a_sandbox(item):
  (result,) = judge_all([item(FENCED, **PROGRAM)]).values()
  assert result['status'] == 'sandbox_error'
  assert result['accuracy'] is None
  assert result['passed_share'] is None
  assert 'sandbox' in result['detail']
  assert result['format'] == 1


def test_the_refusal_is_said(item):
  async def run():
    judge = Judge(None, refusal='no bubblewrap')
    stream = judge.stream([item(FENCED, **PROGRAM)])
    return [result async for _, result in stream]

  (result,) = asyncio.run(run())
  assert result['detail'] == 'no bubblewrap'


@pytest.mark.parametrize(
  ('reply', 'status', 'accuracy', 'share'),
  [
    (make_report('correct', 2), 'correct', 1, 1.0),
    (make_report('wrong', 1), 'wrong', 0, 0.5),
    (make_report('timeout', 1), 'timeout', 0, 0.5),
    (make_report('invalid_task'), 'invalid_task', None, None),
    (Reply('timeout', detail='50 s'), 'unavailable', None, None),
  ],
)
def test_reports_become_results(item, reply, status, accuracy, share):
  result, asked = judge_code(item, [reply])
  assert result['status'] == status
  assert result['accuracy'] == accuracy
  assert result['passed_share'] == share
  ((job, limit_s),) = asked
  assert job[0] == 'program'
  assert job[1]['tests'] == PROGRAM['tests']
  assert limit_s == 50


@pytest.mark.parametrize(
  'first', [make_report('unavailable'), Reply('unavailable', detail='died')]
)
def test_contention_is_tried_once_more(item, first):
  result, asked = judge_code(item, [first, make_report('correct', 2)])
  assert result['status'] == 'correct'
  assert len(asked) == 2
  result, asked = judge_code(item, [first, first])
  assert result['status'] == 'unavailable'
  assert result['accuracy'] is None
  assert len(asked) == 2


@pytest.mark.parametrize(
  ('check', 'question', 'status'),
  [
    (Reply('value', ''), Reply('value', (True, '')), 'correct'),
    (Reply('value', ''), Reply('value', (False, 'why')), 'wrong'),
    (Reply('value', ''), Reply('timeout', detail='5 s'), 'timeout'),
    (Reply('value', ''), Reply('memory', detail='4 GiB'), 'memory'),
    (Reply('value', ''), Reply('unavailable', detail='died'), 'unavailable'),
    (Reply('value', 'unreadable'), None, 'invalid_task'),
    (Reply('timeout', detail='5 s'), None, 'invalid_task'),
    (Reply('memory', detail='4 GiB'), None, 'invalid_task'),
    (Reply('unavailable', detail='died'), None, 'unavailable'),
  ],
)
def test_replies_become_statuses(item, check, question, status):
  async def ask(job, limit_s):
    assert limit_s == 2.0
    return check if job[0] == 'check_golds' else question

  task = item('x', '1+x', limits={'wall_s': 2})
  (result,) = judge_all([task], ask).values()
  assert result['status'] == status
  judged = status not in ('invalid_task', 'unavailable')
  assert (result['accuracy'] is not None) is judged


def test_what_is_not_done_within_the_budget_is_masked(item):
  async def ask(job, limit_s):
    await asyncio.sleep(3600 if 'late' in str(job) else 0)
    return Reply('value', '' if job[0] == 'check_golds' else (True, ''))

  items = [item('late'), item('x', '1+x'), item('5')]
  results = judge_all(items, ask, budget_s=0.5)
  assert [results[i]['status'] for i in range(3)] == [
    'unavailable',
    'correct',
    'correct',
  ]
