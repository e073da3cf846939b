# SPDX-License-Identifier: Apache-2.0
"""Stages: what is trained on, and until when.

Stage 1 is mathematics until long reasoning emerges; stage 2 adds code
(SRPO, arXiv:2504.14286). Weights and ledger carry over.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from srpo_jax.srpo.history import Ledger


@dataclasses.dataclass(frozen=True)
class Plateau:
  """The reward stopped rising. The paper does not say how it is told.

  Attributes:
    window: steps that are averaged.
    patience: steps without a new best average.
    least: what a new best must exceed the old one by.
  """

  window: int = 20
  patience: int = 20
  least: float = 0.01

  def reached(self, rewards: Sequence[float]) -> bool:
    """True if `patience` averages in a row were no new best.

    Args:
      rewards: mean reward of each step of the stage so far; those of steps
        without a judgement (NaN) are left out.
    """
    known = np.asarray(rewards, np.float64)
    known = known[~np.isnan(known)]
    best, since = -np.inf, 0
    for end in range(self.window, len(known) + 1):
      mean = known[end - self.window : end].mean()
      since = 0 if mean > best + self.least else since + 1
      best = best if since else mean
    return since >= self.patience


@dataclasses.dataclass(frozen=True)
class Until:
  """A stage ends at whichever comes first; None means no such limit.

  Attributes:
    steps: updates made in this stage.
    epochs: passes over the prompts that are kept.
    plateau: the reward stopped rising.
  """

  steps: int | None = None
  epochs: int | None = None
  plateau: Plateau | None = None

  def reached(
    self, steps: int, epochs: int, rewards: Sequence[float] = ()
  ) -> str:
    """What ended the stage: 'steps', 'epochs', 'plateau'; '' if nothing did."""
    over = lambda done, limit: limit is not None and done >= limit
    if over(steps, self.steps):
      return 'steps'
    if over(epochs, self.epochs):
      return 'epochs'
    flat = self.plateau is not None and self.plateau.reached(rewards)
    return 'plateau' if flat else ''


@dataclasses.dataclass(frozen=True)
class Stage:
  """One stage of training.

  Attributes:
    name: for logs and figures.
    mixture: names of prompt sets, such as 'embedded_math/train'.
    heldout: names of sets for evaluation; never filtered, never trained on.
    until: when it ends. An empty set of kept prompts ends it too.
    fresh_optimizer: it begins with the optimizer's moments at zero, else with
      those of the stage before.
    dropped_return: it begins with its whole mixture, else without the prompts
      that the stage before had dropped when it ended.
  """

  name: str
  mixture: tuple[str, ...]
  heldout: tuple[str, ...]
  until: Until
  fresh_optimizer: bool = False
  dropped_return: bool = False


def first_kept(
  stage: Stage, pool: np.ndarray, kept: np.ndarray, ledger: Ledger
) -> np.ndarray:
  """The ids that a stage begins with.

  Dropped is what the stage before asked and did not keep. A code prompt that
  no stage asked yet is new, so it is there.

  Args:
    stage: that begins.
    pool: all ids of its mixture.
    kept: ids that the stage before ended with.
    ledger: of all stages so far; the last of them is the one before.
  """
  if stage.dropped_return or not len(ledger):
    return pool
  asked = ledger.prompt[ledger.stage == ledger.stage.max()]
  return pool[~np.isin(pool, np.setdiff1d(asked, kept))]
