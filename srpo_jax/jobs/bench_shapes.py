# SPDX-License-Identifier: Apache-2.0
"""Decoders that a benchmark makes from numbers alone, with random weights.

Speed does not depend on what the weights are. A shape of your own is a
function that returns a DecoderConfig, bound to SHAPE (docs/speed.md).
"""

from srpo_jax.policy.config import DecoderConfig


def shape_30m() -> DecoderConfig:
  """30M parameters in the manner of Llama; our choice."""
  return DecoderConfig(
    vocab_size=12288,
    dim=512,
    n_layers=8,
    n_heads=8,
    n_kv_heads=4,
    head_dim=64,
    ffn_dim=1408,
  )


def shape_135m() -> DecoderConfig:
  """The shape of SmolLM2-135M, from its config.json."""
  return DecoderConfig(
    vocab_size=49152,
    dim=576,
    n_layers=30,
    n_heads=9,
    n_kv_heads=3,
    head_dim=64,
    ffn_dim=1536,
    rope_theta=100_000.0,
    norm_eps=1e-5,
  )


def shape_500m() -> DecoderConfig:
  """The shape of Qwen2.5-0.5B, from its config.json."""
  return DecoderConfig(
    vocab_size=151_936,
    dim=896,
    n_layers=24,
    n_heads=14,
    n_kv_heads=2,
    head_dim=64,
    ffn_dim=4864,
    rope_theta=1_000_000.0,
    qkv_bias=True,
  )


def shape_1_5b() -> DecoderConfig:
  """The shape of Qwen2.5-1.5B, from its config.json."""
  return DecoderConfig(
    vocab_size=151_936,
    dim=1536,
    n_layers=28,
    n_heads=12,
    n_kv_heads=2,
    head_dim=128,
    ffn_dim=8960,
    rope_theta=1_000_000.0,
    qkv_bias=True,
  )


def shape_7b() -> DecoderConfig:
  """The shape of Qwen2.5-7B, from its config.json."""
  return DecoderConfig(
    vocab_size=152_064,
    dim=3584,
    n_layers=28,
    n_heads=28,
    n_kv_heads=4,
    head_dim=128,
    ffn_dim=18_944,
    rope_theta=1_000_000.0,
    qkv_bias=True,
    tied_head=False,
  )


def shape_32b() -> DecoderConfig:
  """The shape of Qwen2.5-32B, from its config.json."""
  return DecoderConfig(
    vocab_size=152_064,
    dim=5120,
    n_layers=64,
    n_heads=40,
    n_kv_heads=8,
    head_dim=128,
    ffn_dim=27_648,
    rope_theta=1_000_000.0,
    norm_eps=1e-5,
    qkv_bias=True,
    tied_head=False,
  )


# What INIT_FROM names, where its numbers are known without fetching it.
KNOWN = {
  'hf://Qwen/Qwen2.5-0.5B': shape_500m,
  'hf://Qwen/Qwen2.5-1.5B': shape_1_5b,
  'hf://Qwen/Qwen2.5-7B': shape_7b,
  'hf://Qwen/Qwen2.5-32B': shape_32b,
}
