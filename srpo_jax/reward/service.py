# SPDX-License-Identifier: Apache-2.0
"""The reward service: HTTP on loopback, in a process that never loads jax.

`python -m srpo_jax.reward.service --port=N`; the address is the first line on
standard output. `POST /v1/score` judges a batch, `GET /healthz` says that the
process lives, `GET /readyz` that a worker is warm. On a TPU host the trainer
owns the chips; a second process that loaded jax would fight for them.
"""

import argparse
import asyncio
import functools
import importlib.util
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NoReturn

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from srpo_jax.reward.cache import Cache
from srpo_jax.reward.items import check_request
from srpo_jax.reward.judge import BUDGET_S, Judge
from srpo_jax.reward.pool import Pool, start_worker

HOST = '127.0.0.1'
MAX_BODY = 64 << 20
# After SIGTERM, requests under way have this long to be answered.
DRAIN_S = 30
# Longer than the client keeps an idle connection, so that it closes first.
KEEP_ALIVE_S = 75
PARENT_POLL_S = 1.0
NDJSON = 'application/x-ndjson'


class TooLarge(ValueError):
  """The body is over MAX_BODY."""


def json_reply(value: Any, status: int = 200) -> Response:
  """A reply in ASCII JSON: an id may hold what UTF-8 cannot (a surrogate)."""
  return Response(json.dumps(value), status, media_type='application/json')


async def read_body(request: Request) -> Any:
  """The JSON of a request. ValueError in one line if it is none."""
  chunks, size = [], 0
  async for chunk in request.stream():
    size += len(chunk)
    if size > MAX_BODY:
      raise TooLarge(
        f'the body: over {MAX_BODY >> 20} MiB; send fewer items at once'
      )
    chunks.append(chunk)
  try:
    return json.loads(b''.join(chunks))
  except (ValueError, RecursionError) as error:
    raise ValueError(f'the body: no JSON ({error})') from error


class Handlers:
  """The three routes."""

  def __init__(self, judge: Judge, pool: Pool):
    self._judge = judge
    self._pool = pool

  async def score(self, request: Request) -> Response:
    """Results in the order asked, or as lines as they finish."""
    try:
      body = await read_body(request)
      items = check_request(body)
    except TooLarge as error:
      return json_reply({'error': str(error)}, 413)
    except ValueError as error:
      return json_reply({'error': str(error)}, 422)
    stream = self._judge.stream(items, body.get('budget_s') or BUDGET_S)
    if NDJSON in request.headers.get('accept', ''):
      return StreamingResponse(lines(stream), media_type=NDJSON)
    results = [None] * len(items)
    async for index, result in stream:
      results[index] = result
    return json_reply({'results': results})

  async def healthz(self, request: Request) -> Response:
    """The process lives."""
    del request
    return json_reply({'status': 'ok'})

  async def readyz(self, request: Request) -> Response:
    """503 until the first worker is warm, and while none is."""
    del request
    ready = self._pool.ready
    return json_reply({'workers_ready': ready}, 200 if ready else 503)


async def lines(
  stream: AsyncIterator[tuple[int, dict]],
) -> AsyncIterator[str]:
  """Each result as a line of JSON."""
  async for _, result in stream:
    yield json.dumps(result) + '\n'


def make_app(judge: Judge, pool: Pool) -> Starlette:
  """The application."""
  handlers = Handlers(judge, pool)
  return Starlette(
    routes=[
      Route('/v1/score', handlers.score, methods=['POST']),
      Route('/healthz', handlers.healthz),
      Route('/readyz', handlers.readyz),
    ]
  )


async def serve(
  listener: socket.socket, workers: int, modules: Sequence[str], orphan: bool
) -> int:
  """Serves until told to stop; the exit status.

  Args:
    listener: a bound socket.
    workers: how many worker processes.
    modules: verifier modules.
    orphan: also stop when the parent process is gone.
  """
  pool = Pool(functools.partial(start_worker, modules), workers)
  pool.start()
  try:
    if modules:
      await first_of(pool.warm.wait(), pool.failed)
    if not pool.failed.done():
      app = make_app(Judge(Cache(pool.run).ask), pool)
      await run_server(app, listener, pool, orphan)
    return refused(pool)
  finally:
    await pool.close()


async def first_of(event: Any, failed: asyncio.Future) -> None:
  """Waits for either; leaves the future as it is."""
  task = asyncio.ensure_future(event)
  await asyncio.wait({task, failed}, return_when=asyncio.FIRST_COMPLETED)
  task.cancel()


def refused(pool: Pool) -> int:
  """2, and the reason on standard error, if no worker can ever start."""
  if not pool.failed.done():
    return 0
  print(pool.failed.exception(), file=sys.stderr)
  return 2


async def run_server(
  app: Starlette, listener: socket.socket, pool: Pool, orphan: bool
) -> None:
  """Prints the address and answers requests."""
  server = uvicorn.Server(
    uvicorn.Config(
      app,
      log_level='warning',
      access_log=False,
      lifespan='off',
      timeout_keep_alive=KEEP_ALIVE_S,
      timeout_graceful_shutdown=DRAIN_S,
    )
  )

  def stop(*_: Any) -> None:
    # Nobody is left to be answered: no drain.
    server.should_exit = server.force_exit = True

  pool.failed.add_done_callback(stop)
  watch = asyncio.create_task(watch_parent(stop)) if orphan else None
  # uvicorn raises the signal it was stopped by again when it is done; it has
  # been obeyed, so the process ends with status 0.
  for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: None)
  listener.listen(2048)
  print(f'http://{HOST}:{listener.getsockname()[1]}', flush=True)
  await server.serve(sockets=[listener])
  if watch is not None:
    watch.cancel()


async def watch_parent(stop: Callable[[], None]) -> None:
  """Calls stop when standard input ends or the parent has another number.

  Two signs, because a fork of the parent may hold the pipe open, and because
  a parent of a container's first process never changes its number.
  """
  loop = asyncio.get_running_loop()
  gone = asyncio.Event()

  def read_stdin() -> None:
    while os.read(0, 4096):
      continue
    loop.call_soon_threadsafe(gone.set)

  threading.Thread(target=read_stdin, daemon=True).start()
  parent = os.getppid()
  while not gone.is_set() and os.getppid() == parent:
    try:
      await asyncio.wait_for(gone.wait(), PARENT_POLL_S)
    except TimeoutError:
      continue
  stop()


class Parser(argparse.ArgumentParser):
  """A parser whose errors are one line."""

  def error(self, message: str) -> NoReturn:
    """Says what is wrong and exits with status 2."""
    self.exit(2, f'srpo_jax.reward.service: {message}; see --help\n')


def whole(least: int, most: int) -> Callable[[str], int]:
  """The type of a flag that is an integer within bounds."""

  def read(text: str) -> int:
    if not text.isascii() or not text.isdigit():
      raise argparse.ArgumentTypeError(f'{text!r} is no whole number')
    if not least <= int(text) <= most:
      raise argparse.ArgumentTypeError(f'{text} is not in {least}..{most}')
    return int(text)

  return read


def parse_flags(arguments: Sequence[str]) -> argparse.Namespace:
  """The flags; exits with status 2 and one line if one is wrong."""
  parser = Parser(
    'srpo_jax.reward.service', description=__doc__, allow_abbrev=False
  )
  add = parser.add_argument
  add('--port', type=whole(0, 65535), required=True, help='0: any free one')
  add('--workers', type=whole(1, 256), default=2, help='worker processes')
  add(
    '--verifiers',
    action='append',
    default=[],
    metavar='MODULE',
    help='module with VERIFIERS, a dict of name -> function; repeatable',
  )
  add(
    '--exit-with-parent',
    action='store_true',
    help='stop when standard input, a pipe that the parent holds, ends',
  )
  return parser.parse_args(arguments)


def bind(port: int) -> socket.socket:
  """A socket on loopback. ValueError in one line if the port is taken."""
  listener = socket.socket()
  listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
  try:
    listener.bind((HOST, port))
  except OSError as error:
    listener.close()
    raise ValueError(
      f'--port={port}: {error.strerror}; choose another, or 0 for a free one'
    ) from error
  return listener


def main(arguments: Sequence[str]) -> int:
  """Runs the service; the exit status."""
  flags = parse_flags(arguments)
  if importlib.util.find_spec('math_verify') is None:
    print('math-verify is missing: pip install math-verify', file=sys.stderr)
    return 2
  try:
    listener = bind(flags.port)
  except ValueError as error:
    print(error, file=sys.stderr)
    return 2
  return asyncio.run(
    serve(listener, flags.workers, flags.verifiers, flags.exit_with_parent)
  )


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
