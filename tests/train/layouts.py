# SPDX-License-Identifier: Apache-2.0
"""Run by update_test.py in a process of its own, with 8 forced CPU devices.

Prints, as JSON, how far loss and gradient of one batch are from those on one
device, for several meshes: relative differences of loss and gradient norm.
"""

import json

import jax
import numpy as np

from srpo_jax.core import mesh as mesh_lib
from srpo_jax.core.records import Batch
from srpo_jax.policy.config import DecoderConfig
from srpo_jax.policy.policy import SCANNED, UNROLLED, make_policy
from srpo_jax.sampler.sampler import joined, slot_refill
from srpo_jax.sampler.sampling import SamplerConfig
from srpo_jax.srpo.importance import no_weights, truncated_sequence_weights
from srpo_jax.srpo.loss import srpo_loss
from srpo_jax.srpo.loss_variants import gspo_loss
from srpo_jax.train import packing
from srpo_jax.train.optimizer import adamw
from srpo_jax.train.state import make_state
from srpo_jax.train.update import make_update

CONFIG = DecoderConfig(
  vocab_size=32,
  dim=16,
  n_layers=2,
  n_heads=4,
  n_kv_heads=2,
  head_dim=8,
  ffn_dim=32,
)


def make_batch(B=16, T=12, pad=0, seed=0) -> Batch:
  """Sequences of many lengths; `pad` columns of padding more at the end."""
  rng = np.random.default_rng(seed)
  length = rng.integers(3, T + 1, B)
  column = np.arange(T)[None]
  inside = column < length[:, None]
  mask = inside & (column >= 2) & (rng.random((B, 1)) < 0.9)
  old = rng.normal(-3, 0.3, (B, T)).astype(np.float32)
  advantage = rng.normal(size=(B, 1))
  arrays = {
    'tokens_BT': np.where(inside, rng.integers(0, 32, (B, T)), 0),
    'logprob_old_BT': old,
    'logprob_rollout_BT': old,
    'mask_BT': mask,
    'advantage_BT': np.repeat(advantage, T, axis=1).astype(np.float32),
    'segment_BT': inside.astype(np.int32),
    'position_BT': np.broadcast_to(column, (B, T)),
  }
  wide = {k: np.pad(v, ((0, 0), (0, pad))) for k, v in arrays.items()}
  return Batch(**wide)


def gradient(
  shape,
  batch,
  *,
  micro_rows=None,
  walk=UNROLLED,
  old=None,
  loss=srpo_loss,
  importance=no_weights,
):
  """(loss, gradient as one vector, metrics) on a mesh of that shape."""
  devices = jax.devices()[: int(np.prod(shape))]
  mesh = mesh_lib.make_mesh(shape, devices)
  policy, optimizer = make_policy(CONFIG, mesh, walk), adamw(learning_rate=1e-3)
  params = policy.init(jax.random.key(0))
  state = make_state(policy, optimizer, mesh, jax.device_get(params))
  more = {} if old is None else {'old': old}
  update = make_update(
    policy,
    optimizer,
    loss,
    mesh,
    micro_rows=micro_rows,
    importance=importance,
    **more,
  )
  placed = mesh_lib.put_batch(mesh, batch)
  value, grads, metrics = jax.jit(update.gradient)(state.params, placed)
  leaves = [np.asarray(x).ravel() for x in jax.tree.leaves(grads)]
  return float(value), np.concatenate(leaves), jax.device_get(metrics)


def rollouts(shape, walk=UNROLLED):
  """Tokens and log-probabilities that a sampler draws on a mesh."""
  mesh = mesh_lib.make_mesh(shape, jax.devices()[: int(np.prod(shape))])
  policy = make_policy(CONFIG, mesh, walk)
  params = jax.device_get(policy.init(jax.random.key(0)))
  params['embed']['table'] = params['embed']['table'] * 25
  state = make_state(policy, adamw(learning_rate=1e-3), mesh, params)
  sampling = SamplerConfig(max_new_tokens=12, end_ids=(1,), pad_id=0)
  sampler = slot_refill(policy, sampling, 4, mesh)
  tokens = np.random.default_rng(0).integers(2, 32, (8, 6)).astype(np.int32)
  mask = np.arange(6)[None] < np.arange(2, 10)[:, None]
  ids, visit = np.arange(8).astype(np.uint64), np.zeros(8, np.int32)
  return joined(
    sampler.stream(state.params, tokens, mask, ids, visit, jax.random.key(7))
  )


def difference(one, other) -> tuple[float, float]:
  """Relative differences of loss and gradient."""
  norm = np.linalg.norm(one[1])
  apart = np.linalg.norm(one[1] - other[1]) / norm
  return abs(one[0] - other[0]) / abs(one[0]), float(apart)


def main() -> None:
  batch = make_batch(B=32)
  one = gradient((1, 1, 1), batch)
  found = {}
  for shape in ((8, 1, 1), (2, 2, 2), (1, 4, 2), (1, 2, 1, 4), (2, 1, 2, 2)):
    for n in (1, 4):
      other = gradient(shape, batch, micro_rows=32 // n)
      found[f'{shape} x {n}'] = difference(one, other)
    shape_of = packing.shape_of(32, 12, 16, 64, shape[0] * shape[1])
    packed = packing.pack(batch, shape_of)
    other = gradient(shape, packed, micro_rows=shape_of.micro_rows)
    found[f'{shape} packed'] = difference(one, other)
  scanned = gradient((2, 2, 2), batch, walk=SCANNED)
  found['scanned (2, 2, 2)'] = difference(one, scanned)
  # Means of whole sequences, where the rest are sums over tokens.
  whole = {'loss': gspo_loss, 'importance': truncated_sequence_weights}
  found['sequences packed (2, 2, 2)'] = difference(
    gradient((1, 1, 1), batch, **whole),
    gradient((2, 2, 2), packed, micro_rows=shape_of.micro_rows, **whole),
  )
  drawn, other = rollouts((1, 1, 1)), rollouts((2, 2, 2), SCANNED)
  same = float((drawn.tokens_BT == other.tokens_BT).mean())
  apart = np.abs(drawn.logprob_BT - other.logprob_BT).max()
  print(json.dumps({'gradients': found, 'tokens': [same, float(apart)]}))


if __name__ == '__main__':
  main()
