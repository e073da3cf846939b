# SPDX-License-Identifier: Apache-2.0
"""Temperature, top-k, top-p and the inverse CDF against sorted numpy."""

import jax.numpy as jnp
import numpy as np
import pytest

from srpo_jax.sampler.sampling import (
  SamplerConfig,
  invert_cdf,
  keep_top_k,
  keep_top_p,
  sample,
)


def probabilities(B=20, V=40, seed=0):
  logits = np.random.default_rng(seed).normal(0, 2, (B, V))
  prob = np.exp(logits)
  return (prob / prob.sum(axis=1, keepdims=True)).astype(np.float32)


def config(**changes):
  return SamplerConfig(max_new_tokens=4, end_ids=(1,), pad_id=0, **changes)


@pytest.mark.parametrize('k', [1, 3, 40, 100])
def test_top_k_keeps_the_k_largest(k):
  prob = probabilities()
  kept = np.asarray(keep_top_k(prob, k)) > 0
  for row, keep in zip(prob, kept, strict=True):
    wanted = np.argsort(-row)[:k]
    assert set(np.flatnonzero(keep)) == set(wanted)


@pytest.mark.parametrize('p', [0.01, 0.5, 0.9, 0.999])
def test_top_p_keeps_the_smallest_set_with_that_mass(p):
  prob = probabilities()
  kept = np.asarray(keep_top_p(prob, p)) > 0
  for row, keep in zip(prob, kept, strict=True):
    order = np.argsort(-row)
    mass = np.cumsum(row[order].astype(np.float64))
    n = int(np.searchsorted(mass, p)) + 1
    assert set(np.flatnonzero(keep)) == set(order[:n])


def test_ties_at_the_edge_stay():
  prob = jnp.array([[0.4, 0.2, 0.2, 0.2]])
  assert (np.asarray(keep_top_k(prob, 2)) > 0).tolist() == [[True] * 4]


def test_inverse_cdf_by_hand():
  prob = jnp.array([[0.2, 0.0, 0.5, 0.3]] * 5)
  u = jnp.array([0.0, 0.19, 0.2001, 0.69, 0.71])
  assert invert_cdf(prob, u).tolist() == [0, 0, 2, 2, 3]


def test_the_largest_number_below_one_hits_a_possible_token():
  prob = jnp.array([[0.5, 0.5, 0.0, 0.0]])
  u = jnp.array([np.nextafter(np.float32(1), np.float32(0))])
  assert invert_cdf(prob, u).tolist() == [1]


def test_frequencies_are_the_probabilities():
  prob = probabilities(B=1, V=6)
  u = (np.arange(20_000) + 0.5) / 20_000
  token = invert_cdf(jnp.repeat(prob, 20_000, axis=0), jnp.asarray(u))
  share = np.bincount(token, minlength=6) / 20_000
  np.testing.assert_allclose(share, prob[0], atol=2e-4)


def test_log_probabilities_of_both_distributions():
  logits = np.log(np.array([[0.1, 0.2, 0.3, 0.4]], np.float32))
  # The two likeliest have 0.3 and 0.4; drawn at u = 0.1 it is token 2.
  token, logprob, raw = sample(
    jnp.asarray(logits), jnp.array([0.1]), config(top_k=2)
  )
  assert token.tolist() == [2]
  np.testing.assert_allclose(logprob, np.log([0.3 / 0.7]), rtol=1e-5)
  np.testing.assert_allclose(raw, np.log([0.3]), rtol=1e-5)


def test_temperature_sharpens():
  logits = np.log(np.array([[0.2, 0.8]], np.float32))
  _, logprob, raw = sample(
    jnp.asarray(logits), jnp.array([0.99]), config(temperature=0.5)
  )
  wanted = np.log([0.8**2 / (0.8**2 + 0.2**2)])
  np.testing.assert_allclose(logprob, wanted, rtol=1e-5)
  np.testing.assert_allclose(raw, wanted, rtol=1e-5)


def test_greedy_is_certain():
  logits = jnp.array([[0.0, 3.0, 1.0]])
  token, logprob, _ = sample(logits, jnp.array([0.99]), config(temperature=0))
  assert token.tolist() == [1]
  assert logprob.tolist() == [0.0]
