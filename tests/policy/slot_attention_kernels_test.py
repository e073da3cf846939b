# SPDX-License-Identifier: Apache-2.0
"""Attention of slots: the plain form is `causal`, the kernel the plain form."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from srpo_jax.core import mesh as mesh_lib
from srpo_jax.policy import attention
from srpo_jax.policy.attention.over_mesh import slots_over_mesh
from srpo_jax.policy.attention.slots import Sight, decode_slots_reference
from srpo_jax.policy.attention.slots_tpu import decode_slots_tpu

OWN = [{}, {'scale': 0.7, 'softcap': 2.0}]


def slots(S=5, N=6, K=2, H=8, P=3, L=384, C=256):
  """Prompts in no order; no, some and all columns seen; NaN where none is."""
  rng = np.random.default_rng(0)
  f = lambda *shape: rng.normal(size=shape).astype(np.float32)
  seen_SC = rng.random((S, C)) < 0.3
  seen_SC[1], seen_SC[2, : C // 2], seen_SC[3, C // 2 :] = False, False, False
  sight = Sight(
    prompt_S=np.array([2, 0, 2, 1, 0], np.int32),
    begin_S=np.array([0, 0, L // 2, 0, L - 10], np.int32),
    end_S=np.array([L // 3, L, L - 2, 1, L - 5], np.int32),
    seen_SC=seen_SC,
  )
  fed, prompt, own = (
    (f(S, K, H), f(S, K, H)),
    (f(P, K, H, L), f(P, K, L, H)),
    (f(S, K, H, C), f(S, K, C, H)),
  )
  return f(S, N, H), fed, prompt, own, sight


@pytest.mark.parametrize('own', OWN, ids=str)
def test_the_plain_form_is_the_last_row_of_the_whole(own):
  """A prompt of 7, then own tokens in a ring that has turned."""
  q_SNH, fed, prompt, ring, _ = slots(L=9, C=4)
  order = np.array([2, 3, 0])  # columns of the ring, oldest first
  seen_SC = np.zeros((5, 4), bool)
  seen_SC[:, order] = True
  index = np.array([2, 0, 2, 1, 0])
  sight = Sight(index, np.full(5, 3), np.full(5, 7), seen_SC)
  got = decode_slots_reference(q_SNH, fed, prompt, ring, sight, **own)
  k, v = (
    np.concatenate([p[index][:, :, 3:7], r[:, :, order], f[:, :, None]], 2)
    for p, r, f in zip(
      (prompt[0].swapaxes(2, 3), prompt[1]),
      (ring[0].swapaxes(2, 3), ring[1]),
      fed,
      strict=True,
    )
  )
  q = np.zeros((5, 8, *q_SNH.shape[1:]), np.float32)
  q[:, -1] = q_SNH
  whole = attention.causal(
    q, k.swapaxes(1, 2), v.swapaxes(1, 2), np.ones((5, 8), np.int32), **own
  )
  np.testing.assert_allclose(got, whole[:, -1], atol=1e-5)


@pytest.mark.parametrize('own', OWN, ids=str)
@pytest.mark.parametrize('columns', [128, 384], ids='{}_a_block'.format)
def test_the_tpu_kernel_is_the_plain_form(own, columns):
  args = slots()
  kernel = functools.partial(decode_slots_tpu, **own, interpret=True)
  got = kernel(*args, block_bytes=columns * 2 * 128 * 4)
  want = decode_slots_reference(*args, **own)
  np.testing.assert_allclose(got, want, atol=1e-5)


def test_blocks_that_nobody_sees_are_not_met():
  """NaN there would reach the sums."""
  q, fed, prompt, own, sight = slots()
  sight = sight._replace(begin_S=np.full(5, 128), end_S=np.full(5, 256))
  prompt[1][:, :, :128] = prompt[1][:, :, 256:] = np.nan
  own[1][2, :, :128] = np.nan
  kernel = functools.partial(decode_slots_tpu, interpret=True)
  out = kernel(q, fed, prompt, own, sight, block_bytes=128 * 2 * 128 * 4)
  assert np.isfinite(out).all()


def on_meshes():
  """What `test_a_mesh_changes_nothing` runs with eight devices."""
  q, *rest = jax.tree.map(lambda *x: np.stack(x), *(slots() for _ in range(4)))
  args = q + np.arange(4, dtype=np.float32).reshape(4, 1, 1, 1), *rest
  want = jax.vmap(decode_slots_reference)(*args)
  kernel = functools.partial(decode_slots_tpu, interpret=True)
  for shape in ((2, 2, 2), (4, 1, 2)):
    mesh = mesh_lib.make_mesh(shape, jax.devices())
    got = jax.jit(slots_over_mesh(mesh, kernel))(*args)
    np.testing.assert_allclose(got, want, atol=1e-5)


def test_a_mesh_changes_nothing():
  environment = {
    **os.environ,
    'XLA_FLAGS': '--xla_force_host_platform_device_count=8',
    'PYTHONPATH': str(Path(__file__).parents[2]),
  }
  done = subprocess.run(
    [sys.executable, __file__],
    env=environment,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr[-2000:]


if __name__ == '__main__':
  on_meshes()
