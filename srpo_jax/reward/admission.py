# SPDX-License-Identifier: Apache-2.0
"""How much may be under way at once; who comes after that is asked to wait.

A queue without a bound answers nobody in time once it is too long, and in the
end takes the machine's memory. A refusal is cheap, says when to come back,
and lets a client with several addresses go to another.
"""

import asyncio
import contextlib
from collections.abc import Iterator

# Bytes of bodies that may be read or parsed at once.
MOST_BYTES = 512 << 20
RETRY_AFTER_S = 1


class Refused(Exception):
  """A request that may pass later.

  Attributes:
    status: 429 or 503.
    retry_after_s: when to try again.
  """

  def __init__(self, status: int, text: str):
    super().__init__(text)
    self.status = status
    self.retry_after_s = RETRY_AFTER_S


class Admission:
  """Counts items, bodies and requests under way.

  Attributes:
    limit: items that may be under way.
    items: under way, followed by a request or not.
    size: bytes of bodies being held.
    most_bytes: of them.
    draining: True once nothing new is taken.
  """

  def __init__(self, limit: int, most_bytes: int = MOST_BYTES):
    self.limit = limit
    self.items = 0
    self.size = 0
    self.draining = False
    self.most_bytes = most_bytes
    self._requests = 0
    self._idle = asyncio.Event()
    self._idle.set()

  @property
  def requests(self) -> int:
    """Requests that somebody waits for."""
    return self._requests

  def enter(self, items: int) -> None:
    """Takes places in the queue, which `leave` gives back.

    Raises:
      Refused: 503 while draining, 429 if there are not as many places.
    """
    self.check_open()
    if self.items + items > self.limit:
      raise Refused(
        429, f'{self.items} of {self.limit} items are under way; try later'
      )
    self.items += items

  def check_open(self) -> None:
    """Raises Refused while draining."""
    if self.draining:
      raise Refused(503, 'the service is stopping; ask another, or later')

  def leave(self, items: int) -> None:
    """Gives places back."""
    self.items -= items

  @contextlib.contextmanager
  def body(self) -> Iterator['Hold']:
    """Counts what a body takes while it is read and parsed."""
    hold = Hold(self)
    try:
      yield hold
    finally:
      self.size -= hold.size

  def begin(self) -> None:
    """A request has come."""
    self._requests += 1
    self._idle.clear()

  def end(self) -> None:
    """A request was answered, or its client went away."""
    self._requests -= 1
    if not self._requests:
      self._idle.set()

  async def drain(self, limit_s: float) -> bool:
    """Takes nothing new; True once all requests under way were answered."""
    self.draining = True
    try:
      await asyncio.wait_for(self._idle.wait(), limit_s)
    except TimeoutError:
      return False
    return True


class Hold:
  """The bytes of one body.

  Attributes:
    size: held so far.
  """

  def __init__(self, admission: Admission):
    self._admission = admission
    self.size = 0

  def add(self, size: int) -> None:
    """Counts more. Refused, 429, if all bodies together are too large."""
    if self._admission.size + size > self._admission.most_bytes:
      raise Refused(429, 'too many large bodies are under way; try later')
    self._admission.size += size
    self.size += size
