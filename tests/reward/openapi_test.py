# SPDX-License-Identifier: Apache-2.0
"""The description is true: schemathesis holds the service to it."""

import os
import re
import subprocess
import sys

import httpx
import pytest

from srpo_jax.reward.environment import child_environment
from srpo_jax.reward.openapi import describe

TOKEN = 'sesame-sesame-sesame'
# Patient: the machine may be busy.
HTTP = httpx.Client(timeout=60)
SERVICE = [sys.executable, '-m', 'srpo_jax.reward.service']


# What a schema cannot say: the two tags must have different names.
HOOKS = """
import schemathesis


def same_names(item):
  tags = item.get('tags') if isinstance(item, dict) else None
  names = {'think': 'think', 'answer': 'answer'}
  names |= tags if isinstance(tags, dict) else {}
  return names['think'] == names['answer']


@schemathesis.hook
def filter_case(context, case):
  body = case.body if isinstance(case.body, dict) else {}
  items = body.get('items')
  return not isinstance(items, list) or not any(map(same_names, items))
"""


@pytest.fixture(scope='module')
def guarded():
  """Address and header of a service that everybody can reach."""
  process = subprocess.Popen(
    [
      *(*SERVICE, '--host=0.0.0.0', '--port=0', '--workers=1'),
      *('--sandboxes=1', '--max_items=4', '--log=warning'),
      '--exit_with_parent',
    ],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
    env=child_environment() | {'SRPO_REWARD_TOKEN': TOKEN},
  )
  port = process.stdout.readline().strip().rpartition(':')[2]
  address = f'http://127.0.0.1:{port}'
  while HTTP.get(f'{address}/readyz').status_code != 200:
    continue
  yield address, {'Authorization': f'Bearer {TOKEN}'}
  process.kill()
  process.communicate()


def test_schemathesis_finds_nothing(guarded, tmp_path):
  """No 5xx; nothing accepted or refused that the description says otherwise."""
  pytest.importorskip('schemathesis')
  address, header = guarded
  (tmp_path / 'hooks.py').write_text(HOOKS)
  done = subprocess.run(
    [
      *(sys.executable, '-m', 'schemathesis.cli', 'run'),
      f'{address}/openapi.json',
      *('-H', f'Authorization: {header["Authorization"]}'),
      *('--phases', 'examples,coverage,fuzzing', '--continue-on-failure'),
      *('--checks', 'all'),
      *('--max-examples', '25', '--generation-deterministic', '--no-color'),
    ],
    cwd=tmp_path,
    capture_output=True,
    text=True,
    env=os.environ | {'SCHEMATHESIS_HOOKS': 'hooks', 'PYTHONUTF8': '1'},
  )
  assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
  generated = int(re.search(r'(\d+) generated', done.stdout)[1])
  assert generated > 100, done.stdout
  assert HTTP.get(f'{address}/readyz').status_code == 200


def operations() -> list[tuple[str, str, dict]]:
  return [
    (path, method, operation)
    for path, methods in describe(9, with_token=True)['paths'].items()
    for method, operation in methods.items()
  ]


@pytest.mark.parametrize(
  ('path', 'method', 'operation'),
  operations(),
  ids=lambda value: value if isinstance(value, str) else '',
)
def test_without_the_token_it_is_401(guarded, path, method, operation):
  address, right = guarded
  guilty = [{}, {'Authorization': f'{right["Authorization"]}x'}]
  for headers in guilty:
    reply = HTTP.request(method, f'{address}{path}', headers=headers)
    is_open = path in ('/healthz', '/readyz')
    assert reply.status_code == (200 if is_open else 401)
    assert is_open != ('401' in operation['responses'])
    assert is_open != ('security' in operation)


def test_the_description_of_a_service_without_a_token_asks_for_none():
  text = str(describe(9, with_token=False))
  assert 'security' not in text
  assert "'401'" not in text


def test_it_is_served_as_it_is(guarded):
  address, header = guarded
  served = HTTP.get(f'{address}/openapi.json', headers=header).json()
  assert served == describe(4, with_token=True)
