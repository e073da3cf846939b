# SPDX-License-Identifier: Apache-2.0
"""pass@1 of held-out sets from the samples in evals/."""

import json

import numpy as np
import pytest

from srpo_jax.study import evaluations, read
from srpo_jax.train import tables

NAN = float('nan')


def columns(step, accuracy, level=None):
  """Samples of problems: {prompt id: accuracies}."""
  pairs = [(p, a) for p, row in accuracy.items() for a in row]
  n = len(pairs)
  found = {
    'step': [step] * n,
    'prompt': [p for p, _ in pairs],
    'domain': ['math'] * n,
    'sample': [0] * n,
    'prompt_text': ['?'] * n,
    'response_text': ['!'] * n,
    'tokens': [1] * n,
    'ended': [True] * n,
    'status': ['wrong'] * n,
    'accuracy': [a for _, a in pairs],
  }
  return {**found, 'level': [level[p] for p, _ in pairs]} if level else found


def evaluate(workdir, *steps):
  """Evaluations of a workdir with an evaluation for each (step, columns)."""
  (workdir / 'metrics.jsonl').write_text(json.dumps({'step': 1}) + '\n')
  for step, table in steps:
    tables.write_evals(workdir, 'held', step, table)
  return evaluations.evaluations(read.read_run(workdir, 'x'))


def test_a_problem_counts_once_and_its_judged_samples_alike():
  table = columns(0, {9: [1, 0, NAN], 2: [1, 1], 5: [NAN]})
  table = {name: np.array(column) for name, column in table.items()}
  ids_P, score_P = evaluations.problem_scores(table)
  # 5 was never judged; 9 was right in one of the two that were.
  assert ids_P.tolist() == [2, 9]
  assert score_P.tolist() == [1.0, 0.5]


def test_change_is_over_the_problems_judged_both_times(tmp_path):
  first = columns(0, {0: [NAN, NAN], 1: [0, 0], 2: [0, 1], 3: [1, 1]})
  last = columns(8, {3: [1, 1], 2: [1, 1], 1: [0, 1], 0: [0, 0]})
  (found,) = evaluate(tmp_path, (0, first), (8, last))
  assert found.steps == (0, 8)
  assert found.problems == 3
  assert found.samples == 2
  # Paired by id: 0 -> 0.5, 0.5 -> 1, 1 -> 1.
  assert found.first == pytest.approx(0.5)
  assert found.last == pytest.approx(2.5 / 3)
  assert found.change.mean == pytest.approx(1 / 3)
  # The curve is over all that were judged at that step.
  assert found.score[1].mean == pytest.approx(2.5 / 4)
  assert found.levels == ()


def test_one_evaluation_has_no_change(tmp_path):
  (found,) = evaluate(tmp_path, (0, columns(0, {1: [1]})))
  assert found.change is None
  assert found.score[0].mean == 1


def test_levels(tmp_path):
  level = {1: 'gcd', 2: 'gcd', 3: 'add'}
  first = columns(0, {1: [0], 2: [1], 3: [1]}, level)
  last = columns(5, {1: [1], 2: [1], 3: [1]}, level)
  (found,) = evaluate(tmp_path, (0, first), (5, last))
  assert found.levels == (
    evaluations.Level('add', 1, 1.0, 1.0),
    evaluations.Level('gcd', 2, 0.5, 1.0),
  )


def test_nothing_judged_and_nothing_evaluated(tmp_path):
  assert evaluate(tmp_path) == []
  (found,) = evaluate(tmp_path, (0, columns(0, {1: [NAN]})))
  assert np.isnan(found.score[0].mean)
