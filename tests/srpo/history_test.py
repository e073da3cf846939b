# SPDX-License-Identifier: Apache-2.0
"""The ledger and the paper's filter, case by case."""

import numpy as np

from srpo_jax.core.records import STATUSES, Verdict
from srpo_jax.srpo import history

NAN = np.nan
RNG = np.random.default_rng(0)


def verdict(accuracy):
  accuracy = np.array(accuracy, np.float32)
  names = {1.0: 'correct', 0.0: 'wrong'}
  status = np.array(
    [[names.get(float(a), 'unavailable') for a in row] for row in accuracy]
  )
  return Verdict(status, accuracy, accuracy, accuracy, accuracy)


def add(ledger, ids, accuracy, *, epoch=1, step=1, real=None, lengths=None):
  v = verdict(accuracy)
  shape = v.accuracy_PG.shape
  real = np.ones(shape[0], bool) if real is None else np.array(real)
  lengths = np.full(shape, 5) if lengths is None else np.array(lengths)
  ended = np.ones(shape, bool)
  ended[0, 0] = False
  return history.append(
    ledger,
    np.array(ids, np.uint64),
    real,
    v,
    lengths,
    ended,
    stage=1,
    epoch=epoch,
    step=step,
  )


def keep(kept, ledger):
  kept = np.array(kept, np.uint64)
  return list(history.keep_unsolved(kept, kept, ledger, RNG))


def test_a_row_says_what_happened():
  ledger = add(
    history.empty(),
    [7, 9],
    [[1, 0, NAN], [1, 1, 1]],
    step=3,
    lengths=[[2, 4, 6], [1, 1, 4]],
  )
  assert ledger.prompt.tolist() == [7, 9]
  assert ledger.judged.tolist() == [2, 3]
  assert ledger.correct.tolist() == [1, 3]
  assert ledger.length_mean.tolist() == [4, 2]
  assert ledger.truncated.tolist() == [1, 0]
  assert ledger.step.tolist() == [3, 3]
  counts = dict(zip(STATUSES, ledger.statuses[0].tolist(), strict=True))
  assert {k: n for k, n in counts.items() if n} == {
    'correct': 1,
    'wrong': 1,
    'unavailable': 1,
  }


def test_only_the_all_correct_leave():
  ledger = add(history.empty(), [1, 2, 3], [[1, 1], [1, 0], [0, 0]])
  # 4 was not seen in the epoch.
  assert keep([1, 2, 3, 4], ledger) == [2, 3, 4]


def test_one_unjudged_rollout_keeps_a_prompt():
  ledger = add(history.empty(), [1], [[1, NAN]])
  assert keep([1], ledger) == [1]


def test_what_was_dropped_stays_dropped():
  ledger = add(history.empty(), [1, 2], [[0, 0], [1, 0]], epoch=2)
  assert keep([2], ledger) == [2]


def test_asked_twice_it_must_be_solved_twice():
  ledger = add(history.empty(), [1, 2], [[1, 1], [1, 1]])
  ledger = add(ledger, [1, 2], [[1, 0], [1, 1]], step=2)
  assert keep([1, 2], ledger) == [1]


def test_padding_leaves_no_row():
  ledger = add(history.empty(), [1, 1], [[1, 0], [1, 0]], real=[True, False])
  assert len(ledger) == 1


def test_of_selects_an_epoch():
  ledger = add(history.empty(), [1], [[1, 1]], epoch=1)
  ledger = add(ledger, [1], [[0, 1]], epoch=2)
  assert ledger.of(1, 2).correct.tolist() == [1]
  assert len(ledger.of(2, 1)) == 0


def test_without_history_all_come_back():
  ledger = add(history.empty(), [1, 2], [[1, 1], [0, 0]])
  kept = np.array([1, 2], np.uint64)
  assert history.keep_all(kept, kept, ledger, RNG).tolist() == [1, 2]


def test_as_they_come_takes_the_first():
  asked = history.as_they_come(history.empty(), np.arange(5), 3, RNG)
  assert asked.tolist() == [0, 1, 2]


def test_only_the_newest_epoch_counts():
  ledger = add(history.empty(), [1, 2], [[1, 1], [0, 1]], epoch=1)
  ledger = add(ledger, [1, 2], [[0, 1], [1, 1]], epoch=2)
  assert keep([1, 2], ledger) == [1]
  assert keep([1, 2], ledger) == keep([1, 2], ledger.of(1, 2))


def test_an_epoch_without_a_row_drops_nothing():
  assert keep([1, 2], history.empty()) == [1, 2]


def test_large_ids_survive():
  big = 2**64 - 1
  ledger = add(history.empty(), [big], [[1, 1]])
  assert keep([big, big - 1], ledger) == [big - 1]
