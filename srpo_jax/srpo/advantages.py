# SPDX-License-Identifier: Apache-2.0
"""Rewards and group-relative advantages, on the host: [P, G] is small.

NaN marks a rollout that was not judged; it takes part in nothing. An advantage
has the form `(reward_PG, truncated_PG) -> advantage_PG`, a length penalty
`(length_PG) -> penalty_PG`; both are bound in gin.
"""

import dataclasses

import numpy as np

from srpo_jax.core.config import ConfigError
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


def no_length_penalty(length_PG: np.ndarray) -> np.ndarray:
  """0: a response's length does not change its reward."""
  return np.zeros(length_PG.shape)


def soft_overlong(
  length_PG: np.ndarray,
  *,
  max_new_tokens: int,
  buffer: int,
  weight: float = 1.0,
) -> np.ndarray:
  """Soft overlong punishment, added to the reward; DAPO (2503.14476, eq. 13).

  0 up to L_max − L_c tokens, then linear down to −1 at L_max, −1 beyond. DAPO
  has L_max = 20480, L_c = 4096. Bind an advantage with it that lets truncated
  rollouts learn (`group_standardized`): `group_relative` gives them 0.

  Args:
    length_PG: tokens of each response, its end token included.
    max_new_tokens, buffer: L_max and L_c, in tokens.
    weight: of the penalty in the reward.

  Raises:
    ConfigError: the buffer is not in [1, max_new_tokens].
  """
  if not 1 <= buffer <= max_new_tokens:
    raise ConfigError(
      f'OVERLONG_BUFFER = {buffer}, but it must be a number of tokens, from 1 '
      f'to MAX_NEW_TOKENS = {max_new_tokens}; DAPO has a fifth of that'
    )
  into_PG = length_PG - (max_new_tokens - buffer)
  return weight * -np.clip(into_PG / buffer, 0.0, 1.0)


def group_relative(
  reward_PG: np.ndarray, truncated_PG: np.ndarray
) -> np.ndarray:
  """SRPO: `group_standardized`, and exactly 0 for truncated rollouts.

  They stay in the statistics of their group (METHOD.md section 1).

  Args:
    reward_PG: rewards, NaN where not judged.
    truncated_PG: True where the response hit the length limit.
  """
  return np.where(
    truncated_PG, 0.0, group_standardized(reward_PG, truncated_PG)
  )


def group_standardized(
  reward_PG: np.ndarray, truncated_PG: np.ndarray
) -> np.ndarray:
  """Aᵢ = (rᵢ − mean(r)) / std(r) over a group; GRPO (arXiv:2402.03300, 4.1.2).

  Population std, no ε. Exactly 0 where all rewards of a group are equal: that
  is decided on max == min, since a float std of equal numbers need not be 0.
  Rollouts not judged (NaN) are in nothing and get 0; truncated ones count as
  any other. DAPO's too.
  """
  centred_PG = group_centered(reward_PG, truncated_PG)
  n_P1 = np.maximum((~np.isnan(reward_PG)).sum(axis=1, keepdims=True), 1)
  std_P1 = np.sqrt((centred_PG**2).sum(axis=1, keepdims=True) / n_P1)
  return centred_PG / np.where(std_P1 > 0, std_P1, 1)


def group_centered(
  reward_PG: np.ndarray, truncated_PG: np.ndarray
) -> np.ndarray:
  """Aᵢ = rᵢ − mean(r) over a group; Dr. GRPO (arXiv:2503.20783).

  Without the std, groups of nearly equal rewards no longer weigh more.
  Exactly 0 where all rewards of a group are equal, and where not judged.
  """
  del truncated_PG
  judged_PG = ~np.isnan(reward_PG)
  n_P1 = np.maximum(judged_PG.sum(axis=1, keepdims=True), 1)
  r_PG = np.where(judged_PG, reward_PG, 0.0)
  mean_P1 = r_PG.sum(axis=1, keepdims=True) / n_P1
  usable_PG = (_spread(reward_PG, judged_PG) > 0)[:, None] & judged_PG
  return np.where(usable_PG, r_PG - mean_P1, 0.0)


def batch_scaled(reward_PG: np.ndarray, truncated_PG: np.ndarray) -> np.ndarray:
  """Aᵢ = (rᵢ − mean(r) of the group) / std(r) of the whole batch; Lite PPO.

  arXiv:2508.08221; TRL's `scale_rewards="batch"`. Population std over all
  judged rewards of the step, no ε; exactly 0 as in `group_centered`.
  """
  judged_n = reward_PG[~np.isnan(reward_PG)]
  std = judged_n.std() if judged_n.size else 0.0
  centred_PG = group_centered(reward_PG, truncated_PG)
  # A std of 0 means that all are equal, and then all are exactly 0 already.
  return centred_PG / (std if std > 0 else 1.0)


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
    advantage_PG: what the advantage function gave.
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
