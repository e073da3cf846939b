# SPDX-License-Identifier: Apache-2.0
"""The host's book of what the engine has drawn, sample by sample."""

import numpy as np

from srpo_jax.core.records import Rollouts
from srpo_jax.sampler.sampling import SamplerConfig


class Book:
  """Collects the lines of the engine's logs, and lets finished groups go.

  Args:
    config: of the sampler.
    limit_PG: most tokens of each sample.
    shards: X; shard x has the x-th part of the prompts.
  """

  def __init__(self, config: SamplerConfig, limit_PG: np.ndarray, shards: int):
    self._config, self._shards = config, shards
    self._P, self._G = limit_PG.shape
    self._limit_B = limit_PG.reshape(-1)
    B, T = limit_PG.size, config.max_new_tokens
    self._token_BT = np.full((B, T), config.pad_id, np.int32)
    self._logprob_BT = np.zeros((B, T), np.float32)
    self._raw_BT = np.zeros((B, T), np.float32)
    self._length_B = np.zeros(B, np.int64)
    self._ended_B = np.zeros(B, bool)
    self._gone_P = np.zeros(self._P, bool)

  def add(self, log) -> None:
    """Takes the lines of a chunk; fields [lines, X, S] on the host."""
    R = len(self._limit_B) // self._shards
    row = np.asarray(log.row)
    line, shard, slot = np.nonzero(row < R)
    sample_n = shard * R + row[line, shard, slot]
    # Stable, so that the tokens of a sample stay in the order of the lines.
    order = np.argsort(sample_n, kind='stable')
    place, sample_n = (line[order], shard[order], slot[order]), sample_n[order]
    column_n = self._length_B[sample_n] + _count_within(sample_n)
    token_n = np.asarray(log.token)[place]
    self._token_BT[sample_n, column_n] = token_n
    self._logprob_BT[sample_n, column_n] = np.asarray(log.logprob)[place]
    self._raw_BT[sample_n, column_n] = np.asarray(log.raw)[place]
    np.add.at(self._length_B, sample_n, 1)
    self._ended_B[sample_n[np.isin(token_n, self._config.end_ids)]] = True

  def finished(self) -> np.ndarray:
    """Prompts whose samples have all ended since the last call."""
    over_B = self._ended_B | (self._length_B >= self._limit_B)
    over_P = over_B.reshape(self._P, self._G).all(axis=1)
    index_p = np.flatnonzero(over_P & ~self._gone_P)
    self._gone_P[index_p] = True
    return index_p

  def rollouts(self, index_p: np.ndarray) -> Rollouts:
    """The groups of these prompts."""
    G, n = self._G, len(index_p)
    row_B = (index_p[:, None] * G + np.arange(G)).reshape(-1)
    column_T = np.arange(self._token_BT.shape[1])
    return Rollouts(
      tokens_BT=self._token_BT[row_B],
      logprob_BT=self._logprob_BT[row_B],
      raw_logprob_BT=self._raw_BT[row_B],
      mask_BT=column_T < self._length_B[row_B][:, None],
      prompt_B=np.repeat(np.arange(n, dtype=np.int32), G),
      sample_B=np.tile(np.arange(G, dtype=np.int32), n),
      ended_B=self._ended_B[row_B],
    )


def _count_within(sorted_n: np.ndarray) -> np.ndarray:
  """0, 1, .. inside each run of equal numbers."""
  n = np.arange(len(sorted_n))
  starts = np.r_[True, sorted_n[1:] != sorted_n[:-1]][: len(n)]
  return n - np.maximum.accumulate(np.where(starts, n, 0))
