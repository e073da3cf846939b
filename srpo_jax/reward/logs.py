# SPDX-License-Identifier: Apache-2.0
"""Structured logs: one line of JSON on standard error for each event.

No line holds a response, an answer or a token. An exception is told by its
type and places alone, since its message may quote what it choked on.
"""

import datetime
import json
import logging
import sys
import traceback
from typing import Any

LOGGER = logging.getLogger('srpo_jax.reward')


def event(name: str, level: int = logging.INFO, **fields: Any) -> None:
  """Logs an event; the fields become members of its line."""
  LOGGER.log(level, name, extra={'fields': fields})


def configure(level: str, always: dict[str, Any] | None = None) -> None:
  """Sends what this process logs to standard error.

  Args:
    level: 'info' (every request) or 'warning'.
    always: members of every line, such as `{'unsafe': True}`.
  """
  handler = logging.StreamHandler(sys.stderr)
  handler.setFormatter(JsonFormatter(always or {}))
  logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
  LOGGER.setLevel(level.upper())
  # It warns of children that ended after its loop, as ours may at a refusal.
  logging.getLogger('asyncio').setLevel(logging.ERROR)


class JsonFormatter(logging.Formatter):
  """A record as one line of JSON."""

  def __init__(self, always: dict[str, Any]):
    super().__init__()
    self._always = always

  def format(self, record: logging.LogRecord) -> str:
    """The line."""
    when = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
    line = {
      'time': when.isoformat(timespec='milliseconds'),
      'level': record.levelname.lower(),
      'event': record.getMessage(),
      **getattr(record, 'fields', {}),
      **self._always,
    }
    if record.name != LOGGER.name:
      line['logger'] = record.name
    if record.exc_info and record.exc_info[1] is not None:
      line |= describe(record.exc_info[1])
    return json.dumps(line, default=repr)


def describe(error: BaseException) -> dict[str, Any]:
  """The type of an exception, and where it passed; not its message."""
  frames = traceback.extract_tb(error.__traceback__)
  places = [f'{f.filename}:{f.lineno} {f.name}' for f in frames]
  return {'exception': type(error).__name__, 'places': places[-12:]}
