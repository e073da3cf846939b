# SPDX-License-Identifier: Apache-2.0
"""The client, and the life of a service that is our child."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from srpo_jax.reward.client import (
  RewardClient,
  RewardUnavailable,
  launch_service,
)
from srpo_jax.reward.environment import child_environment


def free_port() -> int:
  with socket.socket() as probe:
    probe.bind(('127.0.0.1', 0))
    return probe.getsockname()[1]


def start_on(port: int) -> subprocess.Popen:
  process = subprocess.Popen(
    [
      *(sys.executable, '-m', 'srpo_jax.reward.service'),
      *(f'--port={port}', '--workers=1', '--exit-with-parent'),
    ],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    env=child_environment(),
  )
  process.stdout.readline()
  return process


def end(process: subprocess.Popen) -> None:
  process.kill()
  process.communicate()


def children(pid: int) -> list[int]:
  text = Path(f'/proc/{pid}/task/{pid}/children').read_text()
  return [int(word) for word in text.split()]


def is_running(pid: int) -> bool:
  """False for a zombie too: nobody may be there to reap an orphan."""
  try:
    stat = Path(f'/proc/{pid}/stat').read_text()
  except (FileNotFoundError, ProcessLookupError):
    return False
  return stat.rpartition(')')[2].split()[0] not in 'ZX'


def ticks(pid: int) -> int:
  """Hundredths of a second that a process has computed."""
  stat = Path(f'/proc/{pid}/stat').read_text()
  return int(stat.rpartition(')')[2].split()[11])


def wait_until(condition) -> None:
  """Returns once the condition holds; pytest's timeout is the limit."""
  while not condition():
    time.sleep(0.05)


def test_results_in_order_over_many_batches(service, item):
  items = [item(str(n % 7), '3', id=str(n)) for n in range(300)]
  with RewardClient(service.address, batch_size=16) as client:
    futures = [client.submit(items), client.submit(items[::-1])]
    first, second = (future.result(60) for future in futures)
  assert [result['id'] for result in first] == [str(n) for n in range(300)]
  assert [r['accuracy'] for r in first] == [int(n % 7 == 3) for n in range(300)]
  assert second == first[::-1]


def test_nothing_to_score(service):
  with RewardClient(service.address) as client:
    assert client.submit([]).result(0) == []


def test_wrong_items_are_the_callers_fault(service, item):
  with (
    RewardClient(service.address) as client,
    pytest.raises(ValueError, match=r'items\[0\]\.match'),
  ):
    client.submit([item('5', match='fuzzy')]).result(60)


def test_wrong_arguments():
  with pytest.raises(ValueError, match='http://'):
    RewardClient('localhost:1')
  with pytest.raises(ValueError, match='positive'):
    RewardClient('http://127.0.0.1:1', deadline_s=0)


def test_nobody_answers(item):
  address = f'http://127.0.0.1:{free_port()}'
  with (
    RewardClient(address, deadline_s=0.5) as client,
    pytest.raises(RewardUnavailable, match=r'no answer in 0\.5 s .*Connect'),
  ):
    client.submit([item('5')]).result(60)


def test_a_service_that_hangs(item):
  with launch_service(workers=1) as hung:
    os.kill(hung.pid, signal.SIGSTOP)
    with (
      RewardClient(hung.address, deadline_s=0.5) as client,
      pytest.raises(RewardUnavailable, match=r'no answer in 0\.5 s'),
    ):
      client.submit([item('5')]).result(60)
    os.kill(hung.pid, signal.SIGCONT)


def test_close_gives_up(item):
  client = RewardClient(f'http://127.0.0.1:{free_port()}', deadline_s=3600)
  future = client.submit([item('5')])
  client.close()
  with pytest.raises(RewardUnavailable):
    future.result(60)


def test_retries_until_the_service_is_back(item):
  port = free_port()
  first = start_on(port)
  with RewardClient(f'http://127.0.0.1:{port}') as client:
    assert client.submit([item('5')]).result(60)[0]['accuracy'] == 1
    end(first)
    future = client.submit([item(str(n)) for n in range(200)])
    second = start_on(port)
    try:
      results = future.result(60)
    finally:
      end(second)
  assert [n for n, r in enumerate(results) if r['accuracy'] == 1] == [5]


def test_retries_what_may_pass(item):
  """429 and 5xx are tried again; the third attempt is answered."""
  server = socket.create_server(('127.0.0.1', 0))
  replies = [
    b'HTTP/1.1 503 x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}',
    b'HTTP/1.1 429 x\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}',
    b'HTTP/1.1 200 x\r\nContent-Length: 18\r\nConnection: close\r\n\r\n'
    b'{"results": ["r"]}',
  ]
  address = f'http://127.0.0.1:{server.getsockname()[1]}'
  with server, RewardClient(address, deadline_s=60) as client:
    future = client.submit([item('5')])
    for reply in replies:
      connection, _ = server.accept()
      with connection:
        connection.recv(65536)
        connection.sendall(reply)
    assert future.result(60) == ['r']


def test_restarts_its_own_dead_service(item):
  with launch_service(workers=1) as own:
    dead, address = own.pid, own.address
    with RewardClient(address, restart=own.restart) as client:
      os.kill(dead, signal.SIGKILL)
      wait_until(lambda: not own.alive())
      items = [item('5') for _ in range(200)]
      results = client.submit(items).result(60)
      assert {result['status'] for result in results} == {'correct'}
      assert own.alive()
      assert own.pid != dead
  assert not own.alive()


def test_a_closed_service_stays_closed():
  own = launch_service(workers=1)
  own.close()
  assert own.restart() == own.address
  assert not own.alive()


def test_a_service_that_cannot_start(tmp_path):
  log = tmp_path / 'logs' / 'reward.log'
  with pytest.raises(ValueError, match='exit status 2; the reason is in'):
    launch_service(verifiers=('no_such_module',), log_path=log)
  assert '--verifiers=no_such_module' in log.read_text()


def test_dies_with_a_parent_that_is_killed():
  code = (
    'from srpo_jax.reward.client import launch_service\n'
    'import time\n'
    'own = launch_service(workers=1)\n'
    'print(own.pid, own.address, flush=True)\n'
    'time.sleep(3600)\n'
  )
  parent = subprocess.Popen(
    [sys.executable, '-c', code],
    stdout=subprocess.PIPE,
    text=True,
    env=child_environment(),
  )
  pid, address = parent.stdout.readline().split()
  wait_until(lambda: children(int(pid)))
  workers = children(int(pid))
  assert httpx.get(f'{address}/healthz').status_code == 200
  assert is_running(int(pid))
  end(parent)
  wait_until(lambda: not any(map(is_running, [int(pid), *workers])))


def test_a_busy_worker_dies_with_a_service_that_is_killed(item):
  with launch_service(workers=1) as own:
    ready = f'{own.address}/readyz'
    wait_until(lambda: httpx.get(ready).status_code == 200)
    (worker,) = children(own.pid)
    before = ticks(worker)
    power = item('9^{9^{9^9}}', '1+x', limits={'wall_s': 60})
    with RewardClient(own.address) as client:
      client.submit([power])
      # Deep in its multiplication, where no thread of its own could run.
      wait_until(lambda: ticks(worker) > before + 20)
      os.kill(own.pid, signal.SIGKILL)
      wait_until(lambda: not is_running(worker))
