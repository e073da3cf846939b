# SPDX-License-Identifier: Apache-2.0
"""Asks each question once: a bounded memory in front of the pool.

The samples of a group often end in the same answer, and a batch is often sent
again after a broken connection; equal questions share one job while it runs
and its reply afterwards. Only values are remembered, and of those only what
would be the same again: what timed out on a busy machine may pass on a quiet
one.
"""

import asyncio
import collections
import dataclasses
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from srpo_jax.reward.pool import Reply

Run = Callable[[Sequence[Any], float], Awaitable[Reply]]


@dataclasses.dataclass(eq=False)
class Flight:
  """A job under way, and how many wait for it."""

  task: asyncio.Task
  waiters: int = 0


class Cache:
  """Least recently used replies, keyed by a digest of the job's content.

  Attributes:
    asked: questions so far.
    hits: of them, those that were known or joined a job under way.
  """

  def __init__(
    self,
    run: Run,
    size: int = 100_000,
    lasting: Callable[[Any], bool] = lambda value: True,
  ):
    self._run = run
    self._size = size
    self._lasting = lasting
    self.asked = self.hits = 0
    self._known: collections.OrderedDict[bytes, Any] = collections.OrderedDict()
    self._flights: dict[bytes, Flight] = {}

  @property
  def under_way(self) -> int:
    """Jobs that run or wait for a process."""
    return len(self._flights)

  async def ask(self, job: Sequence[Any], limit_s: float) -> Reply:
    """The reply to a job; `seconds` is 0 where it was known."""
    text = json.dumps([job, limit_s], sort_keys=True)
    key = hashlib.sha256(text.encode()).digest()
    self.asked += 1
    self.hits += key in self._known or key in self._flights
    if key in self._known:
      self._known.move_to_end(key)
      return Reply('value', self._known[key])
    return await self._join(key, job, limit_s)

  async def _join(
    self, key: bytes, job: Sequence[Any], limit_s: float
  ) -> Reply:
    """Waits for the job under way; the last to give up cancels it."""
    if key not in self._flights:
      task = asyncio.create_task(self._fly(key, job, limit_s))
      self._flights[key] = Flight(task)
    flight = self._flights[key]
    flight.waiters += 1
    try:
      return await asyncio.shield(flight.task)
    finally:
      flight.waiters -= 1
      if not flight.waiters and not flight.task.done():
        flight.task.cancel()
        self._flights.pop(key, None)

  async def _fly(self, key: bytes, job: Sequence[Any], limit_s: float) -> Reply:
    try:
      reply = await self._run(job, limit_s)
      if reply.kind == 'value' and self._lasting(reply.value):
        self._remember(key, reply.value)
      return reply
    finally:
      if (flight := self._flights.get(key)) is not None and (
        flight.task is asyncio.current_task()
      ):
        del self._flights[key]

  def _remember(self, key: bytes, value: Any) -> None:
    self._known[key] = value
    if len(self._known) > self._size:
      self._known.popitem(last=False)
