# SPDX-License-Identifier: Apache-2.0
"""When a stage ends, and what the next one begins with."""

import dataclasses

import numpy as np
import pytest

from srpo_jax.srpo import history
from srpo_jax.srpo.stages import Plateau, Stage, Until, first_kept


def test_whichever_comes_first():
  until = Until(steps=10, epochs=2)
  assert until.reached(steps=9, epochs=1) == ''
  assert until.reached(steps=10, epochs=0) == 'steps'
  assert until.reached(steps=1, epochs=2) == 'epochs'


def test_none_is_no_limit():
  assert not Until().reached(steps=10**9, epochs=10**9, rewards=[0.0] * 99)


@pytest.mark.parametrize(
  ('rewards', 'ends'),
  [
    # Averages of two: 0.1, 0.3, then 0.3, 0.3: two in a row are no new best.
    ([0.0, 0.2, 0.4, 0.2], False),
    ([0.0, 0.2, 0.4, 0.2, 0.4], True),
    # 0.1, 0.3, 0.3, 0.4: a new best starts the count anew.
    ([0.0, 0.2, 0.4, 0.2, 0.6], False),
    # 0.1, 0.15, 0.2: each is new, but by no more than 0.1.
    ([0.1, 0.1, 0.2, 0.2], True),
    # A step without a judgement counts as none.
    ([0.0, 0.2, np.nan, 0.4, np.nan, 0.2], False),
    ([], False),
  ],
)
def test_a_plateau_by_hand(rewards, ends):
  plateau = Plateau(window=2, patience=2, least=0.1 if ends else 0.05)
  assert plateau.reached(rewards) == ends
  until = Until(steps=99, plateau=plateau)
  assert until.reached(5, 0, rewards) == ('plateau' if ends else '')


def test_slow_progress_adds_up():
  # Each average is 0.004 above the last: less than `least`, but the best is
  # what they are held against, so every third is a new one.
  rewards = np.arange(100) * 0.004
  assert not Plateau(window=5, patience=3, least=0.01).reached(rewards)
  assert Plateau(window=5, patience=2, least=0.01).reached(rewards)


def asked(prompts, stage):
  n = len(prompts)
  row = {k: v[:0] for k, v in history.empty().columns().items()}
  columns = {
    k: np.ones((n, *v.shape[1:]), v.dtype) * (k != 'stage')
    for k, v in row.items()
  }
  columns['prompt'] = np.array(prompts, np.uint64)
  columns['stage'] = np.full(n, stage, np.int32)
  return history.Ledger(**columns)


def joined(one, other):
  a, b = one.columns(), other.columns()
  return history.Ledger(**{k: np.concatenate([a[k], b[k]]) for k in a})


STAGE = Stage('s', (), (), Until(steps=1))
POOL = np.array([1, 2, 3, 7, 8], np.uint64)


def test_what_was_dropped_stays_dropped_and_new_prompts_are_there():
  # 1 was asked and kept, 2 and 3 were dropped, 7 and 8 are code: never asked.
  kept = np.array([1, 4], np.uint64)
  ledger = asked([1, 2, 3, 4], stage=1)
  assert first_kept(STAGE, POOL, kept, ledger).tolist() == [1, 7, 8]
  back = dataclasses.replace(STAGE, dropped_return=True)
  assert first_kept(back, POOL, kept, ledger).tolist() == POOL.tolist()


def test_only_the_stage_before_counts():
  # 7 and 8 were asked two stages ago; the last one knew only 1 and 2.
  ledger = joined(asked([7, 8], stage=1), asked([1, 2], stage=2))
  kept = np.array([1], np.uint64)
  assert first_kept(STAGE, POOL, kept, ledger).tolist() == [1, 3, 7, 8]


def test_without_a_ledger_all_are_there():
  none = np.zeros(0, np.uint64)
  kept = first_kept(STAGE, POOL, none, history.empty())
  assert kept.tolist() == POOL.tolist()
