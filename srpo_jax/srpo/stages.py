# SPDX-License-Identifier: Apache-2.0
"""Stages: what is trained on, and until when.

Stage 1 is mathematics until long reasoning emerges; stage 2 adds code
(SRPO, arXiv:2504.14286). Weights and ledger carry over.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Until:
  """A stage ends at whichever comes first; None means no such limit.

  Attributes:
    steps: updates made in this stage.
    epochs: passes over the prompts that are kept.
  """

  steps: int | None = None
  epochs: int | None = None

  def reached(self, steps: int, epochs: int) -> bool:
    """True once the stage has made `steps` updates or `epochs` passes."""
    over = lambda done, limit: limit is not None and done >= limit
    return over(steps, self.steps) or over(epochs, self.epochs)


@dataclasses.dataclass(frozen=True)
class Stage:
  """One stage of training.

  Attributes:
    name: for logs and figures.
    mixture: names of prompt sets, such as 'embedded_math/train'.
    heldout: names of sets for evaluation; never filtered, never trained on.
    until: when it ends. An empty set of kept prompts ends it too.
  """

  name: str
  mixture: tuple[str, ...]
  heldout: tuple[str, ...]
  until: Until
