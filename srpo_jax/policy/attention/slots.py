# SPDX-License-Identifier: Apache-2.0
"""Attention of slots that decode: what a slot sees, and the plain form of it.

A slot sees its prompt, which is held once for all samples of that prompt; the
earlier tokens of its own response, in any order of columns; and the token that
is fed. Keys are cached as [.., K, H, L] and values as [.., K, L, H], so that
both products read them as they lie.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from srpo_jax.policy.attention.dense import MASKED, softcapped

KV = tuple[jax.Array, jax.Array]


class Sight(NamedTuple):
  """What each slot sees beside the token that is fed.

  Attributes:
    prompt_S: which prompt.
    begin_S, end_S: its columns from begin on, before end.
    seen_SC: columns of the slot's own tokens.
  """

  prompt_S: jax.Array
  begin_S: jax.Array
  end_S: jax.Array
  seen_SC: jax.Array


def decode_slots_reference(
  q_SNH: jax.Array,
  fed_kv: KV,
  prompt_kv: KV,
  own_kv: KV,
  sight: Sight,
  *,
  scale: float | None = None,
  softcap: float | None = None,
) -> jax.Array:
  """One softmax over prompt, own tokens and the fed one, [S, N, H].

  Args:
    fed_kv: [S, K, H] both.
    prompt_kv: [P, K, H, L] and [P, K, L, H].
    own_kv: [S, K, H, C] and [S, K, C, H].
    scale: None for 1/√H.
    softcap: of the scores; None for none.
  """
  S, N, H = q_SNH.shape
  (k, v), (k_prompt, v_prompt), (k_own, v_own) = fed_kv, prompt_kv, own_kv
  q = q_SNH.reshape(S, k.shape[1], -1, H) * (scale or H**-0.5)
  keys = k_prompt[sight.prompt_S], k_own, k[..., None]
  values = v_prompt[sight.prompt_S], v_own, v[:, :, None]
  column = jnp.arange(k_prompt.shape[-1])[None]
  seen = (column >= sight.begin_S[:, None]) & (column < sight.end_S[:, None])
  seen = jnp.concatenate([seen, sight.seen_SC, jnp.ones((S, 1), bool)], -1)
  f32 = {'preferred_element_type': jnp.float32}
  score = jnp.einsum('SKnH,SKHL->SKnL', q, jnp.concatenate(keys, -1), **f32)
  score = jnp.where(seen[:, None, None], softcapped(score, softcap), MASKED)
  weight = jax.nn.softmax(score, axis=-1).astype(v.dtype)
  values = jnp.concatenate(values, axis=2)
  out = jnp.einsum('SKnL,SKLH->SKnH', weight, values, **f32)
  return out.astype(v.dtype).reshape(S, N, H)
