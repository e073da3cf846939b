# SPDX-License-Identifier: Apache-2.0
"""What kind of decoder a policy is: plain numbers, hashable."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class DecoderConfig:
  """A decoder-only transformer.

  Attributes:
    vocab_size: V.
    dim: D, the width of the residual stream.
    n_layers: blocks.
    n_heads: N query heads.
    n_kv_heads: K key/value heads; N is a multiple of K.
    head_dim: H.
    ffn_dim: F, the width inside SwiGLU.
    rope_theta: base wavelength of the rotary embedding.
    norm_eps: inside the square root of RMSNorm.
    qkv_bias: biases on the q, k and v projections (Qwen2).
    qk_norm: RMSNorm on each head of q and k (Qwen3).
    tied_head: the output head is the transposed embedding.
    compute_dtype: dtype of activations and of matrix products.
    param_dtype: dtype in which parameters are kept.
  """

  vocab_size: int
  dim: int
  n_layers: int
  n_heads: int
  n_kv_heads: int
  head_dim: int
  ffn_dim: int
  rope_theta: float = 10_000.0
  norm_eps: float = 1e-6
  qkv_bias: bool = False
  qk_norm: bool = False
  tied_head: bool = True
  compute_dtype: str = 'float32'
  param_dtype: str = 'float32'

  def __post_init__(self):
    if self.n_heads % self.n_kv_heads:
      raise ValueError(
        f'{self.n_heads} query heads do not divide into '
        f'{self.n_kv_heads} key/value heads'
      )
    if self.head_dim % 2:
      raise ValueError(f'head_dim {self.head_dim} is odd; RoPE turns pairs')
