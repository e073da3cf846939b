# SPDX-License-Identifier: Apache-2.0
"""Sequences packed into rows, so that an update computes next to no padding.

A row of a static length holds several sequences, told apart by segment_BT;
attention and losses keep to their own. How many rows a step fills differs, how
many the batch has does not: those that stay empty come last, and the update
leaves out micro-batches that are empty (train/update.py). So one compiled
program serves every step.
"""

import dataclasses
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from srpo_jax.core.records import Batch


@dataclasses.dataclass(frozen=True)
class Shape:
  """Of a packed batch and of its micro-batches.

  Attributes:
    rows: in the batch; enough for any lengths.
    row_tokens: T, tokens of a row.
    micro_rows: rows that are computed at a time, on all devices together.
    shards: pieces that the rows of a micro-batch are cut into.
  """

  rows: int
  row_tokens: int
  micro_rows: int
  shards: int = 1


def micro_tokens(mesh: Mesh, row_tokens: int) -> int:
  """Tokens that a device takes at a time where nobody said how many.

  A CPU is fastest on what its cache holds. Elsewhere 8,192 keep a device busy
  and fit beside a policy that fits at all. Both are our choice.
  """
  on_cpu = mesh.devices.flat[0].platform == 'cpu'
  return max(row_tokens, 2048 if on_cpu else 8192)


def shape_of(
  sequences: int, longest: int, row_tokens: int, micro_tokens: int, shards: int
) -> Shape:
  """The shape that holds any `sequences` of at most `longest` tokens.

  Args:
    sequences: in a step.
    longest: tokens of the longest one that may come; a row holds it.
    row_tokens: T.
    micro_tokens: tokens, padding with them, that a device takes at a time; at
      least a row.
    shards: devices that rows are cut over.
  """
  # First fit begins a row only where no other has room left, so all rows but
  # one hold as many as would fit were they all of the longest.
  most = -(-sequences // (row_tokens // longest))
  of_shard = min(micro_tokens // row_tokens, -(-most // shards))
  micro_rows = of_shard * shards
  rows = -(-most // micro_rows) * micro_rows
  return Shape(rows, row_tokens, micro_rows, shards)


class Places(NamedTuple):
  """Where each sequence goes.

  Attributes:
    row_n: its row; -1 if it is empty.
    start_n: its first column.
    number_n: its number in the row, from 1.
  """

  row_n: np.ndarray
  start_n: np.ndarray
  number_n: np.ndarray


def first_fit_decreasing(size_n: np.ndarray, row_tokens: int) -> Places:
  """Each sequence, the longest first, into the first row with room for it.

  Never more than 11/9 of the fewest rows, and 6/9 of one (Dósa 2007).
  """
  n = len(size_n)
  used_r, held_r = np.zeros(n, np.int64), np.zeros(n, np.int64)
  row_n, start_n, number_n = np.full(n, -1), np.zeros(n, int), np.zeros(n, int)
  rows = 0
  for i in np.argsort(-size_n, kind='stable')[: np.count_nonzero(size_n)]:
    fits_r = used_r[: rows + 1] + size_n[i] <= row_tokens
    row = int(np.argmax(fits_r))
    row_n[i], start_n[i] = row, used_r[row]
    used_r[row] += size_n[i]
    held_r[row] += 1
    number_n[i] = held_r[row]
    rows = max(rows, row + 1)
  return Places(row_n, start_n, number_n)


def deal(used_r: np.ndarray, shape: Shape) -> np.ndarray:
  """Where in the batch each row goes: rows of about the same tokens together.

  The fullest rows make the first micro-batch, the next ones the second. Inside
  of one they are dealt to the shards back and forth, so that all of them have
  about as much to do. Row j of micro-batch i is row j * (micro-batches) + i of
  the batch, as the update cuts it.

  Args:
    used_r: tokens in each row; no more rows than the batch has.
  """
  parts, of_shard = (
    shape.rows // shape.micro_rows,
    shape.micro_rows // shape.shards,
  )
  turn = np.arange(shape.micro_rows).reshape(of_shard, shape.shards)
  turn[1::2] = turn[1::2, ::-1]
  # slot_k: the place in a micro-batch of the k-th row dealt; a shard's places
  # lie together.
  slot_k = np.argsort(turn.T.ravel())
  rank_r = np.argsort(np.argsort(-used_r, kind='stable'))
  part_r, k_r = np.divmod(rank_r, shape.micro_rows)
  return slot_k[k_r] * parts + part_r


def pack(batch: Batch, shape: Shape) -> Batch:
  """The sequences of a batch with one a row, packed: [rows, T].

  Those that count nowhere, since they were not judged, are left out.

  Args:
    batch: on the host, from make_batch.
    shape: of the result.
  """
  counts_B = np.asarray(batch.mask_BT).any(axis=1)
  segment_BT = np.asarray(batch.segment_BT) * counts_B[:, None]
  size_B = np.count_nonzero(segment_BT, axis=1)
  places = first_fit_decreasing(size_B, shape.row_tokens)
  used_r = np.bincount(
    places.row_n[counts_B], size_B[counts_B], minlength=places.row_n.max() + 1
  )
  row_r = deal(used_r, shape)
  b, t = np.nonzero(segment_BT)
  row, column = row_r[places.row_n[b]], places.start_n[b] + t

  def laid(x_BT):
    x_BT = np.asarray(x_BT)
    out = np.zeros((shape.rows, shape.row_tokens), x_BT.dtype)
    out[row, column] = x_BT[b, t]
    return out

  number_BT = np.broadcast_to(places.number_n[:, None], segment_BT.shape)
  packed = jax.tree.map(laid, batch)
  return packed.replace(segment_BT=laid(number_BT.astype(np.int32)))
