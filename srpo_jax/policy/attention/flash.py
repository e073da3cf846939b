# SPDX-License-Identifier: Apache-2.0
"""Causal attention on a GPU: the Triton kernel that comes with jax's Pallas.

It takes segment ids; cuDNN behind `jax.nn.dot_product_attention` does not. It
knows no window and no soft cap: layers that have one take tiled.py. Products
of float32 are those of its Triton, in TF32 where the device has it.
"""

import jax
import jax.numpy as jnp
from jax.experimental.pallas.ops.gpu.attention import BlockSizes, mha

# Of its default block sizes, the largest.
BLOCK = 128


def flash(
  q_BTNH: jax.Array,
  k_BTKH: jax.Array,
  v_BTKH: jax.Array,
  segment_BT: jax.Array,
  *,
  scale: float | None = None,
  interpret: bool = False,
) -> jax.Array:
  """`causal` without window and soft cap; T is padded to whole blocks.

  Args:
    interpret: run the kernel as plain jax, on any device.
  """
  B, T, N, H = q_BTNH.shape
  K = k_BTKH.shape[2]
  pad = ((0, 0), (0, -T % BLOCK))
  q, k, v = (
    jnp.pad(x, (*pad, (0, 0), (0, 0))) for x in (q_BTNH, k_BTKH, v_BTKH)
  )
  segment = jnp.pad(segment_BT, pad)

  def one_of_each_group(q_BTKH):
    return mha(
      q_BTKH,
      k,
      v,
      segment,
      sm_scale=scale or H**-0.5,
      causal=True,
      block_sizes=BlockSizes.get_default(),
      interpret=interpret,
    )

  # The kernel has as many key heads as query heads. Mapped over the queries
  # of a group it reads the same keys again instead of copies of them.
  q = q.reshape(B, -1, K, N // K, H)
  out = jax.vmap(one_of_each_group, in_axes=3, out_axes=3)(q)
  return out.reshape(B, -1, N, H)[:, :T]
