# SPDX-License-Identifier: Apache-2.0
"""From a response to a job for a sandbox, and from its report to an outcome."""

import pytest

from srpo_jax.reward.outcome import Outcome
from srpo_jax.reward.program import (
  LIMITS,
  last_program,
  outcome_of,
  plan_program,
  resolve_limits,
)

CALL = {
  'type': 'call',
  'entry_point': 'f',
  'cases': [{'args': [1], 'expected': 2}],
}
STDIO = {'type': 'stdio', 'cases': [{'input': '', 'output': ''}]}
CHECK = {'type': 'check', 'code': 'def check(c): ...', 'entry_point': 'f'}
ASSERT = {'type': 'assert', 'asserts': ['assert f(1) == 2']}
SAT = {'type': 'sat', 'sat': 'def sat(s): ...', 'ans_type': 'str'}


def make_item(answer='```\nx\n```', tests=CALL, **fields):
  response = f'<think>well</think><answer>{answer}</answer>'
  item = {'id': 'a', 'domain': 'code', 'response': response, 'tests': tests}
  return item | fields


@pytest.mark.parametrize(
  ('text', 'program'),
  [
    ('```python\na = 1\n```', 'a = 1\n'),
    ('```\na = 1\n```', 'a = 1\n'),
    ('```Python3 title="x"\na\n```', 'a\n'),
    ('~~~py\na\n~~~', 'a\n'),
    ('so\n```python\nold\n```\nno:\n```python\nnew\n```\ndone', 'new\n'),
    # Other languages are passed over.
    ('```python\na\n```\ngives\n```text\n5\n```', 'a\n'),
    ('```cpp\nint x;\n```', None),
    # A longer fence holds a shorter one; a fence of the other kind is text.
    ('````python\ns = """\n```\n"""\n````', 's = """\n```\n"""\n'),
    ('~~~\na\n```\nb\n~~~', 'a\n```\nb\n'),
    ('- so\n  ```python\n  if a:\n    b\n\n  ```', 'if a:\n  b\n\n'),
    ('```python\r\na\r\nb\r\n```\r\n', 'a\nb\n'),
    ('```\na\n``` ', 'a\n'),
    # Cut short, blank, inline, or no fence at all.
    ('```python\na', None),
    ('```python\na\n```\n```python\nb', None),
    ('```python\na\n``', None),
    ('```python\n  \n```', None),
    ('```python print(1)```', None),
    ('def f(): pass', None),
    ('', None),
  ],
)
def test_last_program(text, program):
  assert last_program(text) == program


def test_the_job():
  plan = plan_program(make_item('Here:\n```python\ndef f(x): ...\n```'))
  assert plan.job == (
    'program',
    {'program': 'def f(x): ...\n', 'tests': CALL, 'limits': LIMITS},
  )
  assert plan.hard_limit_s == 4 * 10 + 10


@pytest.mark.parametrize(
  'response',
  [
    '```python\nx\n```',
    '<think><answer>```\nx\n```</answer></think>',
    '<answer>```\nx\n```',
    '<answer>x</answer>',
  ],
)
def test_programs_stand_in_the_answer(response):
  item = make_item() | {'response': response}
  assert plan_program(item).status == 'no_answer'


def test_tags_and_opened_think():
  response = 'well</t><a>\n```\nx\n```\n</a>'
  fields = {'tags': {'think': 't', 'answer': 'a'}, 'opened_think': True}
  item = make_item(**fields) | {'response': response}
  assert plan_program(item).job[1]['program'] == 'x\n'


@pytest.mark.parametrize(
  ('asked', 'resolved'),
  [
    ({}, {}),
    ({'wall_s': 3}, {'wall_s': 3, 'cpu_s': 3}),
    ({'wall_s': 3, 'cpu_s': 2}, {'wall_s': 3, 'cpu_s': 2}),
    ({'cpu_s': 2}, {'cpu_s': 2}),
    ({'memory_mb': None, 'case_s': 1}, {'case_s': 1}),
  ],
)
def test_limits(asked, resolved):
  assert resolve_limits(asked) == LIMITS | resolved


@pytest.mark.parametrize('tests', [CALL, STDIO, CHECK, ASSERT, SAT])
def test_sound_tests(tests):
  assert plan_program(make_item(tests=tests)).job[1]['tests'] == tests


@pytest.mark.parametrize(
  ('tests', 'field'),
  [
    (None, 'type'),
    ({}, 'type'),
    ({'type': 'chess'}, 'type'),
    ({'type': ['call']}, 'type'),
    (CALL | {'entry_point': ''}, 'entry_point'),
    (CALL | {'cases': []}, 'cases'),
    (CALL | {'cases': [{'args': [1]}]}, 'cases'),
    (CALL | {'cases': [{'args': 1, 'expected': 2}]}, 'cases'),
    (CALL | {'cases': [{'args': [], 'kwargs': [], 'expected': 2}]}, 'cases'),
    (CALL | {'tolerance': -1}, 'tolerance'),
    (CALL | {'tolerance': float('nan')}, 'tolerance'),
    (CALL | {'tolerance': True}, 'tolerance'),
    (CALL | {'prelude': 5}, 'prelude'),
    (STDIO | {'cases': [{'input': 'a'}]}, 'cases'),
    (STDIO | {'cases': [{'input': 'a', 'output': 5}]}, 'cases'),
    (STDIO | {'cases': ['a']}, 'cases'),
    (CHECK | {'code': ' '}, 'code'),
    (CHECK | {'entry_point': None}, 'entry_point'),
    (ASSERT | {'asserts': []}, 'asserts'),
    (ASSERT | {'asserts': 'assert f'}, 'asserts'),
    (ASSERT | {'challenge': [5]}, 'challenge'),
    (ASSERT | {'setup': []}, 'setup'),
    (ASSERT | {'in_place': 1}, 'in_place'),
    (SAT | {'ans_type': None}, 'ans_type'),
    (SAT | {'sol_header': 5}, 'sol_header'),
  ],
)
def test_tests_that_cannot_run(tests, field):
  # Whatever the response is.
  for answer in ('```\nx\n```', ''):
    outcome = plan_program(make_item(answer, tests))
    assert outcome.status == 'invalid_task'
    assert f'tests.{field} ' in outcome.detail


def make_report(status='correct', passed=2, total=2):
  return {
    'status': status,
    'passed': passed,
    'total': total,
    'detail': 'why',
    'seconds': 0.5,
  }


@pytest.mark.parametrize(
  ('report', 'outcome'),
  [
    (make_report(), Outcome('correct', 'why', 0.5, 1.0)),
    (make_report('wrong', 1, 4), Outcome('wrong', 'why', 0.5, 0.25)),
    (make_report('timeout', 0, 0), Outcome('timeout', 'why', 0.5, 0.0)),
    (make_report('invalid_task', 0, 0), Outcome('invalid_task', 'why', 0.5)),
    (make_report('unavailable', 1, 2), Outcome('unavailable', 'why', 0.5)),
  ],
)
def test_reports(report, outcome):
  assert outcome_of(report) == outcome


@pytest.mark.parametrize(
  'report',
  [make_report(passed=1), make_report(passed=0, total=0), make_report('great')],
)
def test_reports_that_cannot_be(report):
  assert outcome_of(report).status == 'sandbox_error'
