# SPDX-License-Identifier: Apache-2.0
"""What judges behind the routes: workers, sandboxes, their caches, the judge.

Mathematics is ready as soon as one worker is. Keepers of sandboxes start in
the background; programs that come before one is ready wait for it.
"""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from srpo_jax.reward.cache import Cache
from srpo_jax.reward.judge import Judge
from srpo_jax.reward.logs import event
from srpo_jax.reward.pool import Pool, Reply, Worker, start_worker
from srpo_jax.reward.sandbox import Backend, NoSandbox

# Verdicts on a program that would be the same another time. A limit that was
# passed once may not be passed again.
LASTING = ('correct', 'wrong', 'runtime_error')


class Counted:
  """Counts how often something was started."""

  def __init__(self, start: Callable[[], Awaitable[Worker]]):
    self._start = start
    self.count = 0

  async def __call__(self) -> Worker:
    """Starts one."""
    self.count += 1
    return await self._start()


class Group:
  """One kind of process: its pool and the cache in front of it."""

  def __init__(
    self,
    start: Callable[[], Awaitable[Worker]],
    size: int,
    lasting: Callable[[Any], bool] = lambda value: True,
  ):
    self._starts = Counted(start)
    self.pool = Pool(self._starts, size)
    self.cache = Cache(self.pool.run, lasting=lasting)
    self._size = size

  @property
  def restarts(self) -> int:
    """Starts beyond the first of each process, and forks that were killed."""
    return max(self._starts.count - self._size, 0) + self.pool.renewals


class Engine:
  """Judges items with workers, and programs with keepers where there are any.

  Args:
    modules: verifier modules.
    workers: how many worker processes.
    choose: finds what makes sandboxes; NoSandbox if nothing here can.
    sandboxes: how many keepers.

  Attributes:
    sandbox: one line on what confines programs, or on why none is run.
  """

  def __init__(
    self,
    modules: Sequence[str],
    workers: int,
    choose: Callable[[], Backend],
    sandboxes: int,
  ):
    self.workers = Group(functools.partial(start_worker, modules), workers)
    self.keepers: Group | None = None
    self.sandbox = 'being prepared'
    self.judge = Judge(self.workers.cache.ask, self.ask_program)
    self._choose = choose
    self._sandboxes = sandboxes
    self._backend: Backend | None = None
    self._opening: asyncio.Task | None = None

  @property
  def groups(self) -> dict[str, Group]:
    """The kinds of processes by name."""
    named = {'worker': self.workers, 'sandbox': self.keepers}
    return {name: group for name, group in named.items() if group is not None}

  def start(self) -> None:
    """Starts the workers in the background."""
    self.workers.pool.start()

  def open_sandboxes(self) -> None:
    """Starts the keepers in the background."""
    self._opening = asyncio.create_task(self._open())

  async def _open(self) -> None:
    """Finds out what can confine programs here, and starts the keepers."""
    try:
      # In a thread: it runs a program to see.
      self._backend = await asyncio.to_thread(self._choose)
    except NoSandbox as error:
      self.sandbox = str(error)
      event('no sandbox', logging.WARNING, reason=self.sandbox)
      return
    self.sandbox = self._backend.summary
    self.keepers = Group(
      self._backend.start_keeper, self._sandboxes, is_lasting
    )
    self.keepers.pool.start()
    self.keepers.pool.failed.add_done_callback(report_failure)
    event('sandbox', count=self._sandboxes, summary=self.sandbox)

  async def close(self) -> None:
    """Ends the processes."""
    if self._opening is not None:
      await asyncio.wait([self._opening])
    await asyncio.gather(*(g.pool.close() for g in self.groups.values()))
    if self._backend is not None:
      self._backend.close()

  async def ask_program(self, job: Sequence[Any], limit_s: float) -> Reply:
    """A keeper's reply; if none can ever start, a report that says why."""
    await asyncio.shield(self._opening)
    if self.keepers is None:
      return no_sandbox(self.sandbox)
    failed = self.keepers.pool.failed
    reply = asyncio.ensure_future(self.keepers.cache.ask(job, limit_s))
    try:
      # It may turn out only now that none can start.
      await asyncio.wait({reply, failed}, return_when=asyncio.FIRST_COMPLETED)
      return reply.result() if reply.done() else no_sandbox(reason(failed))
    finally:
      reply.cancel()

  def readiness(self) -> dict[str, Any]:
    """The body of /readyz; its `workers_ready` decides."""
    keepers = self.keepers
    return {
      'workers_ready': self.workers.pool.ready,
      'sandboxes_ready': 0 if keepers is None else keepers.pool.ready,
      'sandbox': self.sandbox,
    }


def is_lasting(report: Any) -> bool:
  """True if a report on a program may be given again."""
  return report['status'] in LASTING


def no_sandbox(why: str) -> Reply:
  """The report on a program that could not be run."""
  report = {'status': 'sandbox_error', 'passed': 0, 'total': 0}
  return Reply('value', report | {'detail': why, 'seconds': 0.0})


def report_failure(failed: asyncio.Future) -> None:
  """Logs that no sandbox can be started."""
  if not failed.cancelled():
    event('no sandbox', logging.ERROR, reason=reason(failed))


def reason(failed: asyncio.Future) -> str:
  """Why no process of a pool can be started."""
  return str(failed.exception())
