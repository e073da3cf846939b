# SPDX-License-Identifier: Apache-2.0
"""Rewards and advantages against numbers worked out by hand."""

import numpy as np

from srpo_jax.core.records import Verdict
from srpo_jax.srpo.advantages import (
  RewardWeights,
  group_relative,
  group_shares,
  reward,
)

NAN = np.nan


def verdict(accuracy, form=None, mixing=None):
  accuracy = np.array(accuracy, np.float32)
  form = accuracy * 0 if form is None else np.array(form, np.float32)
  mixing = accuracy * 0 if mixing is None else np.array(mixing, np.float32)
  status = np.where(np.isnan(accuracy), 'unavailable', 'correct')
  return Verdict(status, accuracy, form, mixing, accuracy)


def none(reward_PG):
  return np.zeros(np.shape(reward_PG), bool)


def test_reward_is_accuracy_plus_format_minus_mixing():
  got = reward(
    verdict([[1, 0, NAN]], [[1, 1, NAN]], [[0, 1, NAN]]),
    RewardWeights(accuracy=1.0, format=0.2, language_mixing=0.5),
  )
  np.testing.assert_allclose(got, [[1.2, -0.3, NAN]], rtol=1e-6)


def test_golden_by_hand():
  # Rewards 1, 0, 0, 0: mean 1/4, population variance 3/16, std 0.433.
  got = group_relative(np.array([[1.0, 0, 0, 0]]), none([[0] * 4]))
  third = 1 / np.sqrt(3)
  np.testing.assert_allclose(got, [[np.sqrt(3), -third, -third, -third]])


def test_equal_rewards_give_exactly_zero():
  # 0.1 + 0.2 repeated: a float std of these need not be 0.
  equal = np.full((1, 7), 0.1 + 0.2)
  assert (group_relative(equal, none(equal)) == 0).all()
  assert np.std(np.full(7, 0.1)) != 0, 'the trap this test is about is gone'


def test_advantages_of_a_group_sum_to_zero():
  rewards = np.random.default_rng(0).normal(size=(50, 8))
  total = group_relative(rewards, none(rewards)).sum(axis=1)
  np.testing.assert_allclose(total, 0, atol=1e-12)


def test_truncated_counts_in_the_group_and_gets_zero():
  rewards = np.array([[1.0, 0, 0, 0]])
  cut = np.array([[False, True, False, False]])
  whole = group_relative(rewards, none(rewards))
  got = group_relative(rewards, cut)
  assert got[0, 1] == 0
  np.testing.assert_array_equal(got[0, [0, 2, 3]], whole[0, [0, 2, 3]])


def test_unjudged_is_in_nothing():
  got = group_relative(np.array([[1.0, NAN, 0, NAN]]), none([[0] * 4]))
  np.testing.assert_allclose(got, [[1, 0, -1, 0]])
  assert (group_relative(np.array([[NAN, NAN]]), none([[0, 0]])) == 0).all()
  # One judged rollout has nothing to be compared with.
  assert (group_relative(np.array([[NAN, 1.0]]), none([[0, 0]])) == 0).all()


def test_group_shares_go_by_accuracy_and_ignore_padding():
  v = verdict([[1, 1], [0, 0], [1, 0], [1, NAN], [0, 0]])
  advantage = np.array([[0, 0], [0.5, -0.5], [1, -1], [0, 0], [1, -1]])
  real = np.array([True, True, True, True, False])
  assert group_shares(v, advantage, real) == {
    'groups/all_correct': 0.25,
    'groups/all_wrong': 0.25,
    'groups/effective': 0.5,
  }
