# SPDX-License-Identifier: Apache-2.0
"""Rotary positions in a config.json, where old and new files keep them.

Old: rope_theta, rope_local_base_freq, rope_scaling. New: rope_parameters, one
for all layers or one for each kind of them. Where a file has both, what counts
is what counts in transformers.
"""

from srpo_jax.policy.config import LinearScaling, Llama3Scaling
from srpo_jax.policy.huggingface import checks
from srpo_jax.policy.huggingface.checks import Unsupported

FULL, SLIDING = 'full_attention', 'sliding_attention'
TYPES = ('default', 'linear', 'llama3')


def everywhere(raw: dict) -> dict:
  """The fields of DecoderConfig where all layers turn alike."""
  old, new = (checks.inner(raw, f'rope_{n}') for n in ('scaling', 'parameters'))
  found = old or new
  _refuse(found)
  return {'rope_theta': _theta(found, raw), 'rope_scaling': _scaling(found)}


def by_kind(raw: dict) -> dict:
  """The same where local layers have a base of their own (Gemma 3)."""
  new = checks.inner(raw, 'rope_parameters')
  if new and not new.keys() & {FULL, SLIDING}:
    raise Unsupported('rope_parameters for all layers alike', new)
  full = {**checks.inner(new, FULL), **checks.inner(raw, 'rope_scaling')}
  local = checks.inner(new, SLIDING)
  _refuse(full)
  _refuse(local)
  if _type(local) != 'default':
    raise Unsupported(f'rope_type of {SLIDING}', _type(local))
  own = {'rope_theta': raw['rope_local_base_freq']}
  return {
    'rope_theta': _theta(full, raw),
    'rope_scaling': _scaling(full),
    'local_rope_theta': _theta(local, own),
  }


def _theta(rope: dict, outside: dict) -> float:
  return checks.positive({**outside, **rope}, 'rope_theta')


def _type(rope: dict) -> str:
  return rope.get('rope_type', rope.get('type', 'default'))


def _refuse(rope: dict) -> None:
  """Refuses what would turn otherwise and is not implemented."""
  if any(isinstance(value, dict) for value in rope.values()):
    raise Unsupported('rope_parameters for each kind of layer', rope)
  if _type(rope) not in TYPES:
    raise Unsupported('rope_type', _type(rope))
  turned = rope.get('partial_rotary_factor')
  if turned not in (None, 1.0):
    raise Unsupported('partial_rotary_factor', turned)


def _scaling(rope: dict) -> LinearScaling | Llama3Scaling | None:
  kind = _type(rope)
  if kind == 'linear':
    return LinearScaling(checks.positive(rope, 'factor'))
  if kind == 'llama3':
    return Llama3Scaling(
      factor=checks.positive(rope, 'factor'),
      low=checks.positive(rope, 'low_freq_factor'),
      high=checks.positive(rope, 'high_freq_factor'),
      original_length=checks.integer(rope, 'original_max_position_embeddings'),
    )
  return None
