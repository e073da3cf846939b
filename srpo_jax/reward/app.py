# SPDX-License-Identifier: Apache-2.0
"""The routes of the service: from a request's bytes to its answer."""

import asyncio
import contextlib
import dataclasses
import json
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from srpo_jax.reward.admission import RETRY_AFTER_S, Admission, Hold, Refused
from srpo_jax.reward.asgi import SCORE, App, Observe, unless_gone
from srpo_jax.reward.auth import RequireToken
from srpo_jax.reward.engine import Engine
from srpo_jax.reward.flights import Flight, Flights, KeyReused
from srpo_jax.reward.items import check_request
from srpo_jax.reward.judge import BUDGET_S
from srpo_jax.reward.metrics import CONTENT_TYPE_LATEST, Metrics
from srpo_jax.reward.openapi import KEY_PATTERN, describe

NDJSON = 'application/x-ndjson'
KEY = 'idempotency-key'
KEY_SHAPE = re.compile(KEY_PATTERN)


@dataclasses.dataclass(frozen=True)
class Limits:
  """What one request may ask for.

  Attributes:
    items: in a request.
    body: its bytes.
    body_s: seconds that its body may take to arrive.
  """

  items: int = 1024
  body: int = 64 << 20
  body_s: float = 60.0


class BadRequest(ValueError):
  """A request that will never pass; `status` says why."""

  def __init__(self, status: int, text: str):
    super().__init__(text)
    self.status = status


def json_reply(value: Any, status: int = 200, **headers: str) -> Response:
  """A reply in ASCII JSON: an id may hold what UTF-8 cannot (a surrogate)."""
  text = json.dumps(value)
  return Response(text, status, headers, media_type='application/json')


def refusal(error: BadRequest | Refused) -> Response:
  """The reply to a request that is not judged."""
  headers = {}
  if isinstance(error, Refused):
    headers = {'Retry-After': str(error.retry_after_s)}
  return json_reply({'error': str(error)}, error.status, **headers)


class Handlers:
  """The routes."""

  def __init__(
    self,
    engine: Engine,
    admission: Admission,
    metrics: Metrics,
    limits: Limits,
    token: str | None,
  ):
    self._engine = engine
    self._admission = admission
    self._metrics = metrics
    self._limits = limits
    self._described = describe(limits.items, token is not None)
    self.flights = Flights()

  async def score(self, request: Request) -> Response:
    """Results in the order asked, or as lines as they finish."""
    try:
      self._check_open()
      with self._admission.body() as hold:
        body = await self._read(request, hold)
        flight, items = self._flight(body, request.headers.get(KEY))
    except (BadRequest, Refused) as error:
      return refusal(error)
    request.scope['srpo.items'] = len(items)
    if NDJSON in request.headers.get('accept', ''):
      return StreamingResponse(lines(flight), media_type=NDJSON)
    return await unless_gone(request, array(flight, len(items)))

  def _check_open(self) -> None:
    """Raises Refused, 503, while draining or before a worker is warm."""
    self._admission.check_open()
    if not self._engine.workers.pool.warm.is_set():
      raise Refused(503, 'the service is starting; try later')

  async def _read(self, request: Request, hold: Hold) -> Any:
    """The JSON of a request's body."""
    try:
      async with asyncio.timeout(self._limits.body_s):
        data = await self._receive(request, hold)
    except TimeoutError as error:
      raise BadRequest(408, 'the body: it took too long to arrive') from error
    try:
      return json.loads(data)
    except (ValueError, RecursionError) as error:
      raise BadRequest(422, f'the body: no JSON ({error})') from error

  async def _receive(self, request: Request, hold: Hold) -> bytes:
    """A request's body, if it is not too large."""
    most = self._limits.body
    too_large = f'the body: over {most} bytes; send fewer items at once'
    if int(request.headers.get('content-length', 0)) > most:
      raise BadRequest(413, too_large)
    chunks = []
    async for chunk in request.stream():
      hold.add(len(chunk))
      if hold.size > most:
        raise BadRequest(413, too_large)
      chunks.append(chunk)
    return b''.join(chunks)

  def _flight(self, body: Any, key: str | None) -> tuple[Flight, list[dict]]:
    """The flight that a request starts, or joins by its key."""
    items = self._check(body, key)
    try:
      known = None if key is None else self.flights.find(key, items)
    except KeyReused as error:
      raise BadRequest(409, str(error)) from error
    if known is not None:
      return known, items
    self._admission.enter(len(items))
    budget_s = body.get('budget_s') or BUDGET_S
    flight = Flight(self._judge(items, budget_s), kept=key is not None)
    flight.task.add_done_callback(lambda _: self._admission.leave(len(items)))
    if key is not None:
      self.flights.add(key, items, flight)
    return flight, items

  def _check(self, body: Any, key: str | None) -> list[dict]:
    """The items; BadRequest, 422, if they or the key are not as described."""
    most = self._limits.items
    settle_limits(body)
    try:
      items = check_request(body)
    except ValueError as error:
      raise BadRequest(422, str(error)) from error
    if len(items) > most:
      raise BadRequest(422, f'items: {len(items)}; at most {most} at once')
    if key is not None and not KEY_SHAPE.fullmatch(key):
      raise BadRequest(
        422, f'Idempotency-Key: it must be such as {KEY_PATTERN}'
      )
    return items

  async def _judge(
    self, items: Sequence[dict], budget_s: float
  ) -> AsyncIterator[tuple[int, dict]]:
    """The judge's results, counted."""
    stream = self._engine.judge.stream(items, budget_s)
    async with contextlib.aclosing(stream):
      async for index, result in stream:
        domain = items[index]['domain']
        self._metrics.items.labels(result['status'], domain).inc()
        self._metrics.item_seconds.labels(domain).observe(result['seconds'])
        yield index, result

  async def healthz(self, request: Request) -> Response:
    """The process lives."""
    del request
    return json_reply({'status': 'ok'})

  async def readyz(self, request: Request) -> Response:
    """503 until the first worker is warm, while none is, and in a drain."""
    del request
    body = self._engine.readiness()
    draining = self._admission.draining
    body['draining'] = draining
    if body['workers_ready'] and not draining:
      return json_reply(body)
    return json_reply(body, 503, **{'Retry-After': str(RETRY_AFTER_S)})

  async def metrics(self, request: Request) -> Response:
    """For Prometheus."""
    del request
    text = self._metrics.text()
    return Response(text, headers={'content-type': CONTENT_TYPE_LATEST})

  async def openapi(self, request: Request) -> Response:
    """What this service understands."""
    del request
    return json_reply(self._described)


def settle_limits(body: Any) -> None:
  """To JSON 5.0 is a whole number; among the limits of an item it becomes 5."""
  items = body.get('items') if isinstance(body, dict) else None
  for item in items if isinstance(items, list) else ():
    limits = item.get('limits') if isinstance(item, dict) else None
    for name, value in limits.items() if isinstance(limits, dict) else ():
      if isinstance(value, float) and value.is_integer():
        limits[name] = int(value)


async def lines(flight: Flight) -> AsyncIterator[str]:
  """Each result as a line of JSON."""
  async with contextlib.aclosing(flight.follow()) as results:
    async for _, line in results:
      yield line + '\n'


async def array(flight: Flight, count: int) -> Response:
  """All results in the order asked."""
  found = [''] * count
  async with contextlib.aclosing(flight.follow()) as results:
    async for index, line in results:
      found[index] = line
  text = f'{{"results": [{", ".join(found)}]}}'
  return Response(text, media_type='application/json')


async def on_http_error(request: Request, error: Exception) -> Response:
  """A wrong path or method, in JSON like all else."""
  del request
  assert isinstance(error, HTTPException)
  headers = dict(error.headers or {})
  return json_reply({'error': error.detail}, error.status_code, **headers)


async def on_error(request: Request, error: Exception) -> Response:
  """A fault of ours; uvicorn logs it, and the log says where it was."""
  del request, error
  return json_reply({'error': 'internal error; see the log'}, 500)


def make_app(
  engine: Engine,
  admission: Admission,
  metrics: Metrics,
  limits: Limits,
  token: str | None = None,
) -> App:
  """The application, behind the token if there is one."""
  handlers = Handlers(engine, admission, metrics, limits, token)
  metrics.counter(
    'replays',
    'Requests answered from an earlier one with the same Idempotency-Key',
    lambda: {'': handlers.flights.replays},
  )
  app: App = Starlette(
    routes=[
      Route(SCORE, handlers.score, methods=['POST']),
      Route('/healthz', handlers.healthz),
      Route('/readyz', handlers.readyz),
      Route('/metrics', handlers.metrics),
      Route('/openapi.json', handlers.openapi),
    ],
    exception_handlers={HTTPException: on_http_error, Exception: on_error},
  )
  if token is not None:
    app = RequireToken(app, token)
  return Observe(app, admission, metrics)
