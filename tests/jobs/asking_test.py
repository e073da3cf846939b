# SPDX-License-Identifier: Apache-2.0
"""Which prompts a step asks: selection, padding, refill."""

import types

import numpy as np
import pytest

from srpo_jax.core.config import ConfigError
from srpo_jax.core.records import Rollouts, Verdict
from srpo_jax.jobs import asking, rollout
from srpo_jax.srpo import history, history_refill
from srpo_jax.train.snapshot import Position, Snapshot

P, G, T = 4, 2, 3
ORDER = np.arange(10, 22).astype(np.uint64)


def settings(**given):
  values = {
    'seed': 0,
    'prompts_per_step': P,
    'candidates': 1,
    'select': history.as_they_come,
    'refill': history_refill.no_refill,
    'refill_rounds': 3,
    **given,
  }
  return types.SimpleNamespace(**values)


def played(prompts, is_even):
  """A round: groups of even ids are mixed, all others correct."""
  ids = np.array([p.id for p in prompts])
  accuracy_PG = np.ones((P, G), np.float32)
  accuracy_PG[is_even(ids), 0] = 0
  tokens_BT = np.repeat(ids, G)[:, None] + np.zeros((1, T), np.int64)
  rows = np.ones(P * G, bool)
  status_PG = np.where(accuracy_PG == 1, 'correct', 'wrong')
  return rollout.Round(
    tokens_PL=ids[:, None],
    mask_PL=np.ones((P, 1), bool),
    rollouts=Rollouts(
      tokens_BT,
      tokens_BT,
      tokens_BT,
      tokens_BT > 0,
      np.repeat(np.arange(P), G),
      np.tile(np.arange(G), P),
      rows,
    ),
    verdict=Verdict(status_PG, *[accuracy_PG] * 4),
    texts=[str(i) for i in np.repeat(ids, G)],
    rollout_s=1.0,
    reward_s=0.5,
  )


@pytest.fixture
def ask(monkeypatch):
  """Asks with that settings; returns what was asked, and what was played."""
  rounds = []

  def play(parts, sampler, params, prompts, real_P, key, give_up):
    rounds.append((
      [p.id for p in prompts], real_P.tolist()
    ))  # fmt: skip
    return played(prompts, lambda ids: ids % 2 == 0)

  monkeypatch.setattr(rollout, 'play', play)
  take = lambda ids: [types.SimpleNamespace(id=int(i)) for i in ids]
  mixture = types.SimpleNamespace(take=take)
  data = types.SimpleNamespace(mixtures=(mixture,))
  parts = types.SimpleNamespace(data=data, sampler=None)
  stop = types.SimpleNamespace(check=None)

  def run(order=ORDER, taken=0, **given):
    state = types.SimpleNamespace(params=None)
    at = Position(step=6, taken=taken)
    snapshot = Snapshot(state, history.empty(), order, at)
    fake = types.SimpleNamespace(
      settings=settings(**given), parts=parts, stop=stop
    )
    return asking.ask(fake, snapshot, order), rounds

  return run


def test_as_they_come_and_a_short_rest(ask):
  asked, rounds = ask()
  assert rounds == [([10, 11, 12, 13], [True] * 4)]
  assert asked.taken == 4
  assert asked.replaced == []
  rounds.clear()
  asked, rounds = ask(taken=10)
  assert rounds == [([20, 21, 21, 21], [True, True, False, False])]
  assert asked.taken == 12
  assert asked.ledger.prompt.tolist() == [20, 21]
  assert asked.ledger.step.tolist() == [7, 7]


def test_selection_sees_the_candidates_and_the_rest_is_passed_over(ask):
  seen = []

  def odd(ledger, candidates, count, rng):
    seen.append((candidates.tolist(), count))
    return candidates[candidates % 2 == 1][:count]

  asked, rounds = ask(select=odd, candidates=2)
  assert seen == [(list(range(10, 18)), 4)]
  assert rounds == [([11, 13, 15, 17], [True] * 4)]
  assert asked.taken == 8


def test_what_selection_leaves_out_is_padding(ask):
  asked, rounds = ask(select=lambda ledger, ids, count, rng: ids[::2])
  assert rounds == [([10, 12, 12, 12], [True, True, False, False])]
  assert asked.groups.real_P.tolist() == [True, True, False, False]


def test_a_step_asks_something(ask):
  _, rounds = ask(select=lambda ledger, ids, count, rng: ids[:0])
  assert rounds[0][1] == [True, False, False, False]


@pytest.mark.parametrize(
  'wrong',
  [
    lambda ids: np.array([99], np.uint64),
    lambda ids: ids[[0, 0]],
    lambda ids: ids,
  ],
)
def test_a_selection_that_cannot_be_is_refused(ask, wrong):
  with pytest.raises(ConfigError, match=r'SELECT = .*at most 4 of them'):
    ask(select=lambda ledger, ids, count, rng: wrong(ids), candidates=2)


def test_refill_replaces_groups_until_all_differ(ask):
  asked, rounds = ask(refill=history_refill.equal_accuracy)
  # 11 and 13 were all correct: 14 and 15 come in their places, then 16.
  assert rounds == [
    ([10, 11, 12, 13], [True] * 4),
    ([15, 14, 15, 15], [False, True, False, True]),
    ([16, 16, 16, 16], [False, False, False, True]),
  ]
  assert [p.id for p in asked.groups.prompts] == [10, 14, 12, 16]
  assert asked.groups.real_P.tolist() == [True] * 4
  assert asked.taken == 7
  # Whatever was asked is in the ledger, and what was replaced is told apart.
  assert asked.ledger.prompt.tolist() == [*range(10, 17)]
  assert [
    [p.id for p, real in zip(g.prompts, g.real_P, strict=True) if real]
    for g in asked.replaced
  ] == [[11, 13], [15]]


def test_what_is_merged_is_whole(ask):
  asked, _ = ask(refill=history_refill.equal_accuracy)
  merged = asked.groups.played
  assert merged.tokens_PL[:, 0].tolist() == [10, 14, 12, 16]
  assert merged.rollouts.tokens_BT[:, 0].tolist() == [
    *[10, 10, 14, 14], *[12, 12, 16, 16],
  ]  # fmt: skip
  assert merged.texts == ['10', '10', '14', '14', '12', '12', '16', '16']
  assert (merged.verdict.accuracy_PG == [[0, 1]] * 4).all()
  assert merged.verdict.status_PG.tolist() == [['wrong', 'correct']] * 4
  assert merged.rollout_s == 3.0
  assert merged.reward_s == 1.5


def test_refill_stops_at_its_rounds_and_at_the_end_of_the_epoch(ask):
  asked, rounds = ask(refill=history_refill.equal_accuracy, refill_rounds=1)
  assert len(rounds) == 2
  rounds.clear()
  # 21, the last one, cannot be replaced; 19 by nothing but 20 and 21.
  asked, rounds = ask(refill=history_refill.equal_accuracy, taken=7)
  assert rounds == [
    ([17, 18, 19, 20], [True] * 4),
    ([21, 21, 21, 21], [True, False, False, False]),
  ]
  assert asked.taken == len(ORDER)


def test_each_draw_has_its_own_random_numbers(ask):
  drawn = []

  def spy(ledger, ids, count, rng):
    drawn.append(rng.random())
    return ids[:count]

  ask(select=spy, refill=history_refill.equal_accuracy)
  ask(select=spy, taken=4)
  assert len(set(drawn)) == len(drawn) - 1  # the second and the last are one
  assert drawn[1] == drawn[-1]
