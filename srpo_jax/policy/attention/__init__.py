# SPDX-License-Identifier: Apache-2.0
"""Attention: rotary positions, whole sequences, and one token at a time."""

from srpo_jax.policy.attention.backend import whole_sequences
from srpo_jax.policy.attention.decoding import decode
from srpo_jax.policy.attention.dense import MASKED, causal, softcapped
from srpo_jax.policy.attention.rotary import rope

__all__ = [
  'MASKED',
  'causal',
  'decode',
  'rope',
  'softcapped',
  'whole_sequences',
]
