# SPDX-License-Identifier: Apache-2.0
"""Tasks on short lists and words: sort, reverse, count, maximum."""

import numpy as np

from srpo_jax.data.tasks.problem import Problem, draw, problem

ALPHABET = 'abcdefghijklmnopqrstuvwxyz'


def _distinct(rng: np.random.Generator, low: int, high: int, count: int):
  """That many different integers of [low, high], in a random order."""
  return [int(i) + low for i in rng.permutation(high - low + 1)[:count]]


def _row(numbers: list[int]) -> str:
  return ' '.join(map(str, numbers))


def sort_numbers(rng: np.random.Generator, length: int) -> Problem:
  """'sort 5 2 9': insert one number after another."""
  numbers = _distinct(rng, 1, 9, length)

  def work(off: int) -> str:
    rows = [sorted(numbers[: i + 1]) for i in range(length)]
    if off:  # Two neighbours of the last row change places.
      i = off - 1
      rows[-1][i], rows[-1][i + 1] = rows[-1][i + 1], rows[-1][i]
    return ','.join(map(_row, rows))

  question = f'sort {_row(numbers)}'
  answer = _row(sorted(numbers))
  return problem(rng, f'sort{length}', question, answer, work, match='exact')


def reverse(rng: np.random.Generator, length: int) -> Problem:
  """'reverse cabd': number the letters, then read them backwards."""
  word = ''.join(ALPHABET[i] for i in _distinct(rng, 0, 25, length))

  def work(off: int) -> str:
    back = list(word[::-1])
    if off:
      back[off - 1], back[off] = back[off], back[off - 1]
    numbered = ' '.join(f'{i}{x}' for i, x in enumerate(word, start=1))
    return f'{numbered},{"".join(back)}'

  answer = word[::-1]
  question = f'reverse {word}'
  return problem(rng, f'reverse{length}', question, answer, work, match='exact')


def count(rng: np.random.Generator) -> Problem:
  """'count a in banana': a running count behind every letter."""
  letters = [ALPHABET[i] for i in _distinct(rng, 0, 25, 3)]
  word = ''.join(letters[draw(rng, 0, 2)] for _ in range(draw(rng, 4, 8)))
  target = letters[0]

  def work(off: int) -> str:
    return running_count(word, target, off)

  question = f'count {target} in {word}'
  return problem(rng, 'count', question, word.count(target), work)


def running_count(word: str, target: str, off: int) -> str:
  """'b0 a1 n1 a2 n2 a3 3': wrong by `off` from the middle on."""
  steps, seen = [], 0
  for i, letter in enumerate(word):
    seen += (letter == target) + (off if i == len(word) // 2 else 0)
    steps.append(f'{letter}{seen}')
  return ' '.join([*steps, str(seen)])


def maximum(rng: np.random.Generator) -> Problem:
  """'max 41 9 26': the largest so far."""
  numbers = _distinct(rng, 1, 99, draw(rng, 3, 4))

  def work(off: int) -> str:
    so_far = [max(numbers[: i + 1]) for i in range(len(numbers))]
    so_far[-1] = sorted(numbers)[-1 - off]
    return ','.join(map(str, so_far))

  return problem(rng, 'max', f'max {_row(numbers)}', max(numbers), work)
