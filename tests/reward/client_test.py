# SPDX-License-Identifier: Apache-2.0
"""The client, and the life of a service that is our child."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
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


def start(*flags: str) -> subprocess.Popen:
  return subprocess.Popen(
    [
      *(sys.executable, '-m', 'srpo_jax.reward.service'),
      *('--workers=1', '--sandboxes=1', '--exit_with_parent', *flags),
    ],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    env=child_environment(),
  )


def start_on(port: int) -> subprocess.Popen:
  process = start(f'--port={port}')
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


def is_worker(pid: int) -> bool:
  """True for those that judge mathematics; the others are sandboxes."""
  return b'srpo_jax.reward.worker' in Path(f'/proc/{pid}/cmdline').read_bytes()


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
  for address in ('localhost:1', '', 'http://a,b', 'unix:relative', []):
    with pytest.raises(ValueError, match='http://'):
      RewardClient(address)
  with pytest.raises(ValueError, match='http://x:port'):
    RewardClient('http://x:port')
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


def reply_of(status: int, *headers: str, body: str = '{}') -> bytes:
  """A whole HTTP reply, after which the connection ends."""
  head = [f'HTTP/1.1 {status} x', f'Content-Length: {len(body)}', *headers]
  return '\r\n'.join([*head, 'Connection: close', '', body]).encode()


def results_of(*statuses: str) -> str:
  return json.dumps(
    {'results': [{'id': 'a', 'status': status} for status in statuses]}
  )


class Scripted:
  """A server that gives the replies it was told to, and keeps what it read."""

  def __init__(self, replies: list[bytes]):
    self.requests: list[tuple[dict[str, str], dict]] = []
    self.times: list[float] = []
    self._replies = replies
    self._server = socket.create_server(('127.0.0.1', 0))
    self._server.settimeout(60)
    self.address = f'http://127.0.0.1:{self._server.getsockname()[1]}'
    self._thread = threading.Thread(target=self._serve)

  def __enter__(self):
    self._thread.start()
    return self

  def __exit__(self, *_):
    self._thread.join()
    self._server.close()

  def _serve(self):
    for reply in self._replies:
      connection, _ = self._server.accept()
      with connection, connection.makefile('rb') as stream:
        self.times.append(time.monotonic())
        stream.readline()
        headers = dict(
          line.decode().lower().strip().split(': ', 1)
          for line in iter(stream.readline, b'\r\n')
        )
        body = stream.read(int(headers['content-length']))
        self.requests.append((headers, json.loads(body)))
        connection.sendall(reply)


def test_retries_what_may_pass(item):
  """429 and 5xx are tried again, with the key of the first attempt."""
  replies = [
    reply_of(503),
    reply_of(429, 'Retry-After: 1'),
    reply_of(200, body='{"results": []}'),
    reply_of(200, body=results_of('correct')),
  ]
  with (
    Scripted(replies) as server,
    RewardClient(server.address, deadline_s=60) as client,
  ):
    assert client.submit([item('5')]).result(60)[0]['status'] == 'correct'
  assert server.times[2] - server.times[1] >= 1
  keys = {headers['idempotency-key'] for headers, _ in server.requests}
  assert len(keys) == 1


def test_the_unavailable_are_asked_again_alone(item):
  replies = [
    reply_of(200, body=results_of('correct', 'unavailable')),
    reply_of(200, body=results_of('wrong')),
  ]
  with Scripted(replies) as server, RewardClient(server.address) as client:
    results = client.submit([item('5'), item('6')]).result(60)
  assert [result['status'] for result in results] == ['correct', 'wrong']
  (first, all_items), (second, again) = server.requests
  assert first['idempotency-key'] != second['idempotency-key']
  assert again['items'] == all_items['items'][1:]


def test_what_stays_unavailable_is_carried(item):
  replies = [reply_of(200, body=results_of('unavailable'))] * 2
  with Scripted(replies) as server, RewardClient(server.address) as client:
    results = client.submit([item('5')]).result(60)
  assert [result['status'] for result in results] == ['unavailable']


def test_asking_again_can_be_left_out(item):
  replies = [reply_of(200, body=results_of('unavailable'))]
  with (
    Scripted(replies) as server,
    RewardClient(server.address, ask_again=0) as client,
  ):
    assert client.submit([item('5')]).result(60)[0]['status'] == 'unavailable'


def test_an_answer_counts_though_nobody_answers_again(item):
  replies = [reply_of(200, body=results_of('correct', 'unavailable'))]
  with (
    Scripted(replies) as server,
    RewardClient(server.address, deadline_s=1) as client,
  ):
    results = client.submit([item('5'), item('6')]).result(60)
  assert [r['status'] for r in results] == ['correct', 'unavailable']


def test_a_dead_address_is_passed_over(service, item):
  dead = f'http://127.0.0.1:{free_port()}'
  with RewardClient(f'{dead}, {service.address}', batch_size=8) as client:
    results = client.submit([item('5') for _ in range(200)]).result(60)
  assert {result['status'] for result in results} == {'correct'}


@pytest.fixture
def first_of_equals(monkeypatch):
  """Among addresses with equally much to do, the first is taken."""
  monkeypatch.setattr(random, 'choice', lambda equals: equals[0])


def test_an_address_that_hangs_is_passed_over(service, item, first_of_equals):
  with socket.create_server(('127.0.0.1', 0)) as silent:
    hung = f'http://127.0.0.1:{silent.getsockname()[1]}'
    with RewardClient([hung, service.address], deadline_s=4) as client:
      results = client.submit([item('5')]).result(60)
  assert results[0]['status'] == 'correct'


def test_work_is_shared(item, first_of_equals):
  reply = reply_of(200, body=results_of('correct'))
  with Scripted([reply] * 4) as one, Scripted([reply] * 4) as other:
    addresses = [one.address, other.address]
    with RewardClient(addresses, batch_size=1) as client:
      # Two are under way at once, so each address has one of them.
      for _ in range(4):
        client.submit([item('5'), item('5')]).result(20)
  assert len(one.requests) == len(other.requests) == 4


def test_over_a_unix_socket(tmp_path, item):
  path = tmp_path / 'reward.sock'
  with start(f'--socket={path}') as process:
    address = process.stdout.readline().decode().strip()
    assert address == f'unix:{path}'
    with RewardClient(address) as client:
      assert client.submit([item('5')]).result(60)[0]['status'] == 'correct'
    end(process)


def test_the_token_is_shown_and_a_wrong_one_is_the_callers_fault(
  item, tmp_path, monkeypatch
):
  token = tmp_path / 'token'
  token.write_text('sesame-sesame-sesame\n')
  token.chmod(0o600)
  with start('--port=0', f'--token_file={token}') as process:
    address = process.stdout.readline().decode().strip()
    with RewardClient(address, token_file=token) as client:
      assert client.submit([item('5')]).result(60)[0]['status'] == 'correct'
    monkeypatch.setenv('SRPO_REWARD_TOKEN', 'sesame-sesame-street')
    with (
      RewardClient(address) as client,
      pytest.raises(ValueError, match='Bearer TOKEN'),
    ):
      client.submit([item('5')]).result(60)
    end(process)


def test_a_closed_client_takes_nothing(item):
  client = RewardClient('http://127.0.0.1:1')
  client.close()
  client.close()
  with pytest.raises(RewardUnavailable, match='closed'):
    client.submit([item('5')]).result(0)


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
  assert httpx.get(f'{address}/healthz', timeout=60).status_code == 200
  assert is_running(int(pid))
  end(parent)
  wait_until(lambda: not any(map(is_running, [int(pid), *workers])))


def test_a_busy_worker_dies_with_a_service_that_is_killed(item):
  with launch_service(workers=1) as own:
    ready = f'{own.address}/readyz'
    wait_until(lambda: httpx.get(ready, timeout=60).status_code == 200)
    (worker,) = filter(is_worker, children(own.pid))
    wait_until(lambda: children(worker))
    (judge,) = children(worker)
    before = ticks(judge)
    power = item('9^{9^{9^9}}', '1+x', limits={'wall_s': 60})
    with RewardClient(own.address) as client:
      client.submit([power])
      # Deep in its multiplication, where no thread of its own could run.
      wait_until(lambda: ticks(judge) > before + 20)
      os.kill(own.pid, signal.SIGKILL)
      wait_until(lambda: not is_running(worker) and not is_running(judge))


def test_a_worker_whose_owner_died_before_it_was_ready_ends():
  """It must not look for jobs for ever, one child after the other."""
  worker = subprocess.Popen(
    [sys.executable, '-m', 'srpo_jax.reward.worker'],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    env=child_environment(),
  )
  worker.stdout.close()
  assert worker.wait(60) == 0
  worker.stdin.close()
