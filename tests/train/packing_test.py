# SPDX-License-Identifier: Apache-2.0
"""Packed rows: nothing lost, nothing doubled, little wasted."""

import numpy as np
import pytest

from srpo_jax.core.records import Batch
from srpo_jax.train.packing import (
  Shape,
  deal,
  first_fit_decreasing,
  pack,
  shape_of,
)

T = 24  # longest sequence


def one_a_row(B=40, seed=0) -> Batch:
  """Sequences of 2 to T tokens; each token's number is its own."""
  rng = np.random.default_rng(seed)
  length = np.clip(rng.lognormal(2, 0.6, B).astype(int) + 2, 2, T)[:, None]
  column = np.broadcast_to(np.arange(T, dtype=np.int32), (B, T))
  inside = column < length
  judged = rng.random((B, 1)) < 0.9
  own = np.where(inside, 1 + np.arange(B * T).reshape(B, T), 0)
  return Batch(
    tokens_BT=own.astype(np.int32),
    logprob_old_BT=own + 0.25,
    logprob_rollout_BT=own + 0.5,
    advantage_BT=np.repeat(rng.normal(size=(B, 1)), T, axis=1),
    mask_BT=inside & (column >= length // 3) & judged,
    segment_BT=inside.astype(np.int32),
    position_BT=column,
  )


def sequences(batch: Batch) -> dict:
  """Every sequence of a batch by its first token: its arrays, in order."""
  found = {}
  for b, s in zip(*np.nonzero(batch.segment_BT), strict=True):
    found.setdefault((b, batch.segment_BT[b, s]), []).append(s)
  by_token = {}
  for (b, _), at in found.items():
    assert at == list(range(at[0], at[-1] + 1)), 'a sequence with a gap'
    names = ('tokens_BT', 'logprob_old_BT', 'logprob_rollout_BT')
    names += ('advantage_BT', 'mask_BT', 'position_BT')
    by_token[batch.tokens_BT[b, at[0]]] = [
      getattr(batch, name)[b, at].tolist() for name in names
    ]
  return by_token


@pytest.mark.parametrize('row', [T, T + 7, 3 * T])
@pytest.mark.parametrize('shards', [1, 4])
def test_every_sequence_that_counts_is_there_once_and_whole(row, shards):
  for seed in range(5):
    batch = one_a_row(seed=seed)
    shape = shape_of(40, T, row, 2 * row, shards)
    packed = pack(batch, shape)
    assert packed.tokens_BT.shape == (shape.rows, row)
    wanted = {k: v for k, v in sequences(batch).items() if any(v[4])}
    assert sequences(packed) == wanted
    padding = packed.segment_BT == 0
    assert not packed.mask_BT[padding].any()
    assert (packed.tokens_BT[padding] == 0).all()


def test_golden_by_hand():
  # Sizes 3 5 2 4 0 6 in rows of 8: 6 2 | 5 3 | 4, each where it first fits.
  places = first_fit_decreasing(np.array([3, 5, 2, 4, 0, 6]), 8)
  assert places.row_n.tolist() == [1, 1, 0, 2, -1, 0]
  assert places.start_n.tolist() == [5, 0, 6, 0, 0, 0]
  assert places.number_n.tolist() == [2, 1, 2, 1, 0, 1]


def test_few_rows_and_little_padding():
  rng = np.random.default_rng(0)
  for seed in range(20):
    size = np.random.default_rng(seed).integers(1, T + 1, 200)
    rows = first_fit_decreasing(size, T).row_n.max() + 1
    assert rows <= np.ceil(size.sum() / T) * 11 / 9 + 6 / 9
  long_tail = np.clip(rng.lognormal(5, 0.8, 256).astype(int), 16, 1024)
  rows = first_fit_decreasing(long_tail, 1024).row_n.max() + 1
  assert long_tail.sum() / (rows * 1024) > 0.97


@pytest.mark.parametrize('row', [T, 2 * T, 3 * T + 5])
def test_the_shape_holds_whatever_comes(row):
  for seed in range(20):
    rng = np.random.default_rng(seed)
    size = rng.integers(rng.integers(1, T + 1), T + 1, 40)
    shape = shape_of(40, T, row, 2 * row, shards=2)
    assert shape.rows % shape.micro_rows == 0 == shape.micro_rows % 2
    assert first_fit_decreasing(size, row).row_n.max() < shape.rows
  assert shape_of(40, T, row, 10**6, 1).micro_rows <= 40


def test_rows_fill_the_first_micro_batches_evenly_over_shards():
  shape = Shape(rows=24, row_tokens=10, micro_rows=8, shards=4)
  used = np.array([3, 10, 7, 9, 1, 5, 8, 6, 2, 4])
  at = deal(used, shape)
  assert len(set(at.tolist())) == len(used)
  # Row r of the batch is row r // 3 of micro-batch r % 3.
  slot, part = np.divmod(at, 3)
  assert sorted(used[part == 0].tolist()) == [3, 4, 5, 6, 7, 8, 9, 10]
  assert sorted(used[part == 1].tolist()) == [1, 2]
  of_shard = [used[(part == 0) & (slot // 2 == s)].sum() for s in range(4)]
  assert of_shard == [13] * 4
  # The two that are left go to two shards.
  assert len(set((slot[part == 1] // 2).tolist())) == 2


def test_the_same_batch_is_packed_the_same():
  shape = shape_of(40, T, 2 * T, 4 * T, 2)
  one, other = pack(one_a_row(), shape), pack(one_a_row(), shape)
  np.testing.assert_array_equal(one.tokens_BT, other.tokens_BT)


def test_a_batch_in_which_nothing_counts_is_empty():
  batch = one_a_row()
  batch = batch.replace(mask_BT=batch.mask_BT & False)
  packed = pack(batch, shape_of(40, T, T, T, 1))
  assert not packed.segment_BT.any()
