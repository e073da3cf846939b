# SPDX-License-Identifier: Apache-2.0
"""Around the routes: requests counted to their end, clients that go away."""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from srpo_jax.reward.admission import Admission
from srpo_jax.reward.logs import event
from srpo_jax.reward.metrics import Metrics

SCORE = '/v1/score'

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


async def unless_gone(request: Request, answer: Any) -> Response:
  """The answer; stops making it if the client goes away."""
  making = asyncio.ensure_future(answer)
  gone = asyncio.create_task(disconnected(request))
  try:
    await asyncio.wait({making, gone}, return_when=asyncio.FIRST_COMPLETED)
    if making.done():
      return making.result()
    return Response(status_code=499)  # Nobody will read it.
  finally:
    gone.cancel()
    making.cancel()


async def disconnected(request: Request) -> None:
  """Returns when the client has gone; the body has been read before."""
  while (await request.receive())['type'] != 'http.disconnect':
    continue


class Observe:
  """Counts and logs the requests to score, to the end of their answers."""

  def __init__(self, app: App, admission: Admission, metrics: Metrics):
    self._app = app
    self._admission = admission
    self._metrics = metrics

  async def __call__(
    self, scope: Message, receive: Receive, send: Send
  ) -> None:
    """Passes a request on."""
    if scope['type'] != 'http' or scope['path'] != SCORE:
      await self._app(scope, receive, send)
      return
    start, code = time.monotonic(), 500

    async def noting_send(message: Message) -> None:
      nonlocal code
      code = message.get('status', code)
      await send(message)

    self._admission.begin()
    try:
      await self._app(scope, receive, noting_send)
    finally:
      self._admission.end()
      self._note(code, scope.get('srpo.items', 0), time.monotonic() - start)

  def _note(self, code: int, items: int, seconds: float) -> None:
    self._metrics.requests.labels(str(code)).inc()
    self._metrics.request_seconds.observe(seconds)
    event('request', code=code, items=items, seconds=round(seconds, 4))
