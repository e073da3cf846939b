# SPDX-License-Identifier: Apache-2.0
"""How judging one item ended; the statuses are those of core/records.py."""

import dataclasses

JUDGED = (
  'correct',
  'wrong',
  'no_answer',
  'timeout',
  'memory',
  'runtime_error',
)
NOT_JUDGED = ('sandbox_error', 'invalid_task', 'unavailable')


@dataclasses.dataclass(frozen=True)
class Outcome:
  """A status, and one line on why where that is not plain.

  Attributes:
    status: one of those above.
    detail: the line.
    seconds: spent on it.
    passed_share: of the tests, in [0, 1]; None where only accuracy tells.
  """

  status: str
  detail: str = ''
  seconds: float = 0.0
  passed_share: float | None = None

  @property
  def accuracy(self) -> int | None:
    """1 right, 0 not, None where the status does not judge the response."""
    if self.status in NOT_JUDGED:
      return None
    return int(self.status == 'correct')


def verdict(right: bool, detail: str = '', seconds: float = 0.0) -> Outcome:
  """'correct' or 'wrong'."""
  return Outcome('correct' if right else 'wrong', detail, seconds)
