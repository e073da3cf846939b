# SPDX-License-Identifier: Apache-2.0
"""Lines of JSON that say what happened, and not what was said."""

import json
import logging
import subprocess
import sys

from srpo_jax.reward.environment import child_environment
from srpo_jax.reward.logs import JsonFormatter

SCRIPT = """
import logging
from srpo_jax.reward import logs
logs.configure('warning', {'unsafe': True})
logs.event('quiet')
logs.event('loud', logging.WARNING, count=3)
logging.getLogger('uvicorn.error').warning('odd %s', 'request')
"""


def test_lines():
  done = subprocess.run(
    [sys.executable, '-c', SCRIPT],
    capture_output=True,
    text=True,
    check=True,
    env=child_environment(),
  )
  first, second = map(json.loads, done.stderr.splitlines())
  assert first.pop('time') <= second.pop('time')
  assert first == {
    'level': 'warning',
    'event': 'loud',
    'count': 3,
    'unsafe': True,
  }
  assert second == {
    'level': 'warning',
    'event': 'odd request',
    'unsafe': True,
    'logger': 'uvicorn.error',
  }


def test_an_exception_is_told_without_its_message():
  try:
    raise KeyError('what the response said')
  except KeyError:
    record = logging.LogRecord(
      'x', logging.ERROR, '', 0, 'fault', (), sys.exc_info()
    )
  text = JsonFormatter({}).format(record)
  line = json.loads(text)
  assert line['exception'] == 'KeyError'
  assert 'logs_test.py' in line['places'][-1]
  assert 'response said' not in text
