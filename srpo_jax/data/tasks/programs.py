# SPDX-License-Identifier: Apache-2.0
"""Code tasks: a question in words, answered by a Python function of one line.

Six families over integers, lists and strings; compositions.py makes harder ones
of them. A program is judged by calling
it on cases that the question does not show; the cases are made here by our
own Python functions, never by running text.
"""

from collections.abc import Callable

import numpy as np

from srpo_jax.data.tasks.problem import Problem, draw
from srpo_jax.data.tasks.words import ALPHABET

CASES = 5


def _program(argument: str, body: str) -> str:
  return f'```python\ndef f({argument}):\n  return {body}\n```'


def code_problem(
  level: str,
  argument: str,
  words: str,
  body: str,
  slip: str,
  function: Callable,
  inputs: list,
) -> Problem:
  cases = [{'args': [x], 'expected': function(x)} for x in inputs]
  return Problem(
    question=f'f({argument}): {words}',
    answer=_program(argument, body),
    match='equivalence',  # not read for code: the tests decide
    tests={'type': 'call', 'entry_point': 'f', 'cases': cases},
    steps=body,
    slip=slip,
    level=level,
    domain='code',
  )


def integers(rng: np.random.Generator) -> list[int]:
  # 0 and a negative number are always there: constants and abs() fail.
  return [0, -draw(rng, 1, 20), *(draw(rng, 1, 50) for _ in range(CASES - 2))]


def lists(rng: np.random.Generator) -> list[list[int]]:
  lengths = [1, 3, 4, 5, 6]
  return [[draw(rng, -9, 20) for _ in range(n)] for n in lengths]


def strings(rng: np.random.Generator) -> list[str]:
  def word(length: int) -> str:
    return ''.join(ALPHABET[draw(rng, 0, 25)] for _ in range(length))

  return [word(n) for n in (1, 3, 4, 5, 7)]


def affine(rng: np.random.Generator) -> Problem:
  """'x times 3 plus 2'."""
  a, b, sign = draw(rng, 2, 9), draw(rng, 1, 9), draw(rng, 0, 1) * 2 - 1
  verb, mark, other = ('plus', '+', '-') if sign > 0 else ('minus', '-', '+')
  return code_problem(
    'code_affine',
    'x',
    f'x times {a} {verb} {b}',
    f'x*{a}{mark}{b}',
    f'x*{a}{other}{b}',
    lambda x: x * a + sign * b,
    integers(rng),
  )


def product_of_sum(rng: np.random.Generator) -> Problem:
  """'x plus 2, all times 3': the brackets matter."""
  a, b = draw(rng, 1, 9), draw(rng, 2, 9)
  return code_problem(
    'code_brackets',
    'x',
    f'x plus {a}, all times {b}',
    f'(x+{a})*{b}',
    f'x+{a}*{b}',
    lambda x: (x + a) * b,
    integers(rng),
  )


FOLDS = (
  ('sum', 'sum', sum),
  ('largest', 'max', max),
  ('smallest', 'min', min),
  ('length', 'len', len),
)


def fold(rng: np.random.Generator) -> Problem:
  """'sum of a times 3'."""
  word, name, function = FOLDS[draw(rng, 0, 3)]
  times = draw(rng, 0, 1)
  b = draw(rng, 2, 9)
  verb, mark = ('times', '*') if times else ('plus', '+')
  wrong = FOLDS[draw(rng, 0, 2)][1]
  wrong = wrong if wrong != name else 'len'
  return code_problem(
    'code_fold',
    'a',
    f'{word} of a {verb} {b}',
    f'{name}(a){mark}{b}',
    f'{wrong}(a){mark}{b}',
    lambda a: function(a) * b if times else function(a) + b,
    lists(rng),
  )


def each(rng: np.random.Generator) -> Problem:
  """'each of a times 3 plus 1'."""
  a, b = draw(rng, 2, 9), draw(rng, 1, 9)
  return code_problem(
    'code_each',
    'a',
    f'each of a times {a} plus {b}',
    f'[x*{a}+{b} for x in a]',
    f'[x+{a}*{b} for x in a]',
    lambda row: [x * a + b for x in row],
    lists(rng),
  )


def keep(rng: np.random.Generator) -> Problem:
  """'items of a over 4, each plus 1'."""
  limit, b, over = draw(rng, 0, 9), draw(rng, 1, 9), draw(rng, 0, 1)
  word, mark, other = ('over', '>', '<') if over else ('under', '<', '>')
  return code_problem(
    'code_keep',
    'a',
    f'items of a {word} {limit}, each plus {b}',
    f'[x+{b} for x in a if x{mark}{limit}]',
    f'[x+{b} for x in a if x{other}{limit}]',
    lambda row: [x + b for x in row if (x > limit if over else x < limit)],
    lists(rng),
  )


TEXTS = (
  ('s', 's', lambda s: s),
  ('s reversed', 's[::-1]', lambda s: s[::-1]),
  ('s in capitals', 's.upper()', lambda s: s.upper()),
)


def text(rng: np.random.Generator) -> Problem:
  """'s reversed 3 times then "b"'."""
  words, body, function = TEXTS[draw(rng, 0, 2)]
  times, letter = draw(rng, 2, 5), ALPHABET[draw(rng, 0, 25)]
  end = f'"{letter}"'
  return code_problem(
    'code_text',
    's',
    f'{words} {times} times then {end}',
    f'{body}*{times}+{end}',
    f'{end}+{body}*{times}',
    lambda s: function(s) * times + letter,
    strings(rng),
  )
