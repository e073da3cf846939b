# SPDX-License-Identifier: Apache-2.0
"""reasoning-gym tasks with settings small enough for the embedded policy.

The question is the task's own text, word for word, and its own scorer judges
the answer (verifier 'reasoning_gym/NAME', at its full mark only). The worked
steps are ours. reasoning-gym is loaded when a problem is first drawn.
"""

import functools
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from srpo_jax.data.tasks.mathematics import halvings
from srpo_jax.data.tasks.problem import Problem, draw, problem
from srpo_jax.data.tasks.words import running_count

SETTINGS = {
  'gcd': {'min_value': 2, 'max_value': 40},
  'letter_counting': {'min_words': 1, 'max_words': 2},
  'spell_backward': {'min_word_len': 3, 'max_word_len': 5},
  'chain_sum': {'min_terms': 2, 'max_terms': 3, 'max_digits': 1},
  'count_bits': {'min_n': 1, 'max_n': 127},
}
ENTRIES = 1_000_000  # entry i of a task is made from seed 0 + i


@functools.cache
def _dataset(name: str) -> Any:
  import reasoning_gym

  return reasoning_gym.create_dataset(
    name, seed=0, size=ENTRIES, **SETTINGS[name]
  )


def _draw_entry(rng: np.random.Generator, name: str) -> dict:
  entry = _dataset(name)[draw(rng, 0, ENTRIES - 1)]
  return json.loads(json.dumps(entry))  # tuples become lists, as over HTTP


def _problem(
  rng: np.random.Generator,
  name: str,
  work: Callable[[dict, int], str],
) -> Problem:
  entry = _draw_entry(rng, name)
  return problem(
    rng,
    f'gym_{name}',
    entry['question'],
    entry['answer'],
    functools.partial(work, entry['metadata']),
    match=f'verifier:reasoning_gym/{name}',
    tests={'type': 'verifier', 'entry': entry},
  )


def _euclid(metadata: dict, off: int) -> str:
  a, b = sorted(metadata['numbers'], reverse=True)
  steps = []
  while b:
    rest = a % b
    steps.append(f'{a} mod {b}={rest}')
    a, b = b, rest
  return ' '.join([*steps, str(a + off)])


def gcd(rng: np.random.Generator) -> Problem:
  """Euclid's algorithm, remainder by remainder."""
  return _problem(rng, 'gcd', _euclid)


def _count_letters(metadata: dict, off: int) -> str:
  # The task's scorer counts without regard to case.
  text = ''.join(metadata['span']).lower()
  return running_count(text, metadata['target_letter'], off)


def letter_counting(rng: np.random.Generator) -> Problem:
  """A running count behind every letter."""
  return _problem(rng, 'letter_counting', _count_letters)


def _spell(metadata: dict, off: int) -> str:
  word = metadata['word']
  back = word[::-1] if not off else word[::-1][1:] + word[-1]
  numbered = ' '.join(f'{i}{x}' for i, x in enumerate(word, start=1))
  return f'{numbered},{back}'


def spell_backward(rng: np.random.Generator) -> Problem:
  """Number the letters, then read them backwards."""
  return _problem(rng, 'spell_backward', _spell)


def _running_total(metadata: dict, off: int) -> str:
  first, *rest = metadata['expression'].split()
  steps, running = [], int(first)
  for i in range(0, len(rest), 2):
    term = int(rest[i] + rest[i + 1])
    after = running + term + (off if i == 0 else 0)
    steps.append(f'{running}{term:+d}={after}')
    running = after
  return ' '.join(steps)


def chain_sum(rng: np.random.Generator) -> Problem:
  """A running total; it may go below zero."""
  return _problem(rng, 'chain_sum', _running_total)


def _count_ones(metadata: dict, off: int) -> str:
  steps, bits = halvings(metadata['number'], 0)
  return f'{steps} {bits} {bits.count("1") + off}'


def count_bits(rng: np.random.Generator) -> Problem:
  """Halve until zero, then count the ones among the remainders."""
  return _problem(rng, 'count_bits', _count_ones)
