# SPDX-License-Identifier: Apache-2.0
"""Filters beside the paper's."""

import functools

import numpy as np
import pytest

from srpo_jax.srpo import history
from srpo_jax.srpo.history_keep import keep_below, keep_unsolved_review


def ids(*values):
  return np.array(values, np.uint64)


def rng():
  return np.random.default_rng(0)


def test_threshold_by_hand(make_ledger):
  # 1: 8 of 8. 2: 7 of 8. 3: 4 of 8, although all of the last epoch. 4: unseen.
  ledger = make_ledger(
    *[(1, 1, 1, 4), (1, 1, 2, 3), (1, 2, 3, 0)],
    *[(2, 3, 1, 4), (2, 3, 2, 4), (2, 4, 3, 4)],
  )
  kept = ids(1, 2, 3, 4)
  keep = lambda share: keep_below(kept, kept, ledger, rng(), share=share)
  assert keep(0.9).tolist() == [2, 3, 4]
  # At the threshold it leaves: 7 / 8 = 0.875.
  assert keep(0.875).tolist() == [3, 4]
  assert keep(0.8751).tolist() == [2, 3, 4]
  assert keep(0.5).tolist() == [4]


@pytest.mark.parametrize(('right', 'n'), [(9, 10), (55, 100), (29, 50)])
def test_exactly_the_threshold_leaves_whatever_floats_say(
  make_ledger, right, n
):
  rows = [(1, i, 1, 4 * (i < right)) for i in range(n)]
  ledger = make_ledger(*rows)
  got = keep_below(ids(1), ids(1), ledger, rng(), share=right / n)
  assert got.tolist() == []


def test_a_threshold_of_one_is_the_papers_rule_in_the_first_epoch(make_ledger):
  draw = np.random.default_rng(3)
  for _ in range(20):
    judged = draw.integers(0, 5, 30)
    rows = [
      (1, i, draw.integers(1, 20), min(draw.integers(0, 6), n), n)
      for i, n in enumerate(judged)
    ]
    kept, ledger = np.arange(20, dtype=np.uint64), make_ledger(*rows)
    np.testing.assert_array_equal(
      keep_below(kept, kept, ledger, rng(), share=1.0),
      history.keep_unsolved(kept, kept, ledger, rng()),
    )


def test_unjudged_rollouts_do_not_make_a_prompt_leave(make_ledger):
  ledger = make_ledger((1, 1, 1, 1, 1), (1, 1, 2, 0, 0))
  assert keep_below(ids(1, 2), ids(1, 2), ledger, rng()).tolist() == [1, 2]


def test_review_asks_dropped_prompts_again(make_ledger):
  pool = np.arange(1000, dtype=np.uint64)
  ledger = make_ledger(*[(1, 1, i, 4) for i in range(900)])
  review = functools.partial(keep_unsolved_review, pool, pool, ledger)
  got = review(rng(), share=0.1)
  # 900 were solved; of a tenth of them, 90, the draw is within 4 deviations.
  assert 90 - 36 < np.sum(got < 900) < 90 + 36
  assert np.isin(pool[900:], got).all()
  assert (np.diff(got.astype(int)) > 0).all(), 'in the order of the pool'
  np.testing.assert_array_equal(got, review(rng(), share=0.1))
  other = review(np.random.default_rng(1), share=0.1)
  assert not np.array_equal(got, other)


def test_the_ends_of_the_review_share(make_ledger):
  pool, ledger = ids(1, 2, 3), make_ledger((1, 1, 1, 4), (1, 1, 2, 0))
  kept = history.keep_unsolved(pool, pool, ledger, rng())
  none = keep_unsolved_review(pool, pool, ledger, rng(), share=0.0)
  np.testing.assert_array_equal(none, kept)
  every = keep_unsolved_review(pool, pool, ledger, rng(), share=1.0)
  np.testing.assert_array_equal(every, pool)


def test_a_failed_review_brings_a_prompt_back(make_ledger):
  pool = ids(1, 2)
  # In epoch 2 both were asked again, 1 passed and 2 had forgotten.
  ledger = make_ledger(
    *[(1, 1, 1, 4), (1, 1, 2, 4)], *[(2, 2, 1, 4), (2, 2, 2, 3)]
  )
  got = keep_unsolved_review(pool, pool, ledger, rng(), share=0.0)
  assert got.tolist() == [2]
