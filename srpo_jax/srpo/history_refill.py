# SPDX-License-Identifier: Apache-2.0
"""Which groups of a step are replaced by groups of further prompts.

`refill(verdict, real_P) -> again_P`, called after each round of a step, at
most REFILL_ROUNDS times. What was played and replaced is paid for: it is in
the ledger, in the rollout files and in tokens/rollout.
"""

import numpy as np

from srpo_jax.core.records import Verdict


def no_refill(verdict: Verdict, real_P: np.ndarray) -> np.ndarray:
  """None: a step learns from the groups that it asked (GRPO, SRPO)."""
  del verdict
  return np.zeros_like(real_P)


def equal_accuracy(verdict: Verdict, real_P: np.ndarray) -> np.ndarray:
  """Those whose rollouts are all correct or all wrong, which teach nothing.

  Dynamic sampling, DAPO (arXiv:2503.14476, eq. 11): 0 < correct < G. By the
  judged rollouts; a group without any is asked anew too (our choice).

  Args:
    verdict: of the step's groups.
    real_P: False for places that only pad the step; those stay empty.
  """
  right_P = (verdict.accuracy_PG == 1).any(axis=1)
  wrong_P = (verdict.accuracy_PG == 0).any(axis=1)
  return real_P & ~(right_P & wrong_P)
