# SPDX-License-Identifier: Apache-2.0
"""The objective: clipped ratio, mean over the tokens of the whole batch.

A loss here gets a piece of the batch and gives the piece's part of the
objective: a sum over its tokens, divided by `totals` of the whole batch. The
parts are added up. So the answer cannot depend on how the batch is cut:
micro-batches, packing, padding, mesh. Other objectives are in
loss_variants.py.
"""

import dataclasses
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from srpo_jax.core.masked import masked_sum, sequence_count


@dataclasses.dataclass(frozen=True)
class ClipConfig:
  """Clip range of the ratio: [1 − low, 1 + high].

  The paper's values were not found; DAPO's (arXiv:2503.14476) of the same
  month are our choice.
  """

  low: float = 0.2
  high: float = 0.28


class Totals(NamedTuple):
  """What the whole batch counts, however it is cut.

  Attributes:
    tokens: tokens that count in the loss.
    sequences: those with at least one such token.
  """

  tokens: jax.Array
  sequences: jax.Array


# With these a loss gives the plain sum over what it was given.
ONE = Totals(1.0, 1.0)


def totals_of(mask_BT: jax.Array, segment_BT: jax.Array) -> Totals:
  """Totals of a whole batch; at least 1, to be divided by."""
  at_least_one = lambda x: jnp.maximum(jnp.sum(x), 1).astype(jnp.float32)
  counts_BS = sequence_count(mask_BT, segment_BT) > 0
  return Totals(at_least_one(mask_BT), at_least_one(counts_BS))


def srpo_loss(
  logprob_BT: jax.Array,
  logprob_old_BT: jax.Array,
  advantage_BT: jax.Array,
  mask_BT: jax.Array,
  segment_BT: jax.Array,
  totals: Totals = ONE,
  *,
  clip: ClipConfig = ClipConfig(),
) -> tuple[jax.Array, dict[str, jax.Array]]:
  """(1/Σ|yᵢ|) Σᵢ Σₜ −min(ρ A, clip(ρ, 1 − ε_low, 1 + ε_high) A).

  ρ = exp(log π(token) − log π_old(token)). GRPO's objective without its KL
  term (SRPO, arXiv:2504.14286) and with a token-level mean.

  Args:
    logprob_BT: log π of each token at the sampling temperature.
    logprob_old_BT: log π_old of the same tokens.
    advantage_BT: A of each token's sequence.
    mask_BT: True where the token counts.
    segment_BT: the token's sequence in its row, for losses that ask for it.
    totals: of the whole batch, of which this may be a piece.

  Returns:
    This piece's part of the objective, and sums over tokens named as metrics
    (the caller divides these by the tokens of the batch): 'clip/share'.
  """
  del segment_BT  # every token weighs the same
  value_BT, is_clipped_BT = clipped_terms(
    logprob_BT, logprob_old_BT, advantage_BT, mask_BT, clip
  )
  loss = masked_sum(value_BT, mask_BT) / totals.tokens
  return loss, {'clip/share': masked_sum(is_clipped_BT, mask_BT)}


def clipped_terms(
  logprob_BT: jax.Array,
  logprob_old_BT: jax.Array,
  advantage_BT: jax.Array,
  mask_BT: jax.Array,
  clip: ClipConfig,
) -> tuple[jax.Array, jax.Array]:
  """−min(ρ A, clip(ρ) A) of each token, and True where clipping lowered it.

  PPO's surrogate (arXiv:1707.06347, eq. 7) with two clip widths, as in DAPO.
  """
  chex.assert_equal_shape([logprob_BT, logprob_old_BT, advantage_BT, mask_BT])
  ratio_BT = jnp.exp(log_ratio(logprob_BT, logprob_old_BT, mask_BT))
  clipped_BT = jnp.clip(ratio_BT, 1 - clip.low, 1 + clip.high)
  free_BT, held_BT = ratio_BT * advantage_BT, clipped_BT * advantage_BT
  return -jnp.minimum(free_BT, held_BT), held_BT < free_BT


def log_ratio(
  logprob_BT: jax.Array, logprob_old_BT: jax.Array, mask_BT: jax.Array
) -> jax.Array:
  """log π − log π_old; 0 outside the mask, whatever stands there."""
  return jnp.where(mask_BT, logprob_BT - logprob_old_BT, 0)


def mismatch_kl(
  logprob_BT: jax.Array, logprob_rollout_BT: jax.Array, mask_BT: jax.Array
) -> jax.Array:
  """Σ over tokens of (ρ − 1 − log ρ), ρ = π_trainer / π_sampler.

  An unbiased, never negative estimate of KL(sampler ‖ trainer)
  (http://joschu.net/blog/kl-approx.html, k3). 0 if both compute the same.
  """
  log_ratio_BT = log_ratio(logprob_BT, logprob_rollout_BT, mask_BT)
  return masked_sum(jnp.expm1(log_ratio_BT) - log_ratio_BT, mask_BT)
