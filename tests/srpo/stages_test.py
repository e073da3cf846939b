# SPDX-License-Identifier: Apache-2.0
"""When a stage ends."""

from srpo_jax.srpo.stages import Until


def test_whichever_comes_first():
  until = Until(steps=10, epochs=2)
  assert not until.reached(steps=9, epochs=1)
  assert until.reached(steps=10, epochs=0)
  assert until.reached(steps=1, epochs=2)


def test_none_is_no_limit():
  assert not Until().reached(steps=10**9, epochs=10**9)
