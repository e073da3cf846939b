# SPDX-License-Identifier: Apache-2.0
"""The fingerprint: what it is made of, and what the host holds meanwhile."""

import hashlib
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from srpo_jax.train import state
from srpo_jax.train.state import fingerprint


def of_all_at_once(params) -> str:
  """The formula, with everything on the host at once."""
  digest = hashlib.sha256()
  leaves = jax.tree_util.tree_leaves_with_path(jax.device_get(params))
  for path, x in sorted(leaves, key=lambda leaf: jax.tree_util.keystr(leaf[0])):
    x = np.ascontiguousarray(x)
    name = f'{jax.tree_util.keystr(path)} {x.dtype} {x.shape}\n'
    digest.update(name.encode())
    digest.update(x.tobytes())
  return digest.hexdigest()


def make_params():
  draw = lambda seed, *shape: jax.random.normal(jax.random.key(seed), shape)
  return {
    'table': draw(0, 37, 5),
    'layers': {
      'scale': draw(1, 4, 3).astype(jnp.bfloat16),
      'kernel': draw(2, 4, 6, 2, 3),
      'count': jnp.arange(4),
    },
    'one': jnp.float32(7),
    'none': jnp.zeros((0, 3)),
  }


# Whole, several rows a piece with some left over, and rows above a piece.
@pytest.mark.parametrize('piece_bytes', [2**20, 100, 90, 8])
def test_pieces_give_the_digest_of_the_whole(monkeypatch, piece_bytes):
  monkeypatch.setattr(state, 'PIECE_BYTES', piece_bytes)
  params = make_params()
  assert fingerprint(params) == of_all_at_once(params)
  on_host = jax.device_get(params)
  assert fingerprint(on_host) == of_all_at_once(params)


def test_it_is_what_it_was():
  tables = {'b': np.arange(6, dtype=np.float32).reshape(2, 3), 'a': np.ones(2)}
  digest = '32bb3d50ab418e0f316c4bcd208dd1615373149a372b69f6b28d846687ce6932'
  assert fingerprint(tables) == digest


@pytest.mark.parametrize('change', ['value', 'name', 'dtype', 'shape'])
def test_another_policy_has_another(change):
  params = make_params()
  changed = {
    'value': {**params, 'table': params['table'].at[36, 4].add(1e-6)},
    'name': {**params, 'other': params['one']},
    'dtype': {**params, 'none': jnp.zeros((0, 3), jnp.int32)},
    'shape': {**params, 'table': params['table'].reshape(5, 37)},
  }
  assert fingerprint(changed[change]) != fingerprint(params)


MEASURED = """
import sys, tracemalloc
import jax, numpy as np
from srpo_jax.core import mesh
from srpo_jax.train import state

assert jax.device_count() == 2
devices = mesh.make_mesh((1, 1, 2))
cut = mesh.sharding(devices, ('vocab', None), (1024, 4096))
leaf = np.arange(1024 * 4096, dtype=np.float32).reshape(1024, 4096)
params = {name: jax.device_put(leaf, cut) for name in 'abcd'}
state.PIECE_BYTES = 2**20
tracemalloc.start()
state.fingerprint(params)
print(tracemalloc.get_traced_memory()[1] / leaf.nbytes)
"""


def test_the_host_holds_a_piece_and_not_the_policy():
  done = subprocess.run(
    [sys.executable, '-c', MEASURED],
    env={
      **os.environ,
      'XLA_FLAGS': '--xla_force_host_platform_device_count=2',
    },
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  # Of four arrays of 16 MiB, in pieces of 1 MiB.
  assert float(done.stdout) < 0.5
