# SPDX-License-Identifier: Apache-2.0
"""Loopback without a token, Unix sockets for this user alone."""

import socket
import stat

import pytest

from srpo_jax.reward.listen import bind_tcp, bind_unix, listening

TOKEN = 'sesame-sesame-sesame'


@pytest.mark.parametrize('host', ['127.0.0.1', '127.0.0.2', 'localhost'])
def test_loopback_needs_no_token(host):
  with listening(bind_tcp(host, 0, None)) as address:
    assert address.startswith('http://127.0.0.')
    port = int(address.rpartition(':')[2])
    socket.create_connection((host, port)).close()


@pytest.mark.parametrize('host', ['0.0.0.0', '::'])
def test_the_rest_of_the_world_does(host):
  with pytest.raises(ValueError, match='give a token by'):
    bind_tcp(host, 0, None)


def test_with_a_token_it_may_be_everywhere():
  with listening(bind_tcp('0.0.0.0', 0, TOKEN)) as address:
    assert address.startswith('http://0.0.0.0:')


def test_a_host_that_is_none():
  with pytest.raises(ValueError, match=r'--host=no\.such\.host\.invalid: '):
    bind_tcp('no.such.host.invalid', 0, TOKEN)


def test_a_unix_socket_is_ours_alone_and_goes_with_us(tmp_path):
  path = tmp_path / 'reward.sock'
  with listening(bind_unix(path)) as address:
    assert address == f'unix:{path}'
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
  assert not path.exists()


def test_a_stale_one_is_replaced(tmp_path):
  path = tmp_path / 'reward.sock'
  bind_unix(path).close()  # As if it had been killed.
  assert path.exists()
  with listening(bind_unix(path)), socket.socket(socket.AF_UNIX) as caller:
    caller.connect(str(path))


def test_one_in_use_is_left_alone(tmp_path):
  path = tmp_path / 'reward.sock'
  with listening(bind_unix(path)):
    with pytest.raises(ValueError, match='another service listens there'):
      bind_unix(path)
    assert path.exists()


def test_other_files_are_left_alone(tmp_path):
  path = tmp_path / 'thesis'
  path.write_text('four years')
  with pytest.raises(ValueError, match='no socket; choose another'):
    bind_unix(path)
  assert path.read_text() == 'four years'


@pytest.mark.parametrize('name', ['x' * 200, 'no_folder/reward.sock'])
def test_a_path_that_cannot_be(tmp_path, name):
  with pytest.raises(ValueError, match=r'--socket=.*; choose another'):
    bind_unix(tmp_path / name)
