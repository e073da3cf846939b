# SPDX-License-Identifier: Apache-2.0
"""Which groups are asked anew."""

import numpy as np

from srpo_jax.core.records import Verdict
from srpo_jax.srpo.advantages import group_standardized
from srpo_jax.srpo.history_refill import equal_accuracy, no_refill

NAN = np.nan


def verdict(accuracy):
  accuracy = np.array(accuracy, np.float32)
  return Verdict(accuracy, accuracy, accuracy, accuracy, accuracy)


def test_groups_that_teach_nothing_are_asked_anew():
  v = verdict([[1, 1], [0, 0], [1, 0], [NAN, 1], [NAN, NAN], [0, 0]])
  real = np.array([True, True, True, True, True, False])
  again = equal_accuracy(v, real)
  assert again.tolist() == [True, True, False, True, True, False]
  assert no_refill(v, real).tolist() == [False] * 6


def test_unjudged_rollouts_do_not_hide_a_difference():
  v = verdict([[1, NAN, 0], [NAN, 0, 0]])
  assert equal_accuracy(v, np.ones(2, bool)).tolist() == [False, True]


def test_agrees_with_the_advantages():
  draw = np.random.default_rng(0)
  accuracy = draw.choice([0, 1, NAN], (200, 3), p=[0.3, 0.5, 0.2])
  again = equal_accuracy(verdict(accuracy), np.ones(200, bool))
  advantage = group_standardized(accuracy, np.zeros((200, 3), bool))
  np.testing.assert_array_equal(again, (advantage == 0).all(axis=1))
