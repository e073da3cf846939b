# SPDX-License-Identifier: Apache-2.0
"""The record of one generated problem, and the small draws the tasks share.

First in the flow of data/tasks/: a task draws a Problem, solutions.py words a
solution of it, sampling.py picks which problems a set or a corpus holds.
"""

import dataclasses
import hashlib
from collections.abc import Callable

import numpy as np

HELD_OUT_OF_256 = 51  # about one question in five


@dataclasses.dataclass(frozen=True)
class Problem:
  """One problem, its answer, and two derivations of it.

  Attributes:
    question: what the policy is asked.
    answer: the right final answer; for code, a right program in a fence.
    match: as in core.records.Prompt.
    tests: as in core.records.Prompt.
    steps: a short derivation that is right.
    slip: a derivation of the same shape with one wrong intermediate.
    level: the task's name.
    domain: 'math' or 'code'.
  """

  question: str
  answer: str
  match: str
  tests: dict | None
  steps: str
  slip: str
  level: str
  domain: str


Task = Callable[[np.random.Generator], Problem]


def draw(rng: np.random.Generator, low: int, high: int) -> int:
  """An integer in [low, high], both ends included."""
  return int(rng.integers(low, high + 1))


def draw_digits(rng: np.random.Generator, digits: int) -> int:
  """A number of exactly that many digits; one digit may be 0."""
  return draw(rng, 10 ** (digits - 1) if digits > 1 else 0, 10**digits - 1)


def problem(
  rng: np.random.Generator,
  level: str,
  question: str,
  answer: object,
  work: Callable[[int], str],
  *,
  match: str = 'numeric',
  tests: dict | None = None,
) -> Problem:
  """A mathematics problem from work(off), its derivation off by `off`.

  work(0) is right; work(1) and work(2) have one wrong intermediate.
  """
  return Problem(
    question=question,
    answer=str(answer),
    match=match,
    tests=tests,
    steps=work(0),
    slip=work(draw(rng, 1, 2)),
    level=level,
    domain='math',
  )


def held_out(question: str) -> bool:
  """True where only test sets may hold the question: a fixed hash of it.

  A function of the text alone, so that no seed, count or order can let a test
  question into a train set or into the pre-training corpus.
  """
  return hashlib.sha256(question.encode()).digest()[0] < HELD_OUT_OF_256
