# SPDX-License-Identifier: Apache-2.0
"""Counter-based randomness: a key is a function of what it is for.

No key depends on the batch, the slot, the host count or a restart:

  fold_in(seed, purpose, stage, epoch, prompt id, visit, sample, token index)
"""

import jax
import jax.numpy as jnp
import numpy as np

PURPOSES = ('train', 'eval', 'grade', 'init', 'order', 'history')


def purpose_key(seed: int, purpose: str, *counters: int) -> jax.Array:
  """The key of a purpose, with counters such as stage and epoch folded in."""
  key = jax.random.fold_in(jax.random.key(seed), PURPOSES.index(purpose))
  for counter in counters:
    key = jax.random.fold_in(key, counter)
  return key


def host_rng(seed: int, purpose: str, *counters: int) -> np.random.Generator:
  """The same idea on the host, for orders and history filters."""
  entropy = (seed, PURPOSES.index(purpose), *counters)
  return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


def split_ids(ids_P: np.ndarray) -> np.ndarray:
  """64-bit prompt ids as [P, 2] uint32 words, the high one first."""
  ids_P = np.asarray(ids_P, np.uint64)
  words = [ids_P >> np.uint64(32), ids_P & np.uint64(0xFFFFFFFF)]
  return np.stack(words, axis=1).astype(np.uint32)


def sample_keys(
  key: jax.Array, id_words_P2: jax.Array, visit_P: jax.Array, group_size: int
) -> jax.Array:
  """Keys [P, G], one for each sample of each prompt."""

  def prompt_key(words, visit):
    inner = jax.random.fold_in(jax.random.fold_in(key, words[0]), words[1])
    return jax.random.fold_in(inner, visit)

  key_P = jax.vmap(prompt_key)(id_words_P2, visit_P)
  sample_G = jnp.arange(group_size)
  fold = jax.vmap(jax.random.fold_in, in_axes=(None, 0))
  return jax.vmap(fold, in_axes=(0, None))(key_P, sample_G)
