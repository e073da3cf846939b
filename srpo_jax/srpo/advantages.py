# SPDX-License-Identifier: Apache-2.0
"""Rewards and group-relative advantages, on the host: [P, G] is small.

NaN marks a rollout that was not judged; it takes part in nothing.
"""

import dataclasses

import numpy as np

from srpo_jax.core.records import Verdict


@dataclasses.dataclass(frozen=True)
class RewardWeights:
  """Weights of the three parts of the reward (METHOD.md section 4).

  The paper has the three parts; the weights are our choice.
  """

  accuracy: float = 1.0
  format: float = 0.1
  language_mixing: float = 0.1


def reward(verdict: Verdict, weights: RewardWeights) -> np.ndarray:
  """r = w_a accuracy + w_f format − w_l language mixing, [P, G]; NaN stays."""
  return (
    weights.accuracy * verdict.accuracy_PG
    + weights.format * verdict.format_PG
    - weights.language_mixing * verdict.language_mixing_PG
  )


def group_relative(
  reward_PG: np.ndarray, truncated_PG: np.ndarray
) -> np.ndarray:
  """Aᵢ = (rᵢ − mean(r)) / std(r) over a group; GRPO (arXiv:2402.03300, 4.1.2).

  Population std, no ε. Exactly 0 where all rewards of a group are equal: that
  is decided on max == min, since a float std of equal numbers need not be 0.
  Truncated rollouts stay in the statistics and get advantage 0 (METHOD.md
  section 1); those not judged (NaN) are in nothing and get 0.

  Args:
    reward_PG: rewards, NaN where not judged.
    truncated_PG: True where the response hit the length limit.
  """
  judged_PG = ~np.isnan(reward_PG)
  has_signal_P = _spread(reward_PG, judged_PG) > 0
  n_P = np.maximum(judged_PG.sum(axis=1), 1)
  r_PG = np.where(judged_PG, reward_PG, 0.0)
  mean_P1 = (r_PG.sum(axis=1) / n_P)[:, None]
  centred_PG = np.where(judged_PG, r_PG - mean_P1, 0.0)
  std_P1 = np.sqrt((centred_PG**2).sum(axis=1) / n_P)[:, None]
  usable_PG = has_signal_P[:, None] & judged_PG & ~truncated_PG
  return np.where(usable_PG, centred_PG / np.where(std_P1 > 0, std_P1, 1), 0.0)


def _spread(reward_PG, judged_PG):
  """max − min over the judged of each group; 0 for a group without any."""
  high_P = np.where(judged_PG, reward_PG, -np.inf).max(axis=1)
  low_P = np.where(judged_PG, reward_PG, np.inf).min(axis=1)
  return np.where(judged_PG.any(axis=1), high_P - low_P, 0.0)


def group_shares(
  verdict: Verdict, advantage_PG: np.ndarray, real_P: np.ndarray
) -> dict[str, float]:
  """Shares of groups: all correct, all wrong (by accuracy), effective.

  Args:
    verdict: of the step.
    advantage_PG: what `group_relative` gave.
    real_P: False for prompts that only pad the batch.
  """
  accuracy_PG = verdict.accuracy_PG[real_P]
  judged_P = verdict.judged_PG[real_P].all(axis=1)
  n = max(int(real_P.sum()), 1)
  right_P = judged_P & (np.nan_to_num(accuracy_PG) == 1).all(axis=1)
  wrong_P = judged_P & (np.nan_to_num(accuracy_PG) == 0).all(axis=1)
  effective_P = (advantage_PG[real_P] != 0).any(axis=1)
  return {
    'groups/all_correct': float(right_P.sum() / n),
    'groups/all_wrong': float(wrong_P.sum() / n),
    'groups/effective': float(effective_P.sum() / n),
  }
