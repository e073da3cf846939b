# SPDX-License-Identifier: Apache-2.0
"""Code tasks of two or three operations: harder, and as short to write.

Eight families. A derivation is the expression itself: in code, thinking aloud
saves no work, so that natural solutions are short.
"""

import numpy as np

from srpo_jax.data.tasks.problem import Problem, draw
from srpo_jax.data.tasks.programs import (
  FOLDS,
  TEXTS,
  code_problem,
  integers,
  lists,
  strings,
)
from srpo_jax.data.tasks.words import ALPHABET


def twice(rng: np.random.Generator) -> Problem:
  """'x times 3 plus 2, all times 4'."""
  a, b, c = draw(rng, 2, 9), draw(rng, 1, 9), draw(rng, 2, 9)
  return code_problem(
    'code_twice',
    'x',
    f'x times {a} plus {b}, all times {c}',
    f'(x*{a}+{b})*{c}',
    f'(x*{a}+{b})+{c}',
    lambda x: (x * a + b) * c,
    integers(rng),
  )


def choice(rng: np.random.Generator) -> Problem:
  """'x times 3 if x over 5, else x plus 2'."""
  a, limit, b = draw(rng, 2, 9), draw(rng, 1, 9), draw(rng, 1, 9)
  return code_problem(
    'code_choice',
    'x',
    f'x times {a} if x over {limit}, else x plus {b}',
    f'x*{a} if x>{limit} else x+{b}',
    f'x*{a} if x<{limit} else x+{b}',
    lambda x: x * a if x > limit else x + b,
    integers(rng),
  )


def two_folds(rng: np.random.Generator) -> Problem:
  """'3 times sum of a plus length of a'."""
  word, name, function = FOLDS[draw(rng, 0, 3)]
  other_word, other_name, other = FOLDS[draw(rng, 0, 3)]
  b, sign = draw(rng, 2, 9), draw(rng, 0, 1) * 2 - 1
  verb, mark, wrong = ('plus', '+', '-') if sign > 0 else ('minus', '-', '+')
  return code_problem(
    'code_two_folds',
    'a',
    f'{b} times {word} of a {verb} {other_word} of a',
    f'{b}*{name}(a){mark}{other_name}(a)',
    f'{b}*{name}(a){wrong}{other_name}(a)',
    lambda a: b * function(a) + sign * other(a),
    lists(rng),
  )


def each_kept(rng: np.random.Generator) -> Problem:
  """'items of a over 4, each times 3 minus 1'."""
  limit, b, c = draw(rng, 0, 9), draw(rng, 2, 9), draw(rng, 1, 9)
  return code_problem(
    'code_each_kept',
    'a',
    f'items of a over {limit}, each times {b} minus {c}',
    f'[x*{b}-{c} for x in a if x>{limit}]',
    f'[x*{b}+{c} for x in a if x<{limit}]',
    lambda row: [x * b - c for x in row if x > limit],
    lists(rng),
  )


def fold_kept(rng: np.random.Generator) -> Problem:
  """'sum of items of a over 4, plus 3'."""
  word, name, function = FOLDS[3 * draw(rng, 0, 1)]
  limit, b, over = draw(rng, 0, 9), draw(rng, 1, 9), draw(rng, 0, 1)
  side, mark, other = ('over', '>', '<') if over else ('under', '<', '>')
  return code_problem(
    'code_fold_kept',
    'a',
    f'{word} of items of a {side} {limit}, plus {b}',
    f'{name}([x for x in a if x{mark}{limit}])+{b}',
    f'{name}([x for x in a if x{other}{limit}])+{b}',
    lambda row: (
      function([x for x in row if (x > limit if over else x < limit)]) + b
    ),
    lists(rng),
  )


def two_texts(rng: np.random.Generator) -> Problem:
  """'s reversed 3 times then s in capitals 2 times'."""
  words, body, function = TEXTS[draw(rng, 0, 2)]
  other_words, other_body, other = TEXTS[draw(rng, 0, 2)]
  b, c = draw(rng, 2, 5), draw(rng, 2, 5)
  return code_problem(
    'code_two_texts',
    's',
    f'{words} {b} times then {other_words} {c} times',
    f'{body}*{b}+{other_body}*{c}',
    f'{body}*{b + c}+{other_body}',
    lambda s: function(s) * b + other(s) * c,
    strings(rng),
  )


def part(rng: np.random.Generator) -> Problem:
  """'last 3 of s reversed then "b"'."""
  words, body, function = TEXTS[draw(rng, 0, 2)]
  n, first, letter = draw(rng, 2, 4), draw(rng, 0, 1), draw(rng, 0, 25)
  end = f'"{ALPHABET[letter]}"'
  side = 'first' if first else 'last'
  cut, other = (f'[:{n}]', f'[-{n}:]') if first else (f'[-{n}:]', f'[:{n}]')
  return code_problem(
    'code_part',
    's',
    f'{side} {n} of {words} then {end}',
    f'{body}{cut}+{end}',
    f'{body}{other}+{end}',
    lambda s: (
      (function(s)[:n] if first else function(s)[-n:]) + ALPHABET[letter]
    ),
    strings(rng),
  )


def wide(rng: np.random.Generator) -> Problem:
  """'x times 47 plus 38': two digits each."""
  a, b = draw(rng, 11, 99), draw(rng, 11, 99)
  return code_problem(
    'code_wide',
    'x',
    f'x times {a} plus {b}',
    f'x*{a}+{b}',
    f'x*{b}+{a}' if a != b else f'x*{a}-{b}',
    lambda x: x * a + b,
    integers(rng),
  )
