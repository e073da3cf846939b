# SPDX-License-Identifier: Apache-2.0
"""Rules of which prompts are asked: by hand, against rules with a memory."""

import numpy as np
import pytest

from srpo_jax.srpo import history
from srpo_jax.srpo.history_select import (
  dps,
  exploration,
  greso,
  mopps,
  predicted_state,
  rows_of,
  trailing,
)


def ids(*values):
  return np.array(values, np.uint64)


def rng(seed=0):
  return np.random.default_rng(seed)


def shares(select, ledger, candidates, count, draws=2000):
  """How often each candidate is asked."""
  asked = np.zeros(len(candidates))
  for seed in range(draws):
    asked += np.isin(candidates, select(ledger, candidates, count, rng(seed)))
  return asked / draws


@pytest.fixture
def mixed_ledger(make_ledger):
  """Sixty steps of four groups out of twelve prompts, some unjudged."""
  draw = np.random.default_rng(1)
  rows = []
  for step in range(1, 61):
    for prompt in draw.choice(12, 4, replace=False):
      judged = draw.choice([4, 4, 4, 3, 0])
      easy = draw.random() < prompt / 12
      correct = judged if easy else draw.integers(0, judged + 1)
      rows.append((1, step, prompt, correct, judged))
  return make_ledger(*rows)


@pytest.mark.parametrize('select', [greso, mopps, dps])
def test_at_most_count_of_the_candidates_in_their_order(select, mixed_ledger):
  candidates = rng(5).permutation(20).astype(np.uint64)
  for count in (1, 5, 20, 30):
    got = select(mixed_ledger, candidates, count, rng())
    assert len(got) <= count
    place = [candidates.tolist().index(i) for i in got.tolist()]
    assert place == sorted(set(place))
    np.testing.assert_array_equal(
      got, select(mixed_ledger, candidates, count, rng())
    )


@pytest.mark.parametrize('select', [greso, mopps, dps])
def test_with_nothing_known_and_nothing_to_choose_all_are_asked(select):
  candidates = ids(3, 1, 2**64 - 1)
  got = select(history.empty(), candidates, 3, rng())
  np.testing.assert_array_equal(
    got, history.as_they_come(history.empty(), candidates, 3, rng())
  )


def test_trailing_by_hand():
  assert trailing(np.array([True, False, True, True])) == 2
  assert trailing(np.array([True, False])) == 0
  assert trailing(np.array([True, True])) == 2
  assert trailing(np.zeros(0, bool)) == 0


def test_rows_are_found_oldest_first(make_ledger):
  ledger = make_ledger((1, 1, 7, 0), (1, 1, 5, 1), (2, 2, 7, 2), (2, 3, 9, 3))
  got = [rows.tolist() for rows in rows_of(ledger, ids(9, 7, 6))]
  assert got == [[3], [0, 2], []]


def test_exploration_moves_a_hundredth_a_step():
  # Shares of the steps 1, 2, 4: 1/2, 0, 1 against a target of 1/2.
  step = np.array([1, 1, 2, 4, 4])
  equal = np.array([True, False, False, True, True])
  assert exploration(step, equal, 0.5, 0.5) == pytest.approx(0.49)
  assert exploration(np.zeros(0), np.zeros(0, bool), 0.5, 0.5) == 0.5
  many = np.arange(200)
  assert exploration(many, many >= 0, 0.5, 0.5) == pytest.approx(0.05)
  assert exploration(many, many < 0, 0.5, 0.5) == pytest.approx(0.95)


def test_greso_asks_with_p_to_the_k(make_ledger):
  # 1: twice all correct at the end. 2: once all wrong. 3: mixed last.
  # 4: its last group was not judged and counts for nothing. 5: new.
  ledger = make_ledger(
    *[(1, 1, 1, 2), (1, 1, 2, 4), (1, 1, 3, 4), (1, 1, 4, 4)],
    *[(2, 2, 1, 4), (2, 2, 2, 0), (2, 2, 3, 1), (2, 2, 4, 0, 0)],
    (3, 3, 1, 4),
  )
  # Of steps 1-3 all correct are 3/4, 1/3, 1: thrice down, to 0.47. All wrong
  # are 0, 1/3, 0: up, down, up, to 0.51.
  got = shares(greso, ledger, ids(1, 2, 3, 4, 5), 5)
  np.testing.assert_allclose(got, [0.47**2, 0.51, 1, 0.47, 1], atol=0.035)


def test_greso_never_gives_a_prompt_up(make_ledger):
  ledger = make_ledger(*[(e, e, 1, 4) for e in range(1, 60)])
  asked = shares(greso, ledger, ids(1), 1, draws=4000)[0]
  assert 0.004 < asked < 0.02


def test_mopps_posterior_by_hand(make_ledger):
  # λ = 1/2: α = 1 → 1 + 4 = 5 → 2.5 + 0.5 + 0 = 3; β = 1 → 1 → 1 + 4 = 5.
  ledger = make_ledger((1, 1, 1, 4), (2, 2, 1, 0))
  seen = []

  class Recorder:
    def beta(self, alpha, beta):
      seen.append((alpha.tolist(), beta.tolist()))
      return alpha / (alpha + beta)

  mopps(ledger, ids(1, 2), 1, Recorder())
  assert seen == [([3, 1], [5, 1])]


def test_mopps_prefers_what_is_half_solved(make_ledger):
  rows = [
    (e, e, p, c) for e in range(1, 9) for p, c in ((1, 0), (2, 2), (3, 4))
  ]
  got = shares(mopps, make_ledger(*rows), ids(1, 2, 3), 1, draws=500)
  assert got[1] > 0.9
  hard = lambda *a: mopps(*a, target=0.0)
  assert shares(hard, make_ledger(*rows), ids(1, 2, 3), 1, 500)[0] > 0.9


def test_dps_prediction_by_hand():
  # Counts 1 everywhere, mixed once: ξ puts 1/3 on each column of row 1.
  # C[1] = 4/3, others 1: column sums 10/3, so T e₁ = (0.3, 0.4, 0.3).
  mixed = np.array([1])
  np.testing.assert_allclose(
    predicted_state(mixed, np.array([1]), 0.7, 1.0), [0.3, 0.4, 0.3]
  )
  # One step later C[1] = 1 + 0.7/3: (1, 1 + 0.7/3, 1) / (3 + 0.7/3).
  later = np.array([1, 1 + 0.7 / 3, 1]) / (3 + 0.7 / 3)
  np.testing.assert_allclose(
    predicted_state(mixed, np.array([2]), 0.7, 1.0), later
  )
  none = np.zeros(0, int)
  np.testing.assert_allclose(predicted_state(none, none, 0.7, 1.0), 1 / 3)


class Remembering:
  """DPS as an object that is told of every step, to compare with."""

  def __init__(self):
    self.counts, self.belief, self.before = {}, {}, {}

  def chance(self, prompt):
    return self.belief.get(prompt, np.full(3, 1 / 3))

  def step(self, outcomes):
    for prompt in set(self.belief) | set(outcomes):
      counts = self.counts.get(prompt, np.ones((3, 3)))
      before = self.before.get(prompt, np.full(3, 1 / 3))
      now = self.chance(prompt)
      moved = 0.7 * counts + 0.3
      if prompt in outcomes:
        now = np.eye(3)[outcomes[prompt]]
        flow = now[:, None] * before[None] * counts / counts.sum(0)[None]
        moved = moved + flow / flow.sum()
      self.counts[prompt], self.before[prompt] = moved, now
      self.belief[prompt] = (moved / moved.sum(0)[None]) @ now


def test_dps_from_the_ledger_is_dps_with_a_memory(mixed_ledger):
  memory, rows = Remembering(), mixed_ledger.where(mixed_ledger.judged > 0)
  for step in range(1, 61):
    at = rows.where(rows.step == step)
    state = np.where(at.correct == at.judged, 2, np.minimum(at.correct, 1))
    memory.step(dict(zip(at.prompt.tolist(), state.tolist(), strict=True)))
  chance = np.array([memory.chance(p)[1] for p in range(13)])
  assert len(set(chance.round(9))) > 10, 'the ledger is too plain a test'
  for count in range(1, 10):
    got = dps(mixed_ledger, np.arange(13, dtype=np.uint64), count, rng())
    likeliest = np.sort(np.argsort(-chance)[:count])
    assert got.tolist() == likeliest.tolist()


def test_dps_breaks_ties_by_lot():
  got = shares(dps, history.empty(), np.arange(4, dtype=np.uint64), 1)
  np.testing.assert_allclose(got, 0.25, atol=0.05)


def test_dps_looks_back_as_far_as_it_matters(mixed_ledger):
  candidates = np.arange(12, dtype=np.uint64)
  near = dps(mixed_ledger, candidates, 4, rng(), horizon=50)
  whole = dps(mixed_ledger, candidates, 4, rng(), horizon=10**6)
  np.testing.assert_array_equal(near, whole)
