# SPDX-License-Identifier: Apache-2.0
"""Every task's answer, derivation and slip; who may see which question."""

import collections
import math
import re

import numpy as np
import pytest

from srpo_jax.data.tasks import gym, mathematics, sampling, words
from srpo_jax.data.tasks.catalog import (
  CODE,
  EMBEDDED_CODE,
  EMBEDDED_MATH,
  MATHEMATICS,
  TASKS,
)
from srpo_jax.data.tasks.problem import Problem, held_out
from srpo_jax.data.tasks.solutions import worked_solution

DRAWS = 60


def drawn(level: str, count: int = DRAWS) -> list[Problem]:
  rng = np.random.default_rng(7)
  return [TASKS[level](rng) for _ in range(count)]


def numbers_in(question: str) -> list[int]:
  return [int(n) for n in re.findall(r'\d+', question)]


# The answer of a question computed another way: from the text alone.
SOLVERS = {
  'binary': lambda q: bin(numbers_in(q)[0])[2:],
  'power': lambda q: math.prod([numbers_in(q)[0]] * numbers_in(q)[1]),
  'mod': lambda q: math.fmod(*numbers_in(q)),
  'sort3': lambda q: ' '.join(sorted(q.split()[1:])),
  'sort5': lambda q: ' '.join(sorted(q.split()[1:])),
  'reverse4': lambda q: ''.join(reversed(q.split()[1])),
  'reverse8': lambda q: ''.join(reversed(q.split()[1])),
  'count': lambda q: len(re.findall(q.split()[1], q.split()[3])),
  'max': lambda q: sorted(numbers_in(q))[-1],
  'linear': lambda q: (numbers_in(q)[2] - numbers_in(q)[1]) / numbers_in(q)[0],
  'gym_gcd': lambda q: math.gcd(*numbers_in(q)),
  'gym_count_bits': lambda q: numbers_in(q)[1].bit_count(),
  'gym_spell_backward': lambda q: q.split()[-1][::-1],
  'gym_chain_sum': lambda q: sum(
    int(n.replace(' ', '')) for n in re.findall(r'-? ?\d+', q)
  ),
  'gym_letter_counting': lambda q: (
    q.split('text: ')[1].lower().count(q.split('"')[1])
  ),
}
ARITHMETIC = [
  *('add1', 'add2', 'add3', 'add5', 'sub2', 'sub4'),
  *('mul1', 'mul2', 'mul22', 'chain3', 'chain4'),
]


@pytest.mark.parametrize('level', [*SOLVERS, *ARITHMETIC])
def test_answer_follows_from_the_question(level):
  for problem in drawn(level):
    solve = SOLVERS.get(level, eval)
    expected = solve(problem.question)
    if isinstance(expected, float):
      expected = int(expected)
    assert problem.answer == str(expected), problem.question


def test_fraction_sums_and_pairs():
  for problem in drawn('fraction_sum'):
    over, _, under = problem.answer.partition('/')
    value = int(over) / int(under or 1)
    assert value == pytest.approx(eval(problem.question))
    assert math.gcd(int(over), int(under or 1)) == 1
  for problem in drawn('pair'):
    total, product = numbers_in(problem.question)
    a, b = map(int, problem.answer.split(','))
    assert (a + b, a * b) == (total, product)


@pytest.mark.parametrize('level', MATHEMATICS)
def test_steps_end_in_the_answer_and_slips_do_not(level):
  for problem in drawn(level):
    ending = re.compile(rf'(^|[ ,=]){re.escape(problem.answer)}$')
    assert ending.search(problem.steps), problem
    assert problem.slip != problem.steps, problem
    assert not ending.search(problem.slip), problem


@pytest.mark.parametrize('level', MATHEMATICS)
def test_every_equation_of_the_steps_holds(level):
  sides = r'[\d+*/ -]*\d[+*/-]\d[\d+*/-]*'
  for problem in drawn(level):
    for left, right in re.findall(
      rf'(?<![\w=:,])({sides})=(-?\d+)(?![\d/*])', problem.steps
    ):
      assert eval(left.strip().replace(' ', '+0+')) == int(right), problem


@pytest.mark.parametrize('level', ['add1', 'add2', 'add3', 'add5', 'sub4'])
def test_columns_put_together_are_the_answer(level):
  for problem in drawn(level):
    *low, high = re.findall(r'=(\d+)', problem.steps)
    digits = high + ''.join(column[-1] for column in reversed(low))
    assert str(int(digits)) == problem.answer, problem


def call(body: str, argument: str, value):
  return eval(f'lambda {argument}: {body}')(value)


@pytest.mark.parametrize('level', CODE)
def test_programs_pass_their_cases_and_slips_fail_one(level):
  for problem in drawn(level):
    argument = problem.question[2]
    cases = problem.tests['cases']
    assert len(cases) == 5
    answers = [call(problem.steps, argument, *c['args']) for c in cases]
    assert answers == [c['expected'] for c in cases], problem
    wrong = [call(problem.slip, argument, *c['args']) for c in cases]
    assert wrong != answers, problem
    assert problem.answer == (
      f'```python\ndef f({argument}):\n  return {problem.steps}\n```'
    )


def test_columns_by_hand():
  assert mathematics._add_columns(47, 38, 0) == '7+8=15 4+3+1=8 85'
  assert mathematics._subtract_columns(83, 47, 0) == '13-7=6 8-1-4=3 36'
  assert (
    mathematics._subtract_columns(105, 9, 0) == '15-9=6 10-1-0=9 1-1-0=0 96'
  )
  assert mathematics.halvings(13, 0) == ('13:1 6:0 3:1 1:1', '1101')
  assert words.running_count('banana', 'a', 0) == 'b0 a1 n1 a2 n2 a3 3'


def test_solutions_in_three_styles():
  problem = Problem('7+8', '15', 'numeric', None, 'good', 'bad', 'x', 'math')
  end = '</think><answer>15</answer>'
  assert worked_solution(problem, 'steps') == f'good{end}'
  assert worked_solution(problem, 'guess') == end
  assert worked_solution(problem, 'retry') == f'bad wait, check: good{end}'


def test_train_and_test_share_no_question():
  counts = EMBEDDED_MATH | EMBEDDED_CODE
  train = sampling.train_problems(0, {k: n for k, (n, _) in counts.items()})
  test = sampling.test_problems(5, {k: n for k, (_, n) in counts.items()})
  assert {p.question for p in train}.isdisjoint(p.question for p in test)
  for problems, column in ((train, 0), (test, 1)):
    per_level = collections.Counter(p.level for p in problems)
    assert per_level == {k: n[column] for k, n in counts.items()}
    assert len({p.question for p in problems}) == len(problems)


def test_corpus_is_reproducible_and_holds_no_held_out_question():
  pairs = list(sampling.corpus(3, 4000))
  assert pairs == list(sampling.corpus(3, 4000))
  assert pairs != list(sampling.corpus(4, 4000))
  assert not any(held_out(question) for question, _ in pairs)


def test_about_one_solution_in_twenty_checks_and_retries():
  solutions = [s for _, s in sampling.corpus(0, 4000)]
  retries = sum('wait, check:' in s for s in solutions) / len(solutions)
  guesses = sum(s.startswith('</think>') for s in solutions) / len(solutions)
  # Four standard deviations of a share of 4000 draws.
  assert retries == pytest.approx(0.05, abs=0.014)
  assert guesses == pytest.approx(0.20, abs=0.026)


def test_corpus_weights_choose_tasks_and_styles():
  pairs = list(sampling.corpus(0, 50, {'guess': 1.0}, {'max': 2.0}))
  assert all(q.startswith('max ') for q, _ in pairs)
  assert all(s.startswith('</think>') for _, s in pairs)
  with pytest.raises(ValueError, match='hop'):
    next(sampling.corpus(0, 1, {'hop': 1.0}))


def test_more_questions_than_there_are_is_refused():
  with pytest.raises(ValueError, match=r'add1: found .* of the 200'):
    sampling.train_problems(0, {'add1': 200})


def test_there_are_more_than_twenty_levels_from_trivial_to_hard():
  assert len(EMBEDDED_MATH) > 20
  assert set(EMBEDDED_MATH) <= set(MATHEMATICS)
  assert {'add1', 'mul22', 'pair'} <= set(EMBEDDED_MATH)
  assert {f'gym_{name}' for name in gym.SETTINGS} <= set(MATHEMATICS)
