# SPDX-License-Identifier: Apache-2.0
"""The reward service: HTTP, in a process that never loads jax.

`python -m srpo_jax.reward.service --port=N`; the address is the first line on
standard output. In flow order: `flags`, `listen` and `auth` (where, and who
may ask) -> `app` (the routes; `admission`, `flights`) -> `engine` (workers,
sandboxes, judge). On a TPU host the trainer owns the chips; a second process
that loaded jax would fight for them.
"""

import argparse
import asyncio
import contextlib
import functools
import importlib.util
import os
import platform
import signal
import socket
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import uvicorn

import srpo_jax
from srpo_jax.reward import logs
from srpo_jax.reward.admission import Admission
from srpo_jax.reward.app import Limits, make_app
from srpo_jax.reward.asgi import App
from srpo_jax.reward.auth import VARIABLE, find_token
from srpo_jax.reward.engine import Engine
from srpo_jax.reward.flags import parse_flags
from srpo_jax.reward.listen import bind_tcp, bind_unix, listening
from srpo_jax.reward.metrics import Metrics
from srpo_jax.reward.sandbox import NoSandbox, choose_backend

# After SIGTERM, requests under way have this long to be answered, and their
# connections this much longer to take the answer.
DRAIN_S = 30.0
GOODBYE_S = 5
# Longer than the client keeps an idle connection, so that it closes first.
KEEP_ALIVE_S = 75
PARENT_POLL_S = 1.0


class Server(uvicorn.Server):
  """uvicorn, with the signals left to us: it would cut a drain short."""

  @contextlib.contextmanager
  def capture_signals(self) -> Iterator[None]:
    """Captures none."""
    yield


async def serve(
  flags: argparse.Namespace, listener: socket.socket, token: str | None
) -> int:
  """Serves until told to stop; the exit status."""
  choose = functools.partial(
    choose_backend, flags.sandbox, flags.unsafe_no_sandbox
  )
  engine = Engine(flags.verifiers, flags.workers, choose, flags.sandboxes)
  engine.start()
  failed = engine.workers.pool.failed
  try:
    if flags.verifiers:
      await first_of(engine.workers.pool.warm.wait(), failed)
    if not failed.done():
      engine.open_sandboxes()
      await run_server(flags, engine, listener, token)
    return refused(failed)
  finally:
    await engine.close()


async def first_of(event: Coroutine, failed: asyncio.Future) -> None:
  """Waits for either; leaves the future as it is."""
  task = asyncio.ensure_future(event)
  await asyncio.wait({task, failed}, return_when=asyncio.FIRST_COMPLETED)
  task.cancel()


def refused(failed: asyncio.Future) -> int:
  """2, and the reason on standard error, if no worker can ever start."""
  if not failed.done():
    return 0
  print(failed.exception(), file=sys.stderr)
  return 2


async def run_server(
  flags: argparse.Namespace,
  engine: Engine,
  listener: socket.socket,
  token: str | None,
) -> None:
  """Prints the address and answers requests until it is time to stop."""
  admission = Admission(flags.queue)
  metrics = Metrics(
    {'python': platform.python_version(), 'version': srpo_jax.__version__}
  )
  add_readings(metrics, admission, engine)
  limits = Limits(items=flags.max_items)
  server = make_server(make_app(engine, admission, metrics, limits, token))

  def stop(*_: Any) -> None:
    # Nobody is left to be answered: no drain.
    server.should_exit = server.force_exit = True

  engine.workers.pool.failed.add_done_callback(stop)
  tasks = [asyncio.create_task(stop_on_signal(server, admission))]
  if flags.exit_with_parent:
    tasks.append(asyncio.create_task(watch_parent(stop)))
  with listening(listener) as address:
    print(address, flush=True)
    logs.event('listening', address=address, workers=flags.workers)
    await server.serve(sockets=[listener])
  for task in tasks:
    task.cancel()
  logs.event('stopped')


def make_server(app: App) -> Server:
  """The HTTP server; it logs only what goes wrong."""
  return Server(
    uvicorn.Config(
      app,
      log_config=None,
      log_level='warning',
      access_log=False,
      lifespan='off',
      server_header=False,
      timeout_keep_alive=KEEP_ALIVE_S,
      timeout_graceful_shutdown=GOODBYE_S,
    )
  )


async def stop_on_signal(server: Server, admission: Admission) -> None:
  """At SIGTERM or SIGINT: nothing new, answers for the rest, then the end.

  The port stays open meanwhile: a balancer that has not heard yet gets 503
  and when to retry, not a broken connection. A second signal ends at once.
  """
  loop = asyncio.get_running_loop()
  told = asyncio.Event()

  def tell() -> None:
    server.force_exit = told.is_set()
    server.should_exit = told.is_set()
    told.set()

  for number in (signal.SIGTERM, signal.SIGINT):
    loop.add_signal_handler(number, tell)
  await told.wait()
  logs.event('draining', requests=admission.requests, items=admission.items)
  if not await admission.drain(DRAIN_S):
    logs.event('drain cut short', requests=admission.requests)
  server.should_exit = True


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


def add_readings(
  metrics: Metrics, admission: Admission, engine: Engine
) -> None:
  """Adds to the metrics what the parts know themselves."""

  def by_group(read: Callable[[Any], float]) -> Callable[[], dict]:
    return lambda: {name: read(g) for name, g in engine.groups.items()}

  gauges = {
    'requests_in_flight': ('Requests to score', lambda: admission.requests),
    'items_in_flight': ('Items under way', lambda: admission.items),
    'items_limit': ('Items that may be under way', lambda: admission.limit),
  }
  for name, (text, read) in gauges.items():
    metrics.gauge(name, text, lambda read=read: {'': read()})
  metrics.gauge(
    'processes_ready',
    'Workers and sandboxes that wait for jobs or run one',
    by_group(lambda group: group.pool.ready),
    'kind',
  )
  metrics.gauge(
    'jobs_in_flight',
    'Jobs that run or wait for a process',
    by_group(lambda group: group.cache.under_way),
    'kind',
  )
  counters = {
    'process_restarts': (
      'Processes replaced: killed at a limit, dead, or old',
      lambda group: group.restarts,
    ),
    'cache_lookups': ('Questions asked', lambda group: group.cache.asked),
    'cache_hits': ('Questions known', lambda group: group.cache.hits),
  }
  for name, (text, read) in counters.items():
    metrics.counter(name, text, by_group(read), 'kind')


def prepare(
  flags: argparse.Namespace,
) -> tuple[socket.socket, str | None]:
  """The listener and the token. ValueError in one line if a flag is wrong."""
  if importlib.util.find_spec('math_verify') is None:
    raise ValueError('math-verify is missing: pip install math-verify')
  token = find_token(flags.token_file)
  # No process that we start is to find it in its environment.
  os.environ.pop(VARIABLE, None)
  if flags.sandbox != 'auto' and not flags.unsafe_no_sandbox:
    check_sandbox(flags.sandbox)
  if flags.socket is not None:
    return bind_unix(Path(flags.socket).absolute()), token
  return bind_tcp(flags.host, flags.port, token), token


def check_sandbox(name: str) -> None:
  """ValueError if a sandbox that was asked for by name does not work here."""
  try:
    choose_backend(name).close()
  except NoSandbox as error:
    raise ValueError(f'--sandbox={name}: {error}') from error


def main(arguments: Sequence[str]) -> int:
  """Runs the service; the exit status."""
  flags = parse_flags(arguments)
  always = {'unsafe': True} if flags.unsafe_no_sandbox else {}
  logs.configure(flags.log, always)
  try:
    listener, token = prepare(flags)
  except ValueError as error:
    print(error, file=sys.stderr)
    return 2
  return asyncio.run(serve(flags, listener, token))


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
