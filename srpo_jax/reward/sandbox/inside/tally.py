# SPDX-License-Identifier: Apache-2.0
"""What the tests of an item have found so far; it ends as the report."""

from collections.abc import Iterator
from contextlib import contextmanager

from .ended import Ended

MAX_DETAIL = 300
# Ends that say nothing about the submission, whatever came before them.
NO_VERDICT = ('unavailable', 'invalid_task', 'sandbox_error')


class Invalid(Exception):
  """The task cannot be judged, whatever the program is."""


class Tally:
  """Counts tests; the first that fails decides the status.

  Attributes:
    total: how many tests there are, as far as known before they run.
    passed: how many have passed.
    run: how many have passed or failed.
  """

  def __init__(self):
    self.total = 0
    self.passed = 0
    self.run = 0
    self._status = ''
    self._detail = ''

  def passes(self) -> None:
    """One test has passed."""
    self.run += 1
    self.passed += 1

  def fails(self, status: str, detail: str) -> None:
    """One test has failed."""
    self.run += 1
    self.ends(status, detail)

  def judge(self, right: bool, detail: str) -> None:
    """One test has compared something."""
    if right:
      self.passes()
    else:
      self.fails('wrong', detail)

  def ends(self, status: str, detail: str) -> None:
    """Nothing more will be known."""
    if not self._status or status in NO_VERDICT:
      self._status = status
      self._detail = ' '.join(detail.split())[:MAX_DETAIL]

  def report(self) -> dict:
    """The report. Nothing is correct unless every test has run and passed."""
    total = max(self.total, self.run)
    if not self._status and not 0 < self.passed == total:
      self.ends('wrong', f'{self.run} of {total} tests were reached')
    return {
      'status': self._status or 'correct',
      'passed': self.passed,
      'total': total,
      'detail': self._detail,
    }


@contextmanager
def whose_fault(what: str) -> Iterator[None]:
  """Blames the task for any exception of its own code."""
  try:
    yield
  except (Ended, Invalid):
    raise
  except (Exception, SystemExit) as error:
    raise Invalid(f'{what} raised {describe(error)}') from error


def describe(error: BaseException) -> str:
  """Name and message; the message may hold an object of the program.

  Its repr is then asked of the program, which may raise what it likes.
  """
  try:
    return f'{type(error).__name__}: {error}'
  except Exception:
    return type(error).__name__
