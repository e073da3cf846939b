# SPDX-License-Identifier: Apache-2.0
"""Messages over the one socket between host and guest.

A frame is its length in four bytes, then JSON. The guest answers each request
with one frame that bears the request's number. Whatever else it writes is
taken for what it is: a program that does not answer, never an error here.
"""

import json
import select
import socket
from typing import Any

from .codec import MAX_NODES
from .ended import Ended

# Bytes of one reply beside output; what is longer is refused unread.
MAX_REPLY = 32 << 20
MAX_BRACKETS = 6 * MAX_NODES
LENGTH = 4
POLL_MS = 10
CHUNK = 1 << 18


def most_bytes(limits: dict) -> int:
  """Size of the largest reply, with all the output there may be in base64."""
  return MAX_REPLY + limits['output_kb'] * 1024 * 3 // 2


def frame(message: dict) -> bytes:
  """A message as it goes over the socket."""
  # Text is escaped: all of it is ASCII, and its length is its size.
  data = json.dumps(message, separators=(',', ':')).encode()
  return len(data).to_bytes(LENGTH, 'big') + data


def receive(sock: socket.socket) -> dict | None:
  """The next message, for the side that has nothing else to do; None at EOF."""
  head = read_exactly(sock, LENGTH)
  if head is None:
    return None
  data = read_exactly(sock, int.from_bytes(head, 'big'))
  return None if data is None else json.loads(data)


def read_exactly(sock: socket.socket, size: int) -> bytes | None:
  """So many bytes, or None if the stream ends before."""
  data = bytearray()
  while len(data) < size:
    chunk = sock.recv(min(size - len(data), CHUNK))
    if not chunk:
      return None
    data += chunk
  return bytes(data)


class Line:
  """The host's end: one request at a time, never waiting past a limit.

  Args:
    sock: the socket whose other end the guest has.
    watch: ends the guest that is over a limit.
    most: bytes of the largest reply.

  Attributes:
    ended: why no more will come, once that is so.
  """

  def __init__(self, sock: socket.socket, watch: Any, most: int = MAX_REPLY):
    sock.setblocking(False)
    self._sock = sock
    self._watch = watch
    self._most = most
    self._poll = select.poll()
    self._number = 0
    self._buffer = bytearray()
    self.ended: Ended | None = None

  def ask(self, request: dict, limit_s: float | None = None) -> dict:
    """The reply to a request.

    Args:
      request: without a number.
      limit_s: CPU seconds for this request alone.

    Raises:
      Ended: the guest is gone, over a limit, or answers nonsense. From
        then on every request raises it: tests may have a bare `except`.
    """
    if self.ended is not None:
      raise self.ended
    self._number += 1
    data = frame({'n': self._number, **request})
    try:
      with self._watch.running(limit_s):
        reply = self._exchange(data)
      return self._checked(reply)
    except Ended as ended:
      self.ended = ended
      raise

  def lose(self, fault: str) -> Ended:
    """The end for a guest whose reply is malformed."""
    self.ended = Ended('runtime_error', f'the reply of the program {fault}')
    return self.ended

  def _exchange(self, data: bytes) -> bytes:
    """Sends a frame and returns the inside of the next one."""
    rest = memoryview(data)
    while True:
      self._poll.register(
        self._sock, select.POLLIN | select.POLLOUT * bool(rest)
      )
      for _, events in self._poll.poll(POLL_MS):
        if events & select.POLLOUT and rest:
          rest = rest[self._send(rest) :]
        if events & ~select.POLLOUT:
          self._receive()
      self._watch.check()
      reply = self._take()
      if reply is not None:
        if rest:
          raise self.lose('came before the request')
        return reply

  def _send(self, data: memoryview) -> int:
    """Sends what fits; the number of bytes."""
    try:
      return self._sock.send(data[:CHUNK])
    except BlockingIOError:
      return 0
    except OSError:
      raise self._watch.death() from None

  def _receive(self) -> None:
    """Reads what is there into the buffer."""
    try:
      chunk = self._sock.recv(CHUNK)
    except BlockingIOError:
      return
    except OSError:
      chunk = b''
    if not chunk:
      raise self._watch.death()
    self._buffer += chunk

  def _take(self) -> bytes | None:
    """The first frame of the buffer, if all of it is there."""
    if len(self._buffer) < LENGTH:
      return None
    size = int.from_bytes(self._buffer[:LENGTH], 'big')
    if size > self._most:
      raise self.lose(f'is over {self._most >> 20} MiB')
    if len(self._buffer) < LENGTH + size:
      return None
    data = bytes(self._buffer[LENGTH : LENGTH + size])
    del self._buffer[: LENGTH + size]
    return data

  def _checked(self, data: bytes) -> dict:
    """The message of a frame, if it answers the last request."""
    # Empty lists take 2 bytes here and 64 in memory.
    if data.count(b'[') + data.count(b'{') > MAX_BRACKETS:
      raise self.lose('holds too much')
    try:
      reply = json.loads(data)
    except (ValueError, RecursionError, MemoryError):
      raise self.lose('is no JSON') from None
    if not isinstance(reply, dict) or reply.get('n') != self._number:
      raise self.lose('is to no request')
    return reply
