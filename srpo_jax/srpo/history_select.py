# SPDX-License-Identifier: Apache-2.0
"""Rules for which of the prompts in turn are asked now.

All have the form of `as_they_come` (history.py). They ask for what they
expect to teach something: a group whose rollouts differ. What others keep in
objects of their own is read off the ledger here, whose rows stand in the
order in which groups were asked: no hidden state, and a resumed run decides
alike. A group counts by its judged rollouts; one without any, for nothing.
With CANDIDATES = 1 only `greso` can pass anything over.
"""

import numpy as np

from srpo_jax.srpo.history import Ledger


def greso(
  ledger: Ledger,
  candidates: np.ndarray,
  count: int,
  rng: np.random.Generator,
  *,
  start: float = 0.5,
  target_easy: float = 0.25 / 3,
  target_hard: float = 0.25 * 2 / 3,
) -> np.ndarray:
  """Asks x with probability max(p^k, 0.01), k its last equal groups in a row.

  k counts the trailing groups of x that were all correct (then p = p_easy) or
  all wrong (p_hard); a prompt with k = 0 is always asked. GRESO
  (arXiv:2506.02177 and its code). What passes is asked in turn, and fewer
  than `count` may be.
  """
  ledger = ledger.where(ledger.judged > 0)
  easy, hard = ledger.correct == ledger.judged, ledger.correct == 0
  p_easy = exploration(ledger.step, easy, start, target_easy)
  p_hard = exploration(ledger.step, hard, start, target_hard)
  ask = np.ones(len(candidates))
  for i, rows in enumerate(rows_of(ledger, candidates)):
    k_easy, k_hard = trailing(easy[rows]), trailing(hard[rows])
    ask[i] = max(p_easy**k_easy * p_hard**k_hard, 0.01)
  return candidates[rng.random(len(candidates)) < ask][:count]


def exploration(
  step_n: np.ndarray, equal_n: np.ndarray, start: float, target: float
) -> float:
  """GRESO's p after the steps so far: ∓ 0.01 a step, within [0.05, 0.95].

  Down where the step's share of such groups reached the target, else up. The
  code leaves its first epoch out; we do not (our choice).
  """
  p = start
  _, of_n = np.unique(step_n, return_inverse=True)
  share_s = np.bincount(of_n, equal_n) / np.maximum(np.bincount(of_n), 1)
  for share in share_s:
    p = min(max(p - 0.01 if share >= target else p + 0.01, 0.05), 0.95)
  return p


def mopps(
  ledger: Ledger,
  candidates: np.ndarray,
  count: int,
  rng: np.random.Generator,
  *,
  target: float = 0.5,
  discount: float = 0.5,
  prior: float = 1.0,
) -> np.ndarray:
  """Asks the prompts whose drawn pass rate is nearest to `target`.

  A Beta(α, β) for each prompt; a group with s of n judged correct makes
  α ← λα + (1 − λ)α₀ + s, β ← λβ + (1 − λ)β₀ + n − s. Thompson sampling: the
  pass rate is drawn from it. MoPPS (arXiv:2507.04632); target 0.5 as there,
  λ and the prior α₀ = β₀ are our choice.
  """
  alpha, beta = (np.full(len(candidates), prior) for _ in range(2))
  for i, rows in enumerate(rows_of(ledger, candidates)):
    for s, n in zip(ledger.correct[rows], ledger.judged[rows], strict=True):
      alpha[i] = discount * alpha[i] + (1 - discount) * prior + s
      beta[i] = discount * beta[i] + (1 - discount) * prior + n - s
  distance = np.abs(rng.beta(alpha, beta) - target)
  nearest = np.argsort(distance, kind='stable')[:count]
  return candidates[np.sort(nearest)]


def dps(
  ledger: Ledger,
  candidates: np.ndarray,
  count: int,
  rng: np.random.Generator,
  *,
  decay: float = 0.7,
  prior: float = 1.0,
  horizon: int = 64,
) -> np.ndarray:
  """Asks the prompts most likely to be in the state "some, not all, correct".

  A hidden Markov chain for each prompt over the states 0 all wrong, 1 mixed,
  2 all correct, moved on once a step (`predicted_state`). DPS
  (arXiv:2603.10887 and its code: decay 0.7, top-k); the even prior of
  transitions and start, ties broken by lot, and looking back `horizon` steps
  (0.7^64 = 1e-10 of what was before is left) are our choice.
  """
  now = ledger.step.max(initial=0) + 1
  ledger = ledger.where((ledger.judged > 0) & (ledger.step >= now - horizon))
  equal = [ledger.correct == 0, ledger.correct == ledger.judged]
  state = np.select(equal, [0, 2], 1)
  mixed = np.zeros(len(candidates))
  for i, rows in enumerate(rows_of(ledger, candidates)):
    when = ledger.step[rows]
    waited = np.diff(when, append=now)
    mixed[i] = predicted_state(state[rows], waited, decay, prior)[1]
  lot = rng.random(len(candidates))
  likeliest = np.lexsort((lot, -mixed))[:count]
  return candidates[np.sort(likeliest)]


def predicted_state(
  state_v: np.ndarray, waited_v: np.ndarray, decay: float, prior: float
) -> np.ndarray:
  """P(state) of a prompt at the coming step, from its groups so far, [3].

  With C[j, i] the Dirichlet counts of i → j, T = C / Σⱼ C, b the belief, o a
  group's state: ξ = T[o, :] b / Σ, C ← decay C + (1 − decay) C₀ + ξ at row o,
  and the belief becomes T e_o. Each further step without a group (waited − 1
  of them) has C ← decay C + (1 − decay) C₀ and b ← T b.
  """
  first = np.full((3, 3), prior)
  counts, before, belief = first, np.full(3, 1 / 3), np.full(3, 1 / 3)
  for o, waited in zip(state_v, waited_v, strict=True):
    seen = np.eye(3)[o]
    flow = np.outer(seen, before) * counts / counts.sum(axis=0)
    counts = decay * counts + (1 - decay) * first + flow / flow.sum()
    before, belief = seen, counts @ (seen / counts.sum(axis=0))
    for _ in range(waited - 1):
      counts = decay * counts + (1 - decay) * first
      before, belief = belief, counts @ (belief / counts.sum(axis=0))
  return belief


def rows_of(ledger: Ledger, candidates: np.ndarray) -> list[np.ndarray]:
  """For each candidate the indices of its rows, oldest first."""
  order = np.argsort(ledger.prompt, kind='stable')
  prompt = ledger.prompt[order]
  left = np.searchsorted(prompt, candidates, 'left')
  right = np.searchsorted(prompt, candidates, 'right')
  return [order[a:b] for a, b in zip(left, right, strict=True)]


def trailing(flag_v: np.ndarray) -> int:
  """How many of the last are True in a row."""
  return int(np.argmin(np.append(flag_v[::-1], False)))
