# SPDX-License-Identifier: Apache-2.0
"""Items, and one running service for the tests that only ask it things."""

import time
from pathlib import Path

import httpx
import pytest

from srpo_jax.reward.client import launch_service

VERIFIERS = """
import os
import time


def slow(answer, item):
  time.sleep(float(answer))
  return True


def marks(answer, item):
  os.mkdir(item['tests']['folder'])
  time.sleep(1)
  return True


def greedy(answer, item):
  return len(bytearray(8 << 30)) > 0


def dies(answer, item):
  os._exit(1)


def dies_once(answer, item):
  try:
    os.mkdir(item['tests']['folder'])
  except FileExistsError:
    return True
  os._exit(1)


def raises(answer, item):
  raise KeyError('junk')


def half(answer, item):
  return 0.5


def loud(answer, item):
  print('hello from a verifier')
  return answer in item['answer']


VERIFIERS = {
  f.__name__: f
  for f in (slow, marks, greedy, dies, dies_once, raises, half, loud)
}
"""


def make_item(answer: str, gold: str | list[str] = '5', **fields) -> dict:
  """An item whose response follows the template."""
  response = f'<think>well</think><answer>{answer}</answer>'
  item = {'id': 'a', 'domain': 'math', 'response': response, 'answer': gold}
  return item | fields


@pytest.fixture(scope='session')
def item():
  """The function that makes items."""
  return make_item


@pytest.fixture(scope='session')
def verifier_module(tmp_path_factory) -> tuple[str, Path]:
  """Name and folder of a module with VERIFIERS."""
  folder = tmp_path_factory.mktemp('modules')
  (folder / 'my_verifiers.py').write_text(VERIFIERS)
  return 'my_verifiers', folder


@pytest.fixture(scope='session')
def service(verifier_module):
  """A service with two warm workers, over real HTTP."""
  name, folder = verifier_module
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('PYTHONPATH', str(folder))
    with launch_service(workers=2, verifiers=(name,)) as running:
      wait_until_ready(running.address)
      yield running


def wait_until_ready(address: str) -> None:
  """Returns once /readyz says 200."""
  while httpx.get(f'{address}/readyz', timeout=60).status_code != 200:
    time.sleep(0.05)


@pytest.fixture
def score(service):
  """A function of items: their results, in one request."""

  def ask(*items: dict) -> list[dict]:
    reply = httpx.post(
      f'{service.address}/v1/score', json={'items': items}, timeout=60
    )
    assert reply.status_code == 200, reply.text
    return reply.json()['results']

  return ask
