# SPDX-License-Identifier: Apache-2.0
"""What a layer keeps changes memory, and no number."""

import jax
import jax.numpy as jnp
import numpy as np

from srpo_jax.core import mesh as mesh_lib
from srpo_jax.policy.config import DecoderConfig
from srpo_jax.policy.policy import make_policy
from srpo_jax.policy.remat import REMAT

CONFIG = DecoderConfig(31, 16, 2, 4, 2, 6, 24)
MESH = mesh_lib.make_mesh((1, 1, 1), jax.devices()[:1])


def test_every_name_gives_the_same_gradient_and_recomputes_what_it_says():
  tokens = np.random.default_rng(0).integers(0, 31, (2, 9)).astype(np.int32)
  position = np.broadcast_to(np.arange(9, dtype=np.int32), (2, 9))
  found, products = {}, {}
  for name in REMAT:
    policy = make_policy(CONFIG, MESH, remat=name)
    args = (tokens, position, np.ones_like(tokens), 1.0)
    total = lambda p, f=policy.logprobs, a=args: jnp.sum(f(p, *a)[0])
    grad = jax.jit(jax.grad(total))
    params = policy.init(jax.random.key(0))
    found[name] = [np.asarray(x) for x in jax.tree.leaves(grad(params))]
    products[name] = grad.lower(params).as_text().count('dot_general')
  for name in REMAT:
    for x, y in zip(found[name], found['everything'], strict=True):
      np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)
  assert products['nothing'] > products['dots'] >= products['everything']
