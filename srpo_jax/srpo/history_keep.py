# SPDX-License-Identifier: Apache-2.0
"""Filters beside the paper's: which prompts come back next epoch.

All have the form of `keep_unsolved` (history.py), and what they give is in
`pool`. None looks at anything but the ledger, so a resumed run decides alike.
"""

import numpy as np

from srpo_jax.srpo.history import Ledger, keep_unsolved


def keep_below(
  kept: np.ndarray,
  pool: np.ndarray,
  ledger: Ledger,
  rng: np.random.Generator,
  *,
  share: float = 0.9,
) -> np.ndarray:
  """A prompt leaves for good once `share` of its rollouts were correct.

  D' = { x ∈ D : correct(x) / asked(x) < share }, over all epochs of the stage
  (no-positive-resampling with 0.9, ScaleRL, arXiv:2510.13786). A rollout not
  judged counts as not correct (our choice), so that in a stage's first epoch
  a share of 1 is `keep_unsolved`.
  """
  del pool, rng
  prompts, of_n = np.unique(ledger.prompt, return_inverse=True)
  asked = np.bincount(of_n, ledger.statuses.sum(axis=1), len(prompts))
  correct = np.bincount(of_n, ledger.correct, len(prompts))
  # A quotient: in floats 55 / 100 is 0.55, but 0.55 * 100 is above 55.
  mastered = prompts[correct / np.maximum(asked, 1) >= share]
  return kept[~np.isin(kept, mastered)]


def keep_unsolved_review(
  kept: np.ndarray,
  pool: np.ndarray,
  ledger: Ledger,
  rng: np.random.Generator,
  *,
  share: float = 0.1,
) -> np.ndarray:
  """The paper's rule, and each dropped prompt is asked again with `share`.

  One that fails its review is unsolved and stays; one that passes it leaves
  again. MiMo (arXiv:2505.07608) draws from its easy pool with 0.1, others
  review 1-2% (METHOD.md section 10); a draw for each prompt is our choice.
  """
  unsolved = keep_unsolved(kept, pool, ledger, rng)
  dropped = ~np.isin(pool, unsolved)
  reviewed = dropped & (rng.random(len(pool)) < share)
  return pool[~dropped | reviewed]
