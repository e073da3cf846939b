# SPDX-License-Identifier: Apache-2.0
"""The trainer's side of the reward service: submit a batch, get a future.

The trainer is synchronous, so one thread of the client's own runs an event
loop that has all requests under way. Standard library and httpx alone:
importing this must cost a trainer nothing.
"""

import asyncio
import concurrent.futures
import dataclasses
import math
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx

from srpo_jax.reward.auth import find_token
from srpo_jax.reward.endpoints import (
  CONNECT_S,
  Endpoint,
  Endpoints,
  split_addresses,
)
from srpo_jax.reward.launch import Service, launch_service
from srpo_jax.reward.replies import Results, RetryError, read_results

__all__ = ['RewardClient', 'RewardUnavailable', 'Service', 'launch_service']

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
# The share of the time left that the service may use before it answers what
# it could not judge as 'unavailable'; the rest is for the way back.
BUDGET_SHARE = 0.8
MAX_BUDGET_S = 600.0


class RewardUnavailable(Exception):
  """The service did not answer until the deadline."""


@dataclasses.dataclass(eq=False)
class Batch:
  """One request, over all its attempts.

  Attributes:
    items: what is asked.
    submitted: when, on the monotonic clock.
    key: the Idempotency-Key; an attempt whose answer was lost joins the work
      that is under way or gets the answer that is remembered.
    failures: attempts that failed.
  """

  items: list[dict]
  submitted: float
  key: str = dataclasses.field(default_factory=lambda: secrets.token_hex(16))
  failures: int = 0


class RewardClient:
  """Sends items to reward services; retries until a deadline.

  Args:
    address: such as `http://127.0.0.1:8700` or `unix:/run/reward.sock`;
      several in a list, or with commas between them, share the work.
    deadline_s: seconds without any answer after which futures fail.
    batch_size: items a request.
    restart: called when the service cannot be reached; brings it back if it
      was ours and is dead, and returns its address (`Service.restart`).
    ask_again: how often an item that came back as 'unavailable' is sent again.
    token_file: holds the bearer token; else it is taken from the environment,
      see `auth.find_token`.
  """

  def __init__(
    self,
    address: str | Sequence[str],
    *,
    deadline_s: float = 120.0,
    batch_size: int = 64,
    restart: Callable[[], str] | None = None,
    ask_again: int = 1,
    token_file: str | Path | None = None,
  ):
    if deadline_s <= 0 or batch_size < 1 or ask_again < 0:
      raise ValueError(
        f'deadline_s={deadline_s} and batch_size={batch_size} must be '
        f'positive, ask_again={ask_again} not negative'
      )
    self._deadline_s = deadline_s
    self._batch_size = batch_size
    self._restart = restart
    self._ask_again = ask_again
    self._heard = -math.inf
    self._endpoints = Endpoints(
      split_addresses(address), find_token(token_file)
    )
    self._loop = asyncio.new_event_loop()
    self._closed = threading.Event()
    # A daemon: a service that hangs must not keep a trainer from exiting.
    self._thread = threading.Thread(
      target=self._loop.run_forever, name='reward', daemon=True
    )
    self._thread.start()

  def submit(self, items: Sequence[dict]) -> concurrent.futures.Future[Results]:
    """A future of the results, in the order of the items.

    It raises RewardUnavailable once no service has answered anything for
    `deadline_s`, and ValueError with the service's own line if it refuses the
    items.
    """
    future: concurrent.futures.Future[Results] = concurrent.futures.Future()
    future.set_running_or_notify_cancel()  # It cannot be cancelled.
    if self._closed.is_set():
      future.set_exception(RewardUnavailable('the reward client was closed'))
    elif not items:
      future.set_result([])
    else:
      # Not at the event loop's leisure: the clock starts now.
      asked = self._answer(list(items), time.monotonic(), future)
      asyncio.run_coroutine_threadsafe(asked, self._loop)
    return future

  def close(self) -> None:
    """Gives up what is under way and closes the connections."""
    if self._closed.is_set():
      return
    self._closed.set()
    stopping = asyncio.run_coroutine_threadsafe(self._stop(), self._loop)
    concurrent.futures.wait([stopping])
    self._loop.call_soon_threadsafe(self._loop.stop)
    self._thread.join()
    self._loop.close()

  def __enter__(self) -> 'RewardClient':
    return self

  def __exit__(self, *_: object) -> None:
    self.close()

  async def _stop(self) -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
      task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await self._endpoints.close()

  async def _answer(
    self,
    items: list[dict],
    submitted: float,
    future: concurrent.futures.Future[Results],
  ) -> None:
    """Completes the future of a submission."""
    try:
      results = await self._in_batches(items, submitted)
      for _ in range(self._ask_again):
        results = await self._once_more(items, results)
      future.set_result(results)
    except asyncio.CancelledError:
      future.set_exception(RewardUnavailable('the reward client was closed'))
    except Exception as error:
      future.set_exception(error)

  async def _in_batches(self, items: list[dict], submitted: float) -> Results:
    """All results; the first batch that fails ends the others."""
    size = self._batch_size
    tasks = [
      asyncio.create_task(self._score(Batch(items[at : at + size], submitted)))
      for at in range(0, len(items), size)
    ]
    try:
      parts = await asyncio.gather(*tasks)
    finally:
      for task in tasks:
        task.cancel()
    return [result for part in parts for result in part]

  async def _once_more(self, items: list[dict], results: Results) -> Results:
    """Asks again for what was not judged, say for lack of time."""
    again = [i for i, r in enumerate(results) if r['status'] == 'unavailable']
    if not again:
      return results
    try:
      asked = await self._in_batches(
        [items[i] for i in again], time.monotonic()
      )
    except RewardUnavailable:
      return results  # There was an answer; it is carried as it is.
    newer = dict(zip(again, asked, strict=True))
    return [newer.get(i, result) for i, result in enumerate(results)]

  def _left(self, batch: Batch) -> float:
    """Seconds until the services have been silent for too long.

    A long step is not silence: the clock starts anew with every answer.
    """
    last = max(batch.submitted, self._heard)
    return last + self._deadline_s - time.monotonic()

  async def _score(self, batch: Batch) -> Results:
    """One batch, tried again until it is answered or time is up."""
    reason = 'every connection was busy'
    while True:
      async with self._endpoints.places:
        left = self._left(batch)
        if left <= 0:
          raise RewardUnavailable(
            f'reward service {self._endpoints}: no answer in '
            f'{self._deadline_s:g} s ({reason})'
          )
        endpoint, rest_s = self._endpoints.choose()
        if not rest_s:
          try:
            return await self._attempt(endpoint, batch, left)
          except RetryError as error:
            reason = str(error)
            pause = FIRST_PAUSE_S * 2**batch.failures
            batch.failures += 1
            endpoint.rest(max(min(pause, LONGEST_PAUSE_S), error.after_s))
      await asyncio.sleep(min(rest_s, left))

  async def _attempt(
    self, endpoint: Endpoint, batch: Batch, left_s: float
  ) -> Results:
    """One attempt. RetryError if another one may help."""
    if batch.failures < len(self._endpoints) - 1:
      left_s /= 2  # One that hangs must leave time for the others.
    endpoint.in_flight += 1
    try:
      async with asyncio.timeout(left_s):
        reply = await self._post(endpoint, batch, left_s)
    except TimeoutError as error:
      raise RetryError(f'no reply in {left_s:.3g} s') from error
    except httpx.TransportError as error:
      await self._revive(endpoint)
      raise RetryError(repr(error)) from error
    finally:
      endpoint.in_flight -= 1
    results = read_results(reply, batch.items)
    self._heard = time.monotonic()
    return results

  async def _post(
    self, endpoint: Endpoint, batch: Batch, left_s: float
  ) -> httpx.Response:
    """The reply to a batch."""
    budget_s = min(BUDGET_SHARE * left_s, MAX_BUDGET_S)
    return await endpoint.http.post(
      '/v1/score',
      json={'items': batch.items, 'budget_s': budget_s},
      headers={'Idempotency-Key': batch.key},
      timeout=httpx.Timeout(None, connect=CONNECT_S),
    )

  async def _revive(self, endpoint: Endpoint) -> None:
    """Restarts the service if that is ours to do; adopts its address."""
    if self._restart is None:
      return
    try:
      address = await asyncio.to_thread(self._restart)
    except ValueError as error:  # It did not start; the next try may do.
      raise RetryError(str(error)) from error
    self._endpoints.move(endpoint, address)
