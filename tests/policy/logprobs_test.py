# SPDX-License-Identifier: Apache-2.0
"""Chunked log-probabilities: the same numbers, none of the memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from srpo_jax.core import mesh as mesh_lib
from srpo_jax.policy.logprobs import chosen_logprobs

B, T, D, V = 2, 13, 8, 50


MESH = mesh_lib.make_mesh((1, 1, 1), jax.devices()[:1])


def scored(head, y, token, temperature, **more):
  wanted = more.pop('wanted', np.ones((B, T), bool))
  return chosen_logprobs(MESH, head, y, token, wanted, temperature, **more)


def naive(head_VD, y_BTD, token_BT, temperature):
  logprob = jax.nn.log_softmax(y_BTD @ head_VD.T / temperature, axis=-1)
  chosen = jnp.take_along_axis(logprob, token_BT[..., None], axis=-1)[..., 0]
  return chosen, -jnp.sum(jnp.exp(logprob) * logprob, axis=-1)


def arrays():
  rng = np.random.default_rng(0)
  head = rng.normal(size=(V, D)).astype(np.float32)
  y = rng.normal(size=(B, T, D)).astype(np.float32)
  return head, y, rng.integers(0, V, (B, T))


@pytest.mark.parametrize('chunk', [1, 4, 13, 100, None])
@pytest.mark.parametrize('temperature', [1.0, 0.7])
def test_equals_the_naive_form(chunk, temperature):
  head, y, token = arrays()
  got = scored(head, y, token, temperature, chunk=chunk)
  wanted = naive(head, y, token, temperature)
  for g, w in zip(got, wanted, strict=True):
    np.testing.assert_allclose(g, w, atol=1e-5)


def test_gradient_equals_the_naive_form():
  head, y, token = arrays()

  def total(f):
    weight = jnp.arange(B * T, dtype=jnp.float32).reshape(B, T)
    return lambda head, y: sum(jnp.sum(weight * x) for x in f(head, y, token))

  chunked = total(lambda h, y, t: scored(h, y, t, 0.9, chunk=4))
  whole = total(lambda h, y, t: naive(h, y, t, 0.9))
  for g, w in zip(
    jax.grad(chunked, argnums=(0, 1))(head, y),
    jax.grad(whole, argnums=(0, 1))(head, y),
    strict=True,
  ):
    assert np.linalg.norm(g - w) <= 1e-5 * np.linalg.norm(w)


def test_only_what_is_wanted_is_computed():
  """NaN anywhere else reaches neither results nor gradients."""
  head, y, token = arrays()
  wanted = np.random.default_rng(1).random((B, T)) < 0.4
  spoilt = np.where(wanted[..., None], y, np.nan)

  def total(f):
    return lambda head, y: sum(
      jnp.sum(jnp.where(wanted, x, 0)) for x in f(head, y)
    )

  some = lambda head, y: scored(head, y, token, 0.9, wanted=wanted, chunk=4)
  for x in some(head, spoilt):
    np.testing.assert_array_equal(np.asarray(x)[~wanted], 0)
  got = jax.grad(total(some), argnums=(0, 1))(head, spoilt)
  whole = total(lambda head, y: naive(head, y, token, 0.9))
  for g, w in zip(got, jax.grad(whole, argnums=(0, 1))(head, y), strict=True):
    np.testing.assert_allclose(g, w, atol=1e-5)


def test_softcapped_logits():
  head, y, token = arrays()
  capped = lambda head, y: scored(head, y, token, 0.7, softcap=3.0, chunk=5)

  def whole(head, y):
    z = 3 * jnp.tanh(y @ head.T / 3) / 0.7
    logprob = jax.nn.log_softmax(z, axis=-1)
    chosen = jnp.take_along_axis(logprob, token[..., None], axis=-1)[..., 0]
    return chosen, -jnp.sum(jnp.exp(logprob) * logprob, axis=-1)

  slopes = (
    jax.grad(lambda *a, f=f: sum(map(jnp.sum, f(*a))), (0, 1))
    for f in (capped, whole)
  )
  for g, w in zip(*(f(head, y) for f in slopes), strict=True):
    np.testing.assert_allclose(g, w, atol=1e-5)
