# SPDX-License-Identifier: Apache-2.0
"""Judges one submission: the trusted process, which holds the tests.

It asks the guest for values and output, and compares them here. The guest can
answer what it likes, late or not at all; it cannot say that a test passed.
"""

import contextlib
import signal
import socket
import types
import warnings
from collections.abc import Iterator
from typing import Any

from .asserts import judge_asserts
from .cases import judge_calls, judge_stdio
from .channel import Line, most_bytes
from .check import judge_check
from .ended import Ended
from .remote import Remote, Untransferable
from .sat import judge_sat
from .tally import Invalid, Tally, describe

KINDS = {
  'assert': judge_asserts,
  'call': judge_calls,
  'check': judge_check,
  'sat': judge_sat,
  'stdio': judge_stdio,
}
# CPU seconds of the tests themselves, beside the limit of the program.
TESTS_CPU_S = 2.0
GRACE_S = 1.0


def judge(job: dict, sock: socket.socket, watch: Any) -> dict:
  """The report on a job.

  Args:
    job: 'program', 'tests' and 'limits', as `program.job_of` makes it.
    sock: the guest is at its other end, and waits.
    watch: ends the guest that is over a limit; docs/reward.md.
  """
  tally = Tally()
  limits, tests = job['limits'], job['tests']
  line = Line(sock, watch, most_bytes(limits))
  remote = Remote(line, limits['case_s'])
  try:
    with clock(TESTS_CPU_S + limits['cpu_s'], remote), quiet():
      KINDS[tests['type']](job, remote, tally)
  except Ended as ended:
    tally.ends(ended.status, ended.detail)
  except (Invalid, Untransferable) as error:
    tally.ends('invalid_task', str(error))
  except (SystemExit, KeyboardInterrupt) as error:
    tally.ends('invalid_task', f'the tests raised {type(error).__name__}')
  except Exception as error:
    # A fault of ours must not pass for one of the task or of the program.
    tally.ends('sandbox_error', describe(error))
  # Tests may have a bare `except` in the way of it.
  if line.ended is not None:
    tally.ends(line.ended.status, line.ended.detail)
  return tally.report()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
  """Without warnings about the code of a data set, which nobody here mends."""
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    yield


@contextlib.contextmanager
def clock(limit_s: float, remote: Remote) -> Iterator[None]:
  """Ends tests that compute for too long, be it on what they were given."""

  def ring(number: int, frame: types.FrameType | None) -> None:
    del number, frame
    status = 'timeout' if remote.started else 'invalid_task'
    raise Ended(status, f'the tests ran for more than {limit_s:g} s')

  before = signal.signal(signal.SIGPROF, ring)
  # The handler waits for the end of a C call; 10**10**10 has none in sight.
  # Then the default action of the other signal ends this process.
  signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
  signal.setitimer(signal.ITIMER_PROF, limit_s)
  signal.setitimer(signal.ITIMER_VIRTUAL, limit_s + GRACE_S)
  try:
    yield
  finally:
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, before)
