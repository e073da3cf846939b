# SPDX-License-Identifier: Apache-2.0
"""Other objectives, to compare SRPO's with: one function each.

All have the form of `srpo_loss` (loss.py): the piece's part of the objective,
divided by totals of the whole batch, so that cutting the batch changes
nothing. Those that average over sequences take them from `segment_BT`. None
has a KL term; the papers' terms with a weight of 0 are the same.
"""

import chex
import jax
import jax.numpy as jnp

from srpo_jax.core.masked import masked_sum, sequence_mean, to_tokens
from srpo_jax.srpo.loss import (
  ONE,
  ClipConfig,
  Totals,
  clipped_terms,
  log_ratio,
  srpo_loss,
)

Loss = tuple[jax.Array, dict[str, jax.Array]]

# Clip widths: DAPO's, PPO's and GRPO's, GSPO's (of a ratio of a sequence).
HIGHER = ClipConfig(low=0.2, high=0.28)
EVEN = ClipConfig(low=0.2, high=0.2)
NARROW = ClipConfig(low=3e-4, high=4e-4)


def dapo_loss(
  logprob_BT: jax.Array,
  logprob_old_BT: jax.Array,
  advantage_BT: jax.Array,
  mask_BT: jax.Array,
  segment_BT: jax.Array,
  totals: Totals = ONE,
  *,
  clip: ClipConfig = HIGHER,
) -> Loss:
  """(1/Σ|yᵢ|) Σᵢ Σₜ −min(ρ A, clip(ρ, 1 − ε_low, 1 + ε_high) A).

  DAPO's (arXiv:2503.14476, eq. 8): clip-higher and a mean over tokens. SRPO's
  is the same; what sets DAPO apart is the refill and the length penalty.
  """
  args = (logprob_BT, logprob_old_BT, advantage_BT, mask_BT, segment_BT)
  return srpo_loss(*args, totals, clip=clip)


def grpo_loss(
  logprob_BT: jax.Array,
  logprob_old_BT: jax.Array,
  advantage_BT: jax.Array,
  mask_BT: jax.Array,
  segment_BT: jax.Array,
  totals: Totals = ONE,
  *,
  clip: ClipConfig = EVEN,
) -> Loss:
  """(1/N) Σᵢ (1/|yᵢ|) Σₜ −min(ρ A, clip(ρ) A): every sequence weighs the same.

  GRPO's (arXiv:2402.03300, eq. 3) without its KL term. N sequences.
  """
  value_BT, is_clipped_BT = clipped_terms(
    logprob_BT, logprob_old_BT, advantage_BT, mask_BT, clip
  )
  mean_BS = sequence_mean(value_BT, mask_BT, segment_BT)
  loss = jnp.sum(mean_BS) / totals.sequences
  return loss, {'clip/share': masked_sum(is_clipped_BT, mask_BT)}


def dr_grpo_loss(
  logprob_BT: jax.Array,
  logprob_old_BT: jax.Array,
  advantage_BT: jax.Array,
  mask_BT: jax.Array,
  segment_BT: jax.Array,
  totals: Totals = ONE,
  *,
  max_new_tokens: int,
  clip: ClipConfig = EVEN,
) -> Loss:
  """(1/(N · L)) Σᵢ Σₜ −min(ρ A, clip(ρ) A), L = max_new_tokens, a constant.

  Dr. GRPO's (arXiv:2503.20783): dividing by a constant instead of |yᵢ| takes
  away the bias to long wrong answers. Meant for `group_centered` advantages.
  """
  del segment_BT  # their number is all it takes
  value_BT, is_clipped_BT = clipped_terms(
    logprob_BT, logprob_old_BT, advantage_BT, mask_BT, clip
  )
  loss = masked_sum(value_BT, mask_BT) / (totals.sequences * max_new_tokens)
  return loss, {'clip/share': masked_sum(is_clipped_BT, mask_BT)}


def gspo_loss(
  logprob_BT: jax.Array,
  logprob_old_BT: jax.Array,
  advantage_BT: jax.Array,
  mask_BT: jax.Array,
  segment_BT: jax.Array,
  totals: Totals = ONE,
  *,
  clip: ClipConfig = NARROW,
) -> Loss:
  """(1/N) Σᵢ −min(sᵢ Aᵢ, clip(sᵢ, 1 − ε_low, 1 + ε_high) Aᵢ).

  sᵢ = exp((1/|yᵢ|) Σₜ log π − log π_old), one ratio a sequence, with clip
  widths to match (GSPO, arXiv:2507.18071, eq. 5-7 and section 5.1). Where
  tokens of a sequence differ in A, Aᵢ is their mean.
  """
  chex.assert_equal_shape([logprob_BT, logprob_old_BT, advantage_BT, mask_BT])
  log_ratio_BT = log_ratio(logprob_BT, logprob_old_BT, mask_BT)
  ratio_BS = jnp.exp(sequence_mean(log_ratio_BT, mask_BT, segment_BT))
  clipped_BS = jnp.clip(ratio_BS, 1 - clip.low, 1 + clip.high)
  # 0 where there is no sequence, which then adds nothing.
  advantage_BS = sequence_mean(advantage_BT, mask_BT, segment_BT)
  free_BS, held_BS = ratio_BS * advantage_BS, clipped_BS * advantage_BS
  loss = -jnp.sum(jnp.minimum(free_BS, held_BS)) / totals.sequences
  is_clipped_BT = to_tokens(held_BS < free_BS, segment_BT)
  return loss, {'clip/share': masked_sum(is_clipped_BT, mask_BT)}


def cispo_loss(
  logprob_BT: jax.Array,
  logprob_old_BT: jax.Array,
  advantage_BT: jax.Array,
  mask_BT: jax.Array,
  segment_BT: jax.Array,
  totals: Totals = ONE,
  *,
  cap: float = 5.0,
) -> Loss:
  """(1/Σ|yᵢ|) Σᵢ Σₜ −sg(min(ρ, cap)) A log π; sg stops the gradient.

  CISPO (MiniMax-M1, arXiv:2506.13585): a clipped token keeps a bounded
  gradient instead of losing it. No lower bound, as there. The cap of 5 is
  ScaleRL's (arXiv:2510.13786); MiniMax gives none. The value means nothing,
  its gradient does.
  """
  del segment_BT  # every token weighs the same
  chex.assert_equal_shape([logprob_BT, logprob_old_BT, advantage_BT, mask_BT])
  ratio_BT = jnp.exp(log_ratio(logprob_BT, logprob_old_BT, mask_BT))
  weight_BT = jax.lax.stop_gradient(jnp.minimum(ratio_BT, cap))
  value_BT = -weight_BT * advantage_BT * logprob_BT
  loss = masked_sum(value_BT, mask_BT) / totals.tokens
  return loss, {'clip/share': masked_sum(ratio_BT > cap, mask_BT)}
