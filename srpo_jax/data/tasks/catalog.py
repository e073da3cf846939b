# SPDX-License-Identifier: Apache-2.0
"""Which tasks there are, by level, and how many of each a set holds.

The one table to change: rebuild the shipped sets with
`python -m srpo_jax.data.builders` afterwards (docs/prompts.md).
"""

import functools

from srpo_jax.data.tasks import (
  compositions,
  gym,
  mathematics,
  programs,
  words,
)
from srpo_jax.data.tasks.problem import Task

_of = functools.partial

MATHEMATICS: dict[str, Task] = {
  'add1': _of(mathematics.add, digits=1),
  'add2': _of(mathematics.add, digits=2),
  'add3': _of(mathematics.add, digits=3),
  'add5': _of(mathematics.add, digits=5),
  'sub2': _of(mathematics.subtract, digits=2),
  'sub4': _of(mathematics.subtract, digits=4),
  'mul1': mathematics.multiply_digits,
  'mul2': mathematics.multiply_by_digit,
  'mul22': mathematics.multiply_pairs,
  'mod': mathematics.remainder,
  'chain3': _of(mathematics.chain, terms=3),
  'chain4': _of(mathematics.chain, terms=4),
  'linear': mathematics.linear,
  'fraction_sum': mathematics.fraction_sum,
  'binary': mathematics.binary,
  'power': mathematics.power,
  'pair': mathematics.pair,
  'sort3': _of(words.sort_numbers, length=3),
  'sort5': _of(words.sort_numbers, length=5),
  'reverse4': _of(words.reverse, length=4),
  'reverse8': _of(words.reverse, length=8),
  'count': words.count,
  'max': words.maximum,
  'gym_gcd': gym.gcd,
  'gym_letter_counting': gym.letter_counting,
  'gym_spell_backward': gym.spell_backward,
  'gym_chain_sum': gym.chain_sum,
  'gym_count_bits': gym.count_bits,
}

CODE: dict[str, Task] = {
  'code_affine': programs.affine,
  'code_brackets': programs.product_of_sum,
  'code_fold': programs.fold,
  'code_each': programs.each,
  'code_keep': programs.keep,
  'code_text': programs.text,
  'code_twice': compositions.twice,
  'code_choice': compositions.choice,
  'code_two_folds': compositions.two_folds,
  'code_each_kept': compositions.each_kept,
  'code_fold_kept': compositions.fold_kept,
  'code_two_texts': compositions.two_texts,
  'code_part': compositions.part,
  'code_wide': compositions.wide,
}

TASKS: dict[str, Task] = MATHEMATICS | CODE

# How often a level occurs in the pre-training corpus, relative to the others.
# The shipped policy was made with these.
CORPUS_MATH: dict[str, int] = {
  'add1': 14,
  'add2': 20,
  'add3': 16,
  'sub2': 20,
  'mul1': 12,
  'mul2': 16,
  'mul22': 6,
  'mod': 18,
  'chain3': 20,
  'linear': 18,
  'fraction_sum': 14,
  'pair': 12,
  'sort3': 16,
  'sort5': 14,
  'reverse4': 16,
  'reverse8': 12,
  'count': 16,
  'max': 14,
  'gym_gcd': 14,
  'gym_letter_counting': 12,
  'gym_chain_sum': 12,
  'gym_count_bits': 8,
}

# Few of the compositions, so that something is left to learn about them.
CORPUS_CODE: dict[str, int] = {
  level: 40 if task.__module__ == programs.__name__ else 1
  for level, task in CODE.items()
}

# Level: (prompts in train, prompts in test). Chosen so that the shipped policy
# is right about half of the time: some levels it has mastered, most it gets
# right now and then, a few nearly never.
EMBEDDED_MATH: dict[str, tuple[int, int]] = {
  'add1': (8, 5),
  'add2': (20, 12),
  'add3': (46, 28),
  'sub2': (8, 5),
  'mul1': (10, 6),
  'mul2': (16, 10),
  'mul22': (6, 4),
  'mod': (8, 5),
  'chain3': (46, 28),
  'linear': (8, 5),
  'fraction_sum': (30, 18),
  'pair': (8, 5),
  'sort3': (6, 4),
  'sort5': (4, 3),
  'reverse4': (4, 3),
  'reverse8': (4, 3),
  'count': (20, 10),
  'max': (4, 3),
  'gym_gcd': (20, 12),
  'gym_letter_counting': (10, 5),
  'gym_chain_sum': (26, 14),
  'gym_count_bits': (8, 4),
}

EMBEDDED_CODE: dict[str, tuple[int, int]] = {
  'code_affine': (4, 1),
  'code_brackets': (4, 1),
  'code_fold': (4, 1),
  'code_each': (4, 1),
  'code_keep': (4, 1),
  'code_text': (4, 1),
  'code_twice': (8, 4),
  'code_wide': (8, 4),
  'code_fold_kept': (12, 6),
  'code_each_kept': (16, 8),
  'code_choice': (20, 10),
  'code_two_texts': (24, 12),
  'code_two_folds': (28, 14),
  'code_part': (28, 14),
}
