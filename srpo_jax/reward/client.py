# SPDX-License-Identifier: Apache-2.0
"""The trainer's side of the reward service: submit a batch, get a future.

Threads, because the trainer is synchronous. Standard library and httpx alone:
importing this must cost a trainer nothing.
"""

import concurrent.futures
import dataclasses
import math
import queue
import random
import threading
import time
from collections.abc import Callable, Sequence

import httpx

from srpo_jax.reward.launch import Service, launch_service

__all__ = ['RewardClient', 'RewardUnavailable', 'Service', 'launch_service']

# Requests at once; the service works on many items of each.
CONNECTIONS = 8
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
# Below the service's keep-alive, so that the client drops an idle one first.
KEEP_ALIVE_S = 30.0
# The share of the time left that the service may use before it answers what
# it could not judge as 'unavailable'; the rest is for the way back.
BUDGET_SHARE = 0.8
MAX_BUDGET_S = 600.0


class RewardUnavailable(Exception):
  """The service did not answer until the deadline."""


@dataclasses.dataclass(frozen=True, eq=False)
class Batch:
  """One request: items, when they came, and where the results go."""

  items: list[dict]
  submitted: float
  results: concurrent.futures.Future


class RewardClient:
  """Sends items to a reward service; retries until a deadline.

  Args:
    address: such as `http://127.0.0.1:8700`.
    deadline_s: seconds without any answer after which futures fail.
    batch_size: items a request.
    restart: called when the service cannot be reached; brings it back if it
      was ours and is dead, and returns its address (`Service.restart`).
  """

  def __init__(
    self,
    address: str,
    *,
    deadline_s: float = 120.0,
    batch_size: int = 64,
    restart: Callable[[], str] | None = None,
  ):
    if not address.startswith(('http://', 'https://')):
      raise ValueError(
        f'reward address {address!r}: it must be such as http://127.0.0.1:8700'
      )
    if deadline_s <= 0 or batch_size < 1:
      raise ValueError(
        f'deadline_s={deadline_s} and batch_size={batch_size} must be positive'
      )
    self._address = address.rstrip('/')
    self._deadline_s = deadline_s
    self._batch_size = batch_size
    self._restart = restart
    self._heard = -math.inf
    self._closed = threading.Event()
    self._http = httpx.Client(
      limits=httpx.Limits(
        max_connections=CONNECTIONS,
        max_keepalive_connections=CONNECTIONS,
        keepalive_expiry=KEEP_ALIVE_S,
      ),
      trust_env=False,  # A proxy for the web is none for this.
    )
    self._batches: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
    for _ in range(CONNECTIONS):
      # Daemons: a service that hangs must not keep a trainer from exiting.
      threading.Thread(target=self._work, name='reward', daemon=True).start()

  def submit(
    self, items: Sequence[dict]
  ) -> concurrent.futures.Future[list[dict]]:
    """A future of the results, in the order of the items.

    It raises RewardUnavailable once the service has answered nothing for
    `deadline_s`, and ValueError with the service's own line if it refuses the
    items.
    """
    now, size = time.monotonic(), self._batch_size
    batches = [
      Batch(list(items[at : at + size]), now, concurrent.futures.Future())
      for at in range(0, len(items), size)
    ]
    whole = gather([batch.results for batch in batches])
    for batch in batches:
      self._batches.put(batch)
    return whole

  def close(self) -> None:
    """Gives up what is under way and closes the connections."""
    self._closed.set()
    for _ in range(CONNECTIONS):
      self._batches.put(None)
    self._http.close()

  def __enter__(self) -> 'RewardClient':
    return self

  def __exit__(self, *_: object) -> None:
    self.close()

  def _work(self) -> None:
    """One thread: takes batches until the client is closed."""
    while (batch := self._batches.get()) is not None:
      try:
        batch.results.set_result(self._score(batch))
      except Exception as error:
        batch.results.set_exception(error)

  def _left(self, batch: Batch) -> float:
    """Seconds until the service has been silent for too long.

    A long step is not silence: the clock starts anew with every answer.
    """
    last = max(batch.submitted, self._heard)
    return last + self._deadline_s - time.monotonic()

  def _score(self, batch: Batch) -> list[dict]:
    """One batch, tried again until it is answered or time is up."""
    pause, reason = FIRST_PAUSE_S, 'every connection was busy'
    while (left := self._left(batch)) > 0:
      if self._closed.is_set():
        raise RewardUnavailable('the reward client was closed')
      try:
        results = self._post(batch.items, left)
        self._heard = time.monotonic()
        return results
      except RetryError as error:
        reason = str(error)
      # Jitter, so that the hosts of a pod do not come back all at once.
      wait = min(pause * random.uniform(0.5, 1.0), self._left(batch))
      self._closed.wait(max(wait, 0.0))
      pause = min(2 * pause, LONGEST_PAUSE_S)
    raise RewardUnavailable(
      f'reward service {self._address}: no answer in {self._deadline_s:g} s '
      f'({reason})'
    )

  def _post(self, items: list[dict], left_s: float) -> list[dict]:
    """One attempt. RetryError if another one may help."""
    budget_s = min(BUDGET_SHARE * left_s, MAX_BUDGET_S)
    try:
      reply = self._http.post(
        f'{self._address}/v1/score',
        json={'items': items, 'budget_s': budget_s},
        timeout=left_s,
      )
    except httpx.TransportError as error:
      self._revive()
      raise RetryError(repr(error)) from error
    except RuntimeError as error:  # httpx: the client has been closed.
      raise RewardUnavailable(str(error)) from error
    return read_results(reply, items)

  def _revive(self) -> None:
    """Restarts the service if that is ours to do; adopts its address."""
    if self._restart is None or self._closed.is_set():
      return
    try:
      self._address = self._restart()
    except ValueError as error:  # It did not start; the next try may do.
      raise RetryError(str(error)) from error


class RetryError(Exception):
  """An attempt failed in a way that may pass."""


def read_results(reply: httpx.Response, items: Sequence[dict]) -> list[dict]:
  """The results of a reply; RetryError or ValueError if it has none."""
  if reply.status_code == 429 or reply.status_code >= 500:
    raise RetryError(f'status {reply.status_code}')
  try:
    body = reply.json()
  except ValueError as error:
    raise RetryError('the reply is no JSON') from error
  if reply.status_code != 200:
    reason = body.get('error', body) if isinstance(body, dict) else body
    raise ValueError(f'the reward service refused the items: {reason}')
  results = body.get('results') if isinstance(body, dict) else None
  if not isinstance(results, list) or len(results) != len(items):
    raise RetryError('the reply does not hold one result for each item')
  return results


def gather(
  parts: Sequence[concurrent.futures.Future[list[dict]]],
) -> concurrent.futures.Future[list[dict]]:
  """One future of all the parts' results, in order; the first error fails it.

  Threads wait for no other thread here: the last part to finish completes it.
  """
  whole: concurrent.futures.Future[list[dict]] = concurrent.futures.Future()
  lock = threading.Lock()
  left = len(parts)

  def finished(part: concurrent.futures.Future) -> None:
    nonlocal left
    with lock:
      left -= 1
      error = part.exception()
      if whole.done():
        return
      if error is not None:
        whole.set_exception(error)
      elif left == 0:
        whole.set_result([row for each in parts for row in each.result()])

  if not parts:
    whole.set_result([])
  for part in parts:
    part.add_done_callback(finished)
  return whole
