# SPDX-License-Identifier: Apache-2.0
"""Which problems a prompt set holds, and the corpus for pre-training.

Train and test questions are apart by a hash of the question (`held_out`); the
corpus holds only questions of the train side.
"""

import zlib
from collections.abc import Iterator, Mapping

import numpy as np

from srpo_jax.data.tasks.catalog import CORPUS_CODE, CORPUS_MATH, TASKS
from srpo_jax.data.tasks.problem import Problem, Task, held_out
from srpo_jax.data.tasks.solutions import STYLES, worked_solution

STYLE_WEIGHTS = {'steps': 0.75, 'guess': 0.2, 'retry': 0.05}
TASK_WEIGHTS = {
  level: float(n) for level, n in (CORPUS_MATH | CORPUS_CODE).items()
}
TRIES_PER_PROBLEM = 400


def _rng(seed: int, purpose: str) -> np.random.Generator:
  entropy = (seed, zlib.crc32(purpose.encode()))
  return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


def _draw_distinct(
  rng: np.random.Generator, level: str, count: int, test: bool
) -> list[Problem]:
  found: dict[str, Problem] = {}
  for _ in range(count * TRIES_PER_PROBLEM):
    if len(found) == count:
      break
    problem = TASKS[level](rng)
    if held_out(problem.question) == test:
      found.setdefault(problem.question, problem)
  if len(found) < count:
    raise ValueError(
      f'{level}: found {len(found)} different '
      f'{"test" if test else "train"} questions of the {count} asked for in '
      'data/tasks/catalog.py; ask for fewer or widen the task'
    )
  return list(found.values())


def _problems(seed: int, counts: Mapping[str, int], test: bool):
  split = 'test' if test else 'train'
  return [
    problem
    for level, count in counts.items()
    for problem in _draw_distinct(
      _rng(seed, f'{split}/{level}'), level, count, test
    )
  ]


def train_problems(seed: int, counts: Mapping[str, int]) -> list[Problem]:
  """That many different problems a level, none of them held out."""
  return _problems(seed, counts, test=False)


def test_problems(seed: int, counts: Mapping[str, int]) -> list[Problem]:
  """That many different problems a level, all of them held out."""
  return _problems(seed, counts, test=True)


def _draw_train(rng: np.random.Generator, task: Task) -> Problem:
  while True:
    problem = task(rng)
    if not held_out(problem.question):
      return problem


def _choices(weights: Mapping[str, float]) -> tuple[list[str], np.ndarray]:
  share = np.array(list(weights.values()), np.float64)
  return list(weights), np.cumsum(share / share.sum())


def corpus(
  seed: int,
  count: int,
  style_weights: Mapping[str, float] = STYLE_WEIGHTS,
  task_weights: Mapping[str, float] = TASK_WEIGHTS,
) -> Iterator[tuple[str, str]]:
  """Yields (question, solution), never a held-out question.

  Args:
    seed: the same seed yields the same pairs.
    count: how many pairs.
    style_weights: weight of each style of solutions.STYLES.
    task_weights: weight of each level; absent levels do not occur.
  """
  unknown = [
    *(set(style_weights) - set(STYLES)),
    *(set(task_weights) - set(TASKS)),
  ]
  if unknown:
    raise ValueError(f'unknown styles or levels: {sorted(unknown)}')
  rng = _rng(seed, 'corpus')
  styles, style_edges = _choices(style_weights)
  levels, level_edges = _choices(task_weights)
  for _ in range(count):
    level = levels[int(np.searchsorted(level_edges, rng.random(), 'right'))]
    style = styles[int(np.searchsorted(style_edges, rng.random(), 'right'))]
    problem = _draw_train(rng, TASKS[level])
    yield problem.question, worked_solution(problem, style)
