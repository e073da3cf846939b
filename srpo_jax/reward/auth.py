# SPDX-License-Identifier: Apache-2.0
"""The bearer token: where it comes from, and who may pass.

It is read from a file or from the environment, never from a flag: what stands
on a command line is for every user of the machine to see.
"""

import hmac
import json
import os
import stat
from pathlib import Path

from srpo_jax.reward.asgi import App, Message, Receive, Send

VARIABLE = 'SRPO_REWARD_TOKEN'
FILE_VARIABLE = 'SRPO_REWARD_TOKEN_FILE'
SHORTEST = 16
# What a balancer asks to see whether to send work here.
OPEN = ('/healthz', '/readyz')


def find_token(path: str | Path | None = None) -> str | None:
  """The token: of a file, else of the environment; None if there is none.

  Args:
    path: of the file; where None, `SRPO_REWARD_TOKEN_FILE` may name it.

  Raises:
    ValueError: one line; the token itself is never in it.
  """
  path = path or os.environ.get(FILE_VARIABLE) or None
  if path is not None:
    return check_token(read_file(Path(path)), str(path))
  token = os.environ.get(VARIABLE)
  return None if token is None else check_token(token, VARIABLE)


def read_file(path: Path) -> str:
  """The text of a token file that only its owner and group may read."""
  try:
    mode = path.stat().st_mode
    text = path.read_text('ascii', 'replace')
  except OSError as error:
    raise ValueError(
      f'token file {path}: {error.strerror}; give a file that can be read'
    ) from error
  # The group may: a mounted Kubernetes secret belongs to root and a group.
  if mode & stat.S_IRWXO:
    raise ValueError(
      f'token file {path}: every user may open it (mode '
      f'{stat.S_IMODE(mode):o}); say chmod 600 {path}'
    )
  return text


def check_token(text: str, where: str) -> str:
  """The token without white space around it, if it can be one."""
  token = text.strip()
  printable = token.isascii() and token.isprintable() and ' ' not in token
  if len(token) < SHORTEST or not printable:
    raise ValueError(
      f'{where}: a token is at least {SHORTEST} printable ASCII characters '
      'without spaces; make one with: openssl rand -hex 32'
    )
  return token


def bearer(token: str | None) -> dict[str, str]:
  """The header that shows a token; none for none."""
  return {} if token is None else {'Authorization': f'Bearer {token}'}


class RequireToken:
  """Answers 401 in front of an application unless the token was shown."""

  def __init__(self, app: App, token: str):
    self._app = app
    self._wanted = token.encode()

  async def __call__(
    self, scope: Message, receive: Receive, send: Send
  ) -> None:
    """Passes a request on, or refuses it without reading its body."""
    asked = scope['type'] == 'http' and scope['path'] not in OPEN
    if asked and not self.shown(scope['headers']):
      await refuse(send)
    else:
      await self._app(scope, receive, send)

  def shown(self, headers: list[tuple[bytes, bytes]]) -> bool:
    """True if there is one Authorization header, and it holds the token."""
    values = [value for name, value in headers if name == b'authorization']
    if len(values) != 1:
      return False
    scheme, _, token = values[0].partition(b' ')
    # In constant time, so that the time of an answer tells nothing of it.
    right = hmac.compare_digest(token.strip(), self._wanted)
    return scheme.lower() == b'bearer' and right


async def refuse(send: Send) -> None:
  """Sends 401."""
  body = json.dumps({'error': 'Authorization: Bearer TOKEN is needed'}).encode()
  headers = [
    (b'content-type', b'application/json'),
    (b'content-length', str(len(body)).encode()),
    (b'www-authenticate', b'Bearer realm="srpo_jax reward"'),
    # Its body was not read; the connection cannot be used again.
    (b'connection', b'close'),
  ]
  start = {'type': 'http.response.start', 'status': 401, 'headers': headers}
  await send(start)
  await send({'type': 'http.response.body', 'body': body})
