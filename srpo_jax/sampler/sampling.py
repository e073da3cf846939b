# SPDX-License-Identifier: Apache-2.0
"""From logits to a token: temperature, top-k, top-p, one uniform number.

A token is drawn by inverting the cumulative distribution at one uniform
number a row, so a token depends on its own key and on nothing else. Top-k and
top-p cut by a threshold that is found by bisection over the bits of a float:
exact, and without sorting the vocabulary.
"""

import dataclasses

import jax
import jax.numpy as jnp

# Tokens of a block of the two-level running sum: a TPU's lanes.
BLOCK = 128


@dataclasses.dataclass(frozen=True)
class SamplerConfig:
  """How responses are drawn.

  Attributes:
    max_new_tokens: longest response, end token included.
    temperature: divides the logits; 0 takes the most likely token.
    top_k: keep the k most likely tokens; 0 keeps all.
    top_p: keep the most likely tokens up to this share; 1 keeps all.
    end_ids: tokens that end a response.
    pad_id: what fills the row after the end.
  """

  max_new_tokens: int
  end_ids: tuple[int, ...]
  pad_id: int
  temperature: float = 1.0
  top_k: int = 0
  top_p: float = 1.0


def _largest_threshold(enough, shape: tuple[int, ...]) -> jax.Array:
  """The largest float t >= 0 with enough(t), for enough falling in t.

  Non-negative floats are ordered as their bits are, so 31 halvings of an
  integer interval end at the exact number.
  """

  def halve(_, low_high):
    low, high = low_high
    middle = low + (high - low) // 2
    t = jax.lax.bitcast_convert_type(middle, jnp.float32)
    ok = enough(t)
    return jnp.where(ok, middle, low), jnp.where(ok, high, middle)

  low = jnp.zeros(shape, jnp.int32)
  high = jnp.full(shape, 0x7F800000, jnp.int32)  # the bits of infinity
  low, _ = jax.lax.fori_loop(0, 31, halve, (low, high))
  return jax.lax.bitcast_convert_type(low, jnp.float32)


def keep_top_k(prob_BV: jax.Array, k: int) -> jax.Array:
  """Zeroes all but the k most likely tokens; ties at the k-th stay."""

  def enough(t_B):
    return jnp.sum(prob_BV >= t_B[:, None], axis=-1) >= k

  threshold_B = _largest_threshold(enough, prob_BV.shape[:1])
  return jnp.where(prob_BV >= threshold_B[:, None], prob_BV, 0)


def keep_top_p(prob_BV: jax.Array, p: float) -> jax.Array:
  """Zeroes all but the smallest set of likely tokens with mass >= p.

  Nucleus sampling, Holtzman et al. 2019, equation 2; ties at the edge stay.
  """

  total_B = jnp.sum(prob_BV, axis=-1)

  def enough(t_B):
    mass_B = jnp.sum(jnp.where(prob_BV >= t_B[:, None], prob_BV, 0), axis=-1)
    return mass_B >= p * total_B

  threshold_B = _largest_threshold(enough, prob_BV.shape[:1])
  return jnp.where(prob_BV >= threshold_B[:, None], prob_BV, 0)


def invert_cdf(prob_BV: jax.Array, uniform_B: jax.Array) -> jax.Array:
  """The first token whose cumulative probability exceeds u · total.

  In two levels, first among blocks and then inside one: a running sum over
  the whole vocabulary costs ten times as much.
  """
  V = prob_BV.shape[-1]
  pad = -V % BLOCK
  blocks = jnp.pad(prob_BV, ((0, 0), (0, pad))).reshape(len(prob_BV), -1, BLOCK)
  sum_Bn = jnp.sum(blocks, axis=-1)
  target_B = uniform_B * jnp.sum(sum_Bn, axis=-1)
  block_B, below_B = _first_above(sum_Bn, target_B)
  inside = jnp.take_along_axis(blocks, block_B[:, None, None], axis=1)[:, 0]
  column_B, _ = _first_above(inside, target_B - below_B)
  return block_B * BLOCK + column_B


def _first_above(mass_Bn, target_B):
  """The first place whose running sum exceeds the target; what lies below.

  Sums round, so that no place may: then it is the last that has any mass.
  """
  cdf_Bn = jnp.cumsum(mass_Bn, axis=-1)
  place_B = jnp.sum(cdf_Bn <= target_B[:, None], axis=-1)
  last_B = mass_Bn.shape[-1] - 1 - jnp.argmax(mass_Bn[:, ::-1] > 0, axis=-1)
  place_B = jnp.minimum(place_B, last_B)
  upto_B = jnp.take_along_axis(cdf_Bn, place_B[:, None], axis=-1)[:, 0]
  own_B = jnp.take_along_axis(mass_Bn, place_B[:, None], axis=-1)[:, 0]
  return place_B, upto_B - own_B


def sample(
  logits_BV: jax.Array, uniform_B: jax.Array, config: SamplerConfig
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """One token a row.

  Returns:
    token_B; its log-probability under the distribution it was drawn from;
    and under the policy at this temperature before top-k and top-p.
  """
  if config.temperature == 0:
    return _greedy(logits_BV)
  logits_BV = logits_BV / config.temperature
  high_B = jnp.max(logits_BV, axis=-1, keepdims=True)
  weight_BV = jnp.exp(logits_BV - high_B)
  logz_B = high_B[:, 0] + jnp.log(jnp.sum(weight_BV, axis=-1))
  if config.top_k:
    weight_BV = keep_top_k(weight_BV, config.top_k)
  if config.top_p < 1:
    weight_BV = keep_top_p(weight_BV, config.top_p)
  token_B = invert_cdf(weight_BV, uniform_B)
  chosen_B = jnp.take_along_axis(logits_BV, token_B[:, None], axis=-1)[:, 0]
  raw_B = chosen_B - logz_B
  if not config.top_k and config.top_p == 1:
    return token_B, raw_B, raw_B
  kept_B = high_B[:, 0] + jnp.log(jnp.sum(weight_BV, axis=-1))
  return token_B, chosen_B - kept_B, raw_B


def _greedy(logits_BV):
  """The most likely token: certain under the sampling distribution."""
  token_B = jnp.argmax(logits_BV, axis=-1)
  logprob_BV = jax.nn.log_softmax(logits_BV, axis=-1)
  raw_B = jnp.take_along_axis(logprob_BV, token_B[:, None], axis=-1)[:, 0]
  return token_B, jnp.zeros_like(raw_B), raw_B
