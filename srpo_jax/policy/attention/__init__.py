# SPDX-License-Identifier: Apache-2.0
"""Attention: rotary positions, whole sequences, and one token at a time."""

from srpo_jax.policy.attention.backend import slot_kernel, whole_sequences
from srpo_jax.policy.attention.decoding import decode
from srpo_jax.policy.attention.dense import MASKED, causal, softcapped
from srpo_jax.policy.attention.rotary import rope, rotation, turn_by
from srpo_jax.policy.attention.slots import Sight, decode_slots_reference

__all__ = [
  'MASKED',
  'Sight',
  'causal',
  'decode',
  'decode_slots_reference',
  'rope',
  'rotation',
  'slot_kernel',
  'softcapped',
  'turn_by',
  'whole_sequences',
]
