# SPDX-License-Identifier: Apache-2.0
"""Requests under way and answered, so that a retry does no work again.

The results of a request are gathered by a task of their own; the request, and
every retry under the same Idempotency-Key, follows it from its start. Without
a key the work ends when nobody follows it any more; with one it goes on, for
the client is about to ask again.
"""

import asyncio
import collections
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

# Bytes of answers that are remembered, and of what each costs besides.
MEMORY = 64 << 20
OVERHEAD = 1024


class KeyReused(ValueError):
  """An Idempotency-Key came a second time, with other items."""


class Flight:
  """One request's results, as lines of JSON, in the order they finished.

  Attributes:
    size: bytes of the lines.
    task: gathers the results; done when all are there.
  """

  def __init__(
    self, stream: AsyncIterator[tuple[int, dict]], kept: bool = False
  ):
    self.size = OVERHEAD
    self._results: list[tuple[int, str]] = []
    self._followers = 0
    self._kept = kept
    self._news = asyncio.Event()
    self.task = asyncio.create_task(self._gather(stream))
    self.task.add_done_callback(self._landed)

  def _landed(self, task: asyncio.Task) -> None:
    self._tell()
    if not task.cancelled():
      task.exception()  # Looked at, so that asyncio does not complain.

  def _tell(self) -> None:
    self._news.set()
    self._news = asyncio.Event()

  async def _gather(self, stream: AsyncIterator[tuple[int, dict]]) -> None:
    async with contextlib.aclosing(stream):
      async for index, result in stream:
        line = json.dumps(result)
        self.size += len(line)
        self._results.append((index, line))
        self._tell()

  async def follow(self) -> AsyncIterator[tuple[int, str]]:
    """(index, line) of every result, from the first one on."""
    self._followers += 1
    try:
      told = 0
      while True:
        news = self._news
        while told < len(self._results):
          yield self._results[told]
          told += 1
        if self.task.done() and told == len(self._results):
          self.task.result()
          return
        if not self.task.done() and news is self._news:
          await news.wait()
    finally:
      self._followers -= 1
      if not self._followers and not self._kept:
        self.task.cancel()


class Flights:
  """Flights by their key; the answered ones within a bound of bytes.

  Attributes:
    replays: how many requests found theirs.
  """

  def __init__(self, memory: int = MEMORY):
    self._memory = memory
    self._size = 0
    self._under_way: dict[str, tuple[bytes, Flight]] = {}
    self._answered: collections.OrderedDict[str, tuple[bytes, Flight]] = (
      collections.OrderedDict()
    )
    self.replays = 0

  def find(self, key: str, items: Sequence[Any]) -> Flight | None:
    """The flight of a key.

    Raises:
      KeyReused: it is that of other items.
    """
    known = self._under_way.get(key) or self._answered.get(key)
    if known is None:
      return None
    digest, flight = known
    if digest != digest_of(items):
      raise KeyReused(
        'Idempotency-Key: it came with other items before; take a new one'
      )
    self.replays += 1
    return flight

  def add(self, key: str, items: Sequence[Any], flight: Flight) -> None:
    """Remembers a flight, for as long as there is room once it has landed."""
    self._under_way[key] = digest_of(items), flight
    flight.task.add_done_callback(lambda _: self._landed(key))

  def _landed(self, key: str) -> None:
    digest, flight = self._under_way.pop(key)
    if flight.task.cancelled() or flight.task.exception() is not None:
      return  # A retry is to try again.
    self._answered[key] = digest, flight
    self._size += flight.size
    while self._size > self._memory:
      _, (_, oldest) = self._answered.popitem(last=False)
      self._size -= oldest.size


def digest_of(items: Sequence[Any]) -> bytes:
  """Of the items alone: a retry has less time, and so another budget."""
  text = json.dumps(items, sort_keys=True)
  return hashlib.sha256(text.encode()).digest()
