# SPDX-License-Identifier: Apache-2.0
"""Where the token comes from, and who may pass."""

import asyncio

import httpx
import pytest
from starlette.responses import Response

from srpo_jax.reward.auth import RequireToken, find_token

TOKEN = 'sesame-sesame-sesame'


@pytest.fixture
def token_file(tmp_path, monkeypatch):
  for name in ('SRPO_REWARD_TOKEN', 'SRPO_REWARD_TOKEN_FILE'):
    monkeypatch.delenv(name, raising=False)
  path = tmp_path / 'token'
  path.write_text(f'{TOKEN}\n')
  path.chmod(0o640)
  return path


def test_a_file_goes_before_the_environment(token_file, monkeypatch):
  assert find_token() is None
  monkeypatch.setenv('SRPO_REWARD_TOKEN', 'another-sesame-sesame')
  assert find_token() == 'another-sesame-sesame'
  assert find_token(token_file) == TOKEN
  monkeypatch.setenv('SRPO_REWARD_TOKEN_FILE', str(token_file))
  assert find_token() == TOKEN


@pytest.mark.parametrize('mode', [0o644, 0o602, 0o601])
def test_a_file_for_everybody_is_refused(token_file, mode):
  token_file.chmod(mode)
  with pytest.raises(ValueError, match=f'chmod 600 {token_file}') as caught:
    find_token(token_file)
  assert TOKEN not in str(caught.value)


def test_a_missing_file_is_one_line(token_file):
  with pytest.raises(ValueError, match='No such file'):
    find_token(token_file.with_name('nobody'))


@pytest.mark.parametrize(
  'text', ['', '\n', 'sh0rt!', 'a' * 15, 'two words of a pass phrase', 'é' * 20]
)
def test_what_is_no_token(token_file, text):
  token_file.write_text(text)
  with pytest.raises(ValueError, match='at least 16') as caught:
    find_token(token_file)
  assert not text.strip() or text.strip() not in str(caught.value)


def ask(path: str, *headers: tuple[str, str]) -> httpx.Response:
  async def run():
    transport = httpx.ASGITransport(RequireToken(Response('in'), TOKEN))
    async with httpx.AsyncClient(transport=transport) as client:
      return await client.get(f'http://x{path}', headers=list(headers))

  return asyncio.run(run())


@pytest.mark.parametrize(
  'value', [f'Bearer {TOKEN}', f'bearer {TOKEN}', f'Bearer  {TOKEN}']
)
def test_who_may_pass(value):
  assert ask('/v1/score', ('authorization', value)).text == 'in'


@pytest.mark.parametrize(
  'values',
  [
    (),
    ('',),
    ('Bearer',),
    ('Bearer ',),
    (TOKEN,),
    (f'Basic {TOKEN}',),
    (f'Bearer {TOKEN}x',),
    (f'Bearer {TOKEN[:-1]}',),
    (f'Bearer {TOKEN}', f'Bearer {TOKEN}'),
  ],
)
@pytest.mark.parametrize(
  'path', ['/v1/score', '/metrics', '/openapi.json', '/x', '/healthz/', '']
)
def test_who_may_not(path, values):
  reply = ask(path, *(('authorization', value) for value in values))
  assert reply.status_code == 401
  assert reply.headers['www-authenticate'].startswith('Bearer')
  assert 'TOKEN is needed' in reply.json()['error']


@pytest.mark.parametrize('path', ['/healthz', '/readyz'])
def test_probes_need_none(path):
  assert ask(path).text == 'in'
