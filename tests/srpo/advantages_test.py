# SPDX-License-Identifier: Apache-2.0
"""Rewards and advantages against numbers worked out by hand."""

import numpy as np
import pytest

from srpo_jax.core.config import ConfigError
from srpo_jax.core.records import Verdict
from srpo_jax.srpo.advantages import (
  RewardWeights,
  batch_scaled,
  group_centered,
  group_relative,
  group_shares,
  group_standardized,
  no_length_penalty,
  reward,
  soft_overlong,
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


EVERY = [group_relative, group_standardized, group_centered, batch_scaled]


def test_others_golden_by_hand():
  # Group means 1/4 and 1/2. The batch has three 1s of 6 judged: std 1/2.
  rewards = np.array([[1.0, 0, 0, 0], [1, 1, 0, 0]])
  rewards[1, 1] = rewards[1, 3] = NAN
  rewards[0, 1] = 1
  half, cut = np.array([[0.5, 0.5, -0.5, -0.5]]), none(rewards)
  wanted = np.concatenate([half, [[0.5, 0, -0.5, 0]]])
  np.testing.assert_allclose(group_centered(rewards, cut), wanted)
  np.testing.assert_allclose(batch_scaled(rewards, cut), 2 * wanted)
  # Equal groups weigh less under a batch's std: its std 0.4 = √(0.8 · 0.2).
  rewards = np.array([[1.0, 0], [1, 1], [1, 1], [1, 1], [1, 0]])
  got = batch_scaled(rewards, none(rewards))
  np.testing.assert_allclose(got[0], [1.25, -1.25])
  assert (got[1:4] == 0).all()


@pytest.mark.parametrize('advantage', EVERY)
def test_every_advantage_is_zero_where_there_is_nothing_to_learn(advantage):
  equal = np.full((2, 7), 0.1 + 0.2)
  equal[1, :3] = NAN
  assert (advantage(equal, none(equal)) == 0).all()
  nothing = np.full((2, 3), NAN)
  assert (advantage(nothing, none(nothing)) == 0).all()


@pytest.mark.parametrize('advantage', EVERY)
def test_every_advantage_of_a_group_sums_to_zero(advantage):
  rewards = np.random.default_rng(0).normal(size=(50, 8))
  rewards[::3, 2] = NAN
  total = advantage(rewards, none(rewards)).sum(axis=1)
  np.testing.assert_allclose(total, 0, atol=1e-12)


@pytest.mark.parametrize('advantage', EVERY)
def test_groups_that_only_pad_change_no_other(advantage):
  rewards = np.random.default_rng(0).normal(size=(4, 8))
  padded = np.concatenate([rewards, np.full((2, 8), NAN)])
  got = advantage(padded, none(padded))
  np.testing.assert_array_equal(got[:4], advantage(rewards, none(rewards)))
  assert (got[4:] == 0).all()


@pytest.mark.parametrize('advantage', EVERY[1:])
def test_only_srpo_silences_truncated_rollouts(advantage):
  rewards = np.array([[1.0, 0, 0, 0]])
  cut = np.array([[False, True, False, False]])
  assert group_relative(rewards, cut)[0, 1] == 0
  got = advantage(rewards, cut)
  np.testing.assert_array_equal(got, advantage(rewards, none(rewards)))
  assert got[0, 1] < 0


def test_centered_is_standardized_but_for_the_scale_of_a_group():
  rewards = np.random.default_rng(0).normal(size=(5, 8))
  centered = group_centered(rewards, none(rewards))
  np.testing.assert_allclose(
    centered / rewards.std(axis=1, keepdims=True),
    group_standardized(rewards, none(rewards)),
  )
  one = rewards[:1]
  np.testing.assert_allclose(
    batch_scaled(one, none(one)), group_standardized(one, none(one))
  )


def test_overlong_by_hand():
  lengths = np.array([[1, 60, 65, 70, 75, 80, 90]])
  got = soft_overlong(lengths, max_new_tokens=80, buffer=20)
  np.testing.assert_allclose(got, [[0, 0, -0.25, -0.5, -0.75, -1, -1]])
  half = soft_overlong(lengths, max_new_tokens=80, buffer=20, weight=0.5)
  np.testing.assert_allclose(half, got / 2)
  assert (no_length_penalty(lengths) == 0).all()


@pytest.mark.parametrize('buffer', [0, 81])
def test_overlong_refuses_a_buffer_that_makes_no_sense(buffer):
  with pytest.raises(ConfigError, match=r'OVERLONG_BUFFER'):
    soft_overlong(np.ones((1, 1)), max_new_tokens=80, buffer=buffer)


def test_overlong_never_rewards_length():
  lengths = np.arange(1, 200)[None]
  for buffer in (1, 7, 72):
    got = soft_overlong(lengths, max_new_tokens=72, buffer=buffer)
    assert (np.diff(got) <= 0).all()
    assert got.min() == -1
    assert got.max() <= 0
