# SPDX-License-Identifier: Apache-2.0
"""The socket that the service listens on: TCP, or Unix for this user alone."""

import contextlib
import ipaddress
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from srpo_jax.reward.auth import VARIABLE

BACKLOG = 2048


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
  """Files made meanwhile lack these permissions from their first moment."""
  before = os.umask(mask)
  try:
    yield
  finally:
    os.umask(before)


def bind_tcp(host: str, port: int, token: str | None) -> socket.socket:
  """A bound TCP socket.

  Raises:
    ValueError: one line; the port is taken, or all the world could ask and
      there is no token.
  """
  flag = f'--host={host}'
  try:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
  except OSError as error:
    raise ValueError(f'{flag}: {error.strerror}; try 127.0.0.1') from error
  family, _, _, _, address = found[0]
  if token is None and not ipaddress.ip_address(address[0]).is_loopback:
    raise ValueError(
      f'{flag} lets others than this machine ask: give a token by '
      f'--token_file=PATH or {VARIABLE}, or leave --host out'
    )
  listener = socket.socket(family)
  listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
  try:
    listener.bind(address)
  except OSError as error:
    listener.close()
    raise ValueError(
      f'--port={port}: {error.strerror}; choose another, or 0 for a free one'
    ) from error
  return listener


def bind_unix(path: Path) -> socket.socket:
  """A bound Unix socket with mode 0600; one that nobody serves is replaced.

  Raises:
    ValueError: one line; somebody serves it, or it is no socket.
  """
  listener = socket.socket(socket.AF_UNIX)
  try:
    remove_stale(path)
    with umask(0o177):
      listener.bind(str(path))
  except OSError as error:
    listener.close()
    # Python's own check of the length has no strerror.
    why = error.strerror or str(error)
    raise ValueError(f'--socket={path}: {why}; choose another') from error
  return listener


def remove_stale(path: Path) -> None:
  """Removes a socket that a service left behind when it was killed."""
  try:
    if not stat.S_ISSOCK(path.lstat().st_mode):
      raise FileExistsError(0, 'there is a file that is no socket')
  except FileNotFoundError:
    return
  with socket.socket(socket.AF_UNIX) as probe:
    try:
      probe.connect(str(path))
    except ConnectionRefusedError:
      path.unlink()
      return
  raise FileExistsError(0, 'another service listens there')


def address_of(listener: socket.socket) -> str:
  """What to give a client: `http://HOST:PORT`, or `unix:PATH`."""
  name = listener.getsockname()
  if listener.family == socket.AF_UNIX:
    return f'unix:{name}'
  host, port = name[:2]
  return f'http://[{host}]:{port}' if ':' in host else f'http://{host}:{port}'


@contextlib.contextmanager
def listening(listener: socket.socket) -> Iterator[str]:
  """Its address while it listens; a Unix socket is removed afterwards."""
  address = address_of(listener)
  listener.listen(BACKLOG)
  try:
    yield address
  finally:
    listener.close()
    if address.startswith('unix:'):
      with contextlib.suppress(FileNotFoundError):
        os.unlink(address.removeprefix('unix:'))
