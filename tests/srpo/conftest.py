# SPDX-License-Identifier: Apache-2.0
"""A ledger written down row by row."""

import numpy as np
import pytest

from srpo_jax.core.records import STATUSES
from srpo_jax.srpo import history


@pytest.fixture
def make_ledger():
  """Makes a ledger of G = 4 from rows of (epoch, step, prompt, correct).

  A fifth number says how many were judged, if not all.
  """

  def make(*rows):
    full = [(*row, 4) if len(row) == 4 else row for row in rows]
    columns = np.array(full, np.int64).reshape(-1, 5).T
    epoch, step, prompt, correct, judged = columns
    statuses = np.zeros((len(full), len(STATUSES)), np.int32)
    statuses[:, STATUSES.index('correct')] = correct
    statuses[:, STATUSES.index('wrong')] = judged - correct
    statuses[:, STATUSES.index('unavailable')] = 4 - judged
    return history.Ledger(
      prompt=prompt.astype(np.uint64),
      stage=np.ones_like(epoch),
      epoch=epoch,
      step=step,
      judged=judged,
      correct=correct,
      length_mean=np.ones(len(full), np.float32),
      truncated=np.zeros_like(epoch),
      statuses=statuses,
    )

  return make
