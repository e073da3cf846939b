# SPDX-License-Identifier: Apache-2.0
"""Causal attention on a TPU: the splash kernel that comes with jax.

It takes segment ids, windows, a soft cap and grouped heads as they are, skips
blocks that a static mask hides, and keeps no [T, T].
"""

import jax
import jax.numpy as jnp
from jax.experimental.pallas.ops.tpu import splash_attention as lib

# Tokens of a block: MaxText's default (sa_block_q and the others in its
# base.yml). Not measured by us.
BLOCK = 512
LANES = 128  # what a block is a multiple of


def splash(
  q_BTNH: jax.Array,
  k_BTKH: jax.Array,
  v_BTKH: jax.Array,
  segment_BT: jax.Array,
  *,
  scale: float | None = None,
  window: int | None = None,
  softcap: float | None = None,
  interpret: bool = False,
) -> jax.Array:
  """`causal` for a window that is known; T is padded to whole blocks.

  Args:
    interpret: run the kernel as plain jax, on any device.
  """
  T, N, H = q_BTNH.shape[1:]
  block = min(BLOCK, _up(T, LANES))
  pad = ((0, 0), (0, _up(T, block) - T))
  q_BTNH = q_BTNH * (scale or H**-0.5)
  q, k, v = (
    jnp.pad(x, (*pad, (0, 0), (0, 0))).swapaxes(1, 2)
    for x in (q_BTNH, k_BTKH, v_BTKH)
  )
  segment = jnp.pad(segment_BT, pad)
  kernel = lib.make_splash_mha(
    _mask(N, q.shape[2], window),
    block_sizes=_blocks(block),
    attn_logits_soft_cap=softcap,
    head_shards=1,  # over_mesh.py cuts before the kernel sees anything
    q_seq_shards=1,
    interpret=interpret,
  )
  out_BNTH = jax.vmap(kernel)(q, k, v, lib.SegmentIds(segment, segment))
  return out_BNTH.swapaxes(1, 2)[:, :T]


def _up(n: int, multiple: int) -> int:
  return -(-n // multiple) * multiple


def _mask(N: int, T: int, window: int | None) -> lib.MultiHeadMask:
  one = lib.CausalMask((T, T))
  if window is not None:
    one = lib.LocalMask((T, T), (window - 1, 0), offset=0)
  return lib.MultiHeadMask([one] * N)


def _blocks(block: int) -> lib.BlockSizes:
  names = ('q', 'kv', 'kv_compute', 'q_dkv', 'kv_dkv', 'kv_dkv_compute')
  names += ('q_dq', 'kv_dq')
  return lib.BlockSizes(**{f'block_{name}': block for name in names})
