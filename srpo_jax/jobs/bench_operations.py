# SPDX-License-Identifier: Apache-2.0
"""How many operations and bytes a benchmark's work needs: plain arithmetic.

An operation is a multiplication or an addition. Products with weights and
attention count; norms, activations and the optimizer do not, as is usual.
Attention counts for pairs of tokens that may see each other and for no others,
so a share made of these figures is never too high.
"""

from typing import NamedTuple

import numpy as np

from srpo_jax.core.records import Batch
from srpo_jax.policy.config import DecoderConfig


class Product(NamedTuple):
  """A product [M, K] [K, N], and how often a forward pass makes it."""

  M: int
  K: int
  N: int
  times: int

  @property
  def operations(self) -> float:
    """Of all of them."""
    return 2.0 * self.M * self.K * self.N * self.times


class Update(NamedTuple):
  """Operations of one update.

  Attributes:
    executed: padding and what is computed a second time included.
    useful: forward and backward of tokens, the head on those that count.
    positions: of the micro-batches in use, padding with them.
  """

  executed: float
  useful: float
  positions: int


def products(c: DecoderConfig, M: int, head_M: int) -> list[Product]:
  """The products of a forward pass over M tokens, the head over `head_M`."""
  q, kv, n = c.n_heads * c.head_dim, c.n_kv_heads * c.head_dim, c.n_layers
  return [
    Product(M, c.dim, q, n),
    Product(M, c.dim, kv, 2 * n),
    Product(M, q, c.dim, n),
    Product(M, c.dim, c.ffn_dim, 2 * n),
    Product(M, c.ffn_dim, c.dim, n),
    Product(head_M, c.dim, c.vocab_size, 1),
  ]


def layers_per_token(c: DecoderConfig) -> float:
  """Operations of all layers' products with weights, for one token."""
  return sum(p.operations for p in products(c, 1, 0))


def head_per_token(c: DecoderConfig) -> float:
  """Operations of the output head, for one token."""
  return 2.0 * c.dim * c.vocab_size


def attention_per_pair(c: DecoderConfig) -> float:
  """q kᵀ and weight · v of all layers, for one pair of tokens."""
  return 4.0 * c.n_layers * c.n_heads * c.head_dim


def of_update(
  c: DecoderConfig, batch: Batch, micro_rows: int, again: float
) -> Update:
  """Forward once, backward twice as much; the head forward once more.

  The layers compute every position of the micro-batches in use, the head only
  tokens that count (policy/logprobs.py).

  Args:
    batch: packed, on the host.
    micro_rows: rows of a micro-batch.
    again: the share of the layers' forward pass that backward makes again.
  """
  positions = positions_of(np.asarray(batch.segment_BT), micro_rows)
  tokens, scored = np.sum(batch.segment_BT > 0), np.sum(batch.mask_BT)
  seen = attention_per_pair(c) * causal_pairs(np.asarray(batch.segment_BT))
  layers, head = layers_per_token(c), head_per_token(c)
  return Update(
    executed=(3 + again) * (layers * positions + seen) + 4 * head * scored,
    useful=3 * (layers * tokens + seen + head * scored),
    positions=positions,
  )


def positions_of(segment_BT: np.ndarray, micro_rows: int) -> int:
  """Positions of the micro-batches up to the last that holds a token.

  Row j · n + i is the j-th of micro-batch i, of n (train/update.py).
  """
  parts = segment_BT.reshape(micro_rows, -1, segment_BT.shape[1])
  (used,) = np.nonzero((parts > 0).any(axis=(0, 2)))
  return int(used.max() + 1) * micro_rows * segment_BT.shape[1]


def causal_pairs(segment_BT: np.ndarray) -> int:
  """Pairs of a token and one that it sees, itself included."""
  total = 0
  for row in segment_BT:
    _, n = np.unique(row[row > 0], return_counts=True)
    total += int(np.sum(n * (n + 1) // 2))
  return total


def of_decode(
  c: DecoderConfig, prompt_P: np.ndarray, length_PG: np.ndarray
) -> float:
  """Operations of all tokens of the responses.

  The first token of a response comes out of its prompt's prefill, so of n
  tokens n − 1 pass the layers; each of the n needs the head.
  """
  fed_PG = length_PG - 1
  fed = float(fed_PG.sum())
  # Token t of a response sees its prompt and t + 1 of its own.
  pairs = np.sum(fed_PG * prompt_P[:, None] + fed_PG * (fed_PG + 1) / 2)
  return (
    layers_per_token(c) * fed
    + head_per_token(c) * float(length_PG.sum())
    + attention_per_pair(c) * float(pairs)
  )


def decode_bytes(
  c: DecoderConfig,
  prompt_P: np.ndarray,
  length_PG: np.ndarray,
  steps: float,
  itemsize: int,
) -> float:
  """Bytes that decoding has to read: weights each step, and the cache.

  A prompt's keys and values are read once a step for all its samples, as long
  as the longest of them lasts; a response's own by itself.
  """
  weights = products(c, 1, 1)
  read = sum(p.K * p.N * p.times for p in weights) * float(steps)
  of_token = 2 * c.n_layers * c.n_kv_heads * c.head_dim
  fed_PG = length_PG - 1
  own = np.sum(fed_PG * (fed_PG + 1) / 2)
  prefix = np.sum(fed_PG.max(axis=1) * prompt_P)
  return itemsize * (read + of_token * float(own + prefix))
