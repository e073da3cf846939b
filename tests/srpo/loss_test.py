# SPDX-License-Identifier: Apache-2.0
"""The objective against numbers worked out by hand and a numpy reference."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from srpo_jax.srpo.loss import ClipConfig, mismatch_kl, srpo_loss


def one_a_row(mask):
  return np.ones(np.shape(mask), np.int32)


def reference(logprob, old, advantage, mask, low, high):
  """The objective again, in plain loops."""
  total, clipped = 0.0, 0
  for b in range(len(logprob)):
    for t in range(len(logprob[b])):
      if not mask[b][t]:
        continue
      ratio = np.exp(logprob[b][t] - old[b][t])
      held = min(max(ratio, 1 - low), 1 + high)
      a = advantage[b][t]
      total -= min(ratio * a, held * a)
      clipped += held * a < ratio * a
  return total, clipped


def arrays(seed=0, B=4, T=7):
  rng = np.random.default_rng(seed)
  logprob = rng.normal(-1, 0.5, (B, T)).astype(np.float32)
  old = rng.normal(-1, 0.5, (B, T)).astype(np.float32)
  advantage = rng.normal(size=(B, T)).astype(np.float32)
  return logprob, old, advantage, rng.random((B, T)) < 0.7


def test_golden_by_hand():
  # Ratios 1.5, 0.5, 1.5, 0.5 with advantages +1, +1, -1, -1 and clips
  # [0.8, 1.28]: min(1.5, 1.28) + min(0.5, 0.8) + min(-1.5, -1.28)
  # + min(-0.5, -0.8) = 1.28 + 0.5 - 1.5 - 0.8 = -0.52; the loss is +0.52.
  ratio = jnp.array([[1.5, 0.5, 1.5, 0.5]])
  advantage = jnp.array([[1.0, 1.0, -1.0, -1.0]])
  mask = jnp.ones((1, 4), bool)
  loss, sums = srpo_loss(
    jnp.log(ratio),
    jnp.zeros((1, 4)),
    advantage,
    mask,
    one_a_row(mask),
    clip=ClipConfig(),
  )
  np.testing.assert_allclose(loss, 0.52, rtol=1e-6)
  assert int(sums['clip/share']) == 2


@pytest.mark.parametrize('clip', [ClipConfig(), ClipConfig(low=0.1, high=0.1)])
def test_golden_by_reference(clip):
  logprob, old, advantage, mask = arrays()
  loss, sums = srpo_loss(
    logprob, old, advantage, mask, one_a_row(mask), clip=clip
  )
  wanted, clipped = reference(
    logprob, old, advantage, mask, clip.low, clip.high
  )
  np.testing.assert_allclose(loss, wanted, rtol=1e-5)
  assert int(sums['clip/share']) == clipped > 0


def test_gradient_of_an_on_policy_token_is_minus_its_advantage():
  logprob, _, advantage, mask = arrays()
  grad = jax.grad(
    lambda x: srpo_loss(
      x, jnp.asarray(logprob), advantage, mask, one_a_row(mask)
    )[0]
  )(jnp.asarray(logprob))
  np.testing.assert_allclose(grad, np.where(mask, -advantage, 0), rtol=1e-6)


def test_nan_outside_the_mask_changes_nothing():
  logprob, old, advantage, mask = arrays()
  clean = srpo_loss(logprob, old, advantage, mask, one_a_row(mask))[0]
  dirty = np.where(mask, logprob, np.nan)
  np.testing.assert_array_equal(
    srpo_loss(dirty, old, advantage, mask, one_a_row(mask))[0], clean
  )


def test_mismatch_is_zero_for_equal_and_positive_for_different():
  logprob, old, _, mask = arrays()
  assert float(mismatch_kl(logprob, logprob, mask)) == 0
  # One token with ratio e: e - 1 - 1 = 0.71828.
  one = mismatch_kl(jnp.ones((1, 1)), jnp.zeros((1, 1)), jnp.ones((1, 1), bool))
  np.testing.assert_allclose(one, np.e - 2, rtol=1e-6)
  assert float(mismatch_kl(logprob, old, mask)) > 0
