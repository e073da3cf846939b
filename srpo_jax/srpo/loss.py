# SPDX-License-Identifier: Apache-2.0
"""The objective: clipped ratio, mean over the tokens of the whole batch.

A loss here gives each token's part of the sum; the caller divides by the
number of tokens of the global batch. So the answer cannot depend on how the
batch is cut: micro-batches, packing, padding, mesh.
"""

import dataclasses

import chex
import jax
import jax.numpy as jnp

from srpo_jax.core.masked import masked_sum


@dataclasses.dataclass(frozen=True)
class ClipConfig:
  """Clip range of the ratio: [1 − low, 1 + high].

  The paper's values were not found; DAPO's (arXiv:2503.14476) of the same
  month are our choice.
  """

  low: float = 0.2
  high: float = 0.28


def srpo_loss(
  logprob_BT: jax.Array,
  logprob_old_BT: jax.Array,
  advantage_BT: jax.Array,
  mask_BT: jax.Array,
  *,
  clip: ClipConfig = ClipConfig(),
) -> tuple[jax.Array, dict[str, jax.Array]]:
  """Σ over tokens of −min(ρ A, clip(ρ, 1 − ε_low, 1 + ε_high) A).

  ρ = exp(log π(token) − log π_old(token)). GRPO's objective without its KL
  term (SRPO, arXiv:2504.14286) and with a token-level mean.

  Args:
    logprob_BT: log π of each token at the sampling temperature.
    logprob_old_BT: log π_old of the same tokens.
    advantage_BT: A of each token's sequence.
    mask_BT: True where the token counts.

  Returns:
    The sum (to be divided by the tokens of the global batch), and sums over
    tokens named as metrics: 'clip/share'.
  """
  chex.assert_equal_shape([logprob_BT, logprob_old_BT, advantage_BT, mask_BT])
  ratio_BT = jnp.exp(jnp.where(mask_BT, logprob_BT - logprob_old_BT, 0))
  clipped_BT = jnp.clip(ratio_BT, 1 - clip.low, 1 + clip.high)
  free_BT, held_BT = ratio_BT * advantage_BT, clipped_BT * advantage_BT
  loss = -masked_sum(jnp.minimum(free_BT, held_BT), mask_BT)
  return loss, {'clip/share': masked_sum(held_BT < free_BT, mask_BT)}


def mismatch_kl(
  logprob_BT: jax.Array, logprob_rollout_BT: jax.Array, mask_BT: jax.Array
) -> jax.Array:
  """Σ over tokens of (ρ − 1 − log ρ), ρ = π_trainer / π_sampler.

  An unbiased, never negative estimate of KL(sampler ‖ trainer)
  (http://joschu.net/blog/kl-approx.html, k3). 0 if both compute the same.
  """
  log_ratio_BT = jnp.where(mask_BT, logprob_BT - logprob_rollout_BT, 0)
  return masked_sum(jnp.expm1(log_ratio_BT) - log_ratio_BT, mask_BT)
