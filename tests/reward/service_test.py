# SPDX-License-Identifier: Apache-2.0
"""The service as a process, over real HTTP."""

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from srpo_jax.reward.environment import child_environment

# Patient: the machine may be busy.
HTTP = httpx.Client(timeout=60)
SERVICE = [sys.executable, '-m', 'srpo_jax.reward.service']


def run_service(*flags: str) -> subprocess.CompletedProcess:
  return subprocess.run(
    [*SERVICE, *flags],
    stdin=subprocess.DEVNULL,
    capture_output=True,
    text=True,
    timeout=120,
    env=child_environment(),
  )


def test_importing_it_loads_no_jax():
  heavy = ('jax', 'jaxlib', 'numpy', 'sympy', 'math_verify', 'reasoning_gym')
  code = (
    'import sys; import srpo_jax.reward.service, srpo_jax.reward.client;'
    f'print([name for name in {heavy} if name in sys.modules])'
  )
  done = subprocess.run(
    [sys.executable, '-c', code],
    capture_output=True,
    text=True,
    check=True,
    env=child_environment(),
  )
  assert done.stdout.strip() == '[]'


def test_workers_load_no_jax():
  pytest.importorskip('reasoning_gym')
  code = (
    'import sys; from srpo_jax.reward import worker; worker.warm();'
    'assert "reasoning_gym" in sys.modules and "sympy" in sys.modules;'
    'print("jax" in sys.modules)'
  )
  done = subprocess.run(
    [sys.executable, '-c', code],
    capture_output=True,
    text=True,
    check=True,
    env=child_environment(),
  )
  assert done.stdout.strip() == 'False'


def test_health(service):
  reply = HTTP.get(f'{service.address}/healthz')
  assert (reply.status_code, reply.json()) == (200, {'status': 'ok'})
  assert HTTP.get(f'{service.address}/readyz').json()['workers_ready'] >= 1


def test_array_in_the_order_asked(score, item):
  numbers = [str(number) for number in range(100)]
  items = [
    # Every third needs a worker and finishes late.
    item(f'{n}+0' if int(n) % 3 == 0 else n, '7' if n == '8' else n, id=n)
    for n in numbers
  ]
  results = score(*items)
  assert [result['id'] for result in results] == numbers
  wrong = [r['id'] for r in results if r['status'] == 'wrong']
  assert wrong == ['8']
  assert {r['status'] for r in results} == {'correct', 'wrong'}


def test_lines_as_they_finish(service, item):
  items = [
    item('1', [], id='slow', match='verifier:slow'),
    item('5', id='quick'),
  ]
  with httpx.stream(
    'POST',
    f'{service.address}/v1/score',
    json={'items': items},
    headers={'accept': 'application/x-ndjson'},
    timeout=60,
  ) as reply:
    assert reply.headers['content-type'].startswith('application/x-ndjson')
    lines = [json.loads(line) for line in reply.iter_lines()]
  assert [line['id'] for line in lines] == ['quick', 'slow']
  assert {line['status'] for line in lines} == {'correct'}


def test_statuses(score, item):
  gym = {'type': 'verifier', 'entry': {'answer': '5', 'metadata': {}}}
  gcd = {'match': 'verifier:reasoning_gym/gcd', 'tests': gym}
  short = {'wall_s': 0.3}
  cases = [
    (item('\\boxed{\\frac{1}{2}}', '0.5'), 'correct'),
    (item('x+1', '1+x'), 'correct'),
    (item('x+2', '1+x'), 'wrong'),
    (item('', '1+x'), 'no_answer'),
    (item('x', '\\frac{'), 'invalid_task'),
    (item('', '\\frac{'), 'invalid_task'),
    (item('9^{9^{9^9}}', '1+x', limits=short), 'timeout'),
    (item('1', '9^{9^{9^9}}', limits=short), 'invalid_task'),
    (item('5', **gcd), 'correct'),
    (item('the answer is 5', **gcd), 'wrong'),
    (item('5', match='verifier:nobody'), 'invalid_task'),
    (item('', match='verifier:nobody'), 'invalid_task'),
    (item('5', [], match='verifier:raises'), 'wrong'),
    (item('5', '5', match='verifier:raises'), 'invalid_task'),
    (item('5', [], match='verifier:dies'), 'unavailable'),
    (item('5', domain='code'), 'invalid_task'),
  ]
  results = score(*(case for case, _ in cases))
  assert [result['status'] for result in results] == [s for _, s in cases]
  assert 'nobody' in results[10]['detail']


def test_text_that_utf8_cannot_hold(service):
  item = {
    'id': '\ud800',
    'domain': 'math',
    'response': '<answer>\ud800 x</answer>',
    'answer': '1+x',
  }
  reply = HTTP.post(
    f'{service.address}/v1/score', content=json.dumps({'items': [item]})
  )
  assert reply.status_code == 200
  assert reply.json()['results'][0]['id'] == '\ud800'


@pytest.mark.parametrize(
  ('content', 'words'),
  [
    ('{', 'the body: no JSON'),
    ('[' * 100_000, 'the body: no JSON'),
    ('[]', 'the body'),
    ('{"items": [{}]}', 'items[0].id: missing'),
  ],
)
def test_wrong_requests_are_refused_in_one_line(service, content, words):
  reply = HTTP.post(f'{service.address}/v1/score', content=content)
  assert reply.status_code == 422
  assert reply.json()['error'].startswith(words)
  assert '\n' not in reply.json()['error']


@pytest.mark.parametrize(
  ('flags', 'words'),
  [
    ([], '--port'),
    (['--port=x'], "--port: 'x' is no whole number"),
    (['--port=70000'], '70000 is not in 0..65535'),
    (['--port=0', '--workers=0'], '0 is not in 1..256'),
    (['--port=0', '--wrokers=2'], '--wrokers=2'),
    (['--port=0', '--verifiers=no_such_mod'], '--verifiers=no_such_mod'),
    (['--port=0', '--verifiers=json'], '--verifiers=json'),
    (['--port=0', '--host=0.0.0.0'], '--host=0.0.0.0 lets others'),
    (['--port=0', '--socket=/tmp/x'], 'not allowed with argument --port'),
    (['--port=0', '--token_file=/nobody'], 'token file /nobody: No such'),
    (['--port=0', '--sandbox=hope'], "invalid choice: 'hope'"),
    (['--port=0', '--queue=5'], '--queue=5 is below --max_items=1024'),
    (['--socket=/nowhere/x'], '--socket=/nowhere/x: No such file'),
  ],
)
def test_wrong_flags_are_one_line_and_2(flags, words):
  done = run_service(*flags)
  assert done.returncode == 2
  assert done.stdout == ''
  assert words in done.stderr
  assert done.stderr.count('\n') == 1


def test_a_taken_port_is_one_line_and_2():
  with socket.socket() as taken:
    taken.bind(('127.0.0.1', 0))
    taken.listen()
    done = run_service(f'--port={taken.getsockname()[1]}')
  assert done.returncode == 2
  assert 'choose another' in done.stderr
  assert done.stderr.count('\n') == 1


@contextlib.contextmanager
def started(*flags: str):
  """A service in its own process, its address, what it will have logged."""
  process = subprocess.Popen(
    [*SERVICE, '--workers=1', '--sandboxes=1', *flags],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    env=child_environment(),
  )
  try:
    address = process.stdout.readline().strip()
    while HTTP.get(f'{address}/readyz').status_code != 200:
      time.sleep(0.02)
    yield process, address
  finally:
    process.kill()
    process.communicate()


def stop(process: subprocess.Popen) -> list[dict]:
  """Ends a service; the lines it logged."""
  process.send_signal(signal.SIGTERM)
  logged = process.communicate(timeout=60)[1]
  assert process.returncode == 0, logged
  return [json.loads(line) for line in logged.splitlines()]


def test_sigterm_answers_what_is_under_way(
  verifier_module, item, monkeypatch, tmp_path
):
  name, folder = verifier_module
  monkeypatch.setenv('PYTHONPATH', str(folder))
  mark = tmp_path / 'under_way'
  tests = {'type': 'verifier', 'folder': str(mark)}
  slow = item('5', [], match='verifier:marks', tests=tests)
  replies = []
  with started('--port=0', f'--verifiers={name}') as (process, address):
    url = f'{address}/v1/score'

    def ask():
      replies.append(HTTP.post(url, json={'items': [slow]}, timeout=60))

    thread = threading.Thread(target=ask)
    thread.start()
    while not mark.exists():
      time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    # The port stays open meanwhile: a balancer may not have heard yet.
    while HTTP.get(f'{address}/readyz').status_code != 503:
      time.sleep(0.02)
    refused = HTTP.post(url, json={'items': [item('5')]})
    assert refused.status_code == 503
    assert 'retry-after' in refused.headers
    thread.join()
    assert process.wait(60) == 0
  assert replies[0].json()['results'][0]['status'] == 'correct'


def hang_up(address: str, items: list[dict], **headers: str) -> None:
  """Asks, and goes away before the answer."""
  with (
    contextlib.suppress(httpx.ReadTimeout),
    httpx.stream(
      'POST',
      f'{address}/v1/score',
      json={'items': items},
      headers=headers,
      timeout=0.3,
    ) as reply,
  ):
    reply.read()
    pytest.fail('it was answered')


def test_a_retry_of_a_lost_answer_does_no_work_again(service, item, tmp_path):
  """The verifier makes a folder, so a second run of it would fail."""
  tests = {'type': 'verifier', 'folder': str(tmp_path / 'once')}
  marked = item('5', [], match='verifier:marks', tests=tests)
  headers = {'Idempotency-Key': 'lost'}
  url = f'{service.address}/v1/score'
  hang_up(service.address, [marked], **headers)
  for _ in range(2):
    reply = HTTP.post(
      url, json={'items': [marked]}, headers=headers, timeout=60
    )
    assert reply.json()['results'][0]['status'] == 'correct'


def test_metrics(service, score, item):
  score(item('x+1', '1+x'), item('2', '3'))
  reply = HTTP.get(f'{service.address}/metrics')
  assert reply.headers['content-type'].startswith('text/plain')
  names = {line.split('{')[0].split()[0] for line in reply.text.splitlines()}
  assert names >= {
    f'srpo_reward_{name}'
    for name in (
      *('requests_total', 'items_total', 'request_seconds_bucket'),
      *('item_seconds_sum', 'requests_in_flight', 'items_in_flight'),
      *('items_limit', 'processes_ready', 'jobs_in_flight', 'replays_total'),
      *('process_restarts_total', 'cache_lookups_total', 'cache_hits_total'),
      'build_info',
    )
  } | {'process_resident_memory_bytes'}
  values = metric_values(reply.text)
  assert values['items_total{domain="math",status="wrong"}'] >= 1
  assert values['processes_ready{kind="worker"}'] == 2


def metric_values(text: str) -> dict[str, float]:
  rows = re.findall(r'^srpo_reward_(\S+) (\S+)$', text, re.M)
  return {name: float(value) for name, value in rows}


def test_a_worker_killed_at_its_limit_is_counted(service, score, item):
  def restarts():
    text = HTTP.get(f'{service.address}/metrics').text
    return metric_values(text)['process_restarts_total{kind="worker"}']

  before = restarts()
  power = item('9^{9^{9^9}}', '3+x', limits={'wall_s': 0.2})
  assert score(power)[0]['status'] == 'timeout'
  while restarts() == before:
    time.sleep(0.02)


def test_logs_say_what_happened_and_not_what_was_said(item, tmp_path):
  token = tmp_path / 'token'
  token.write_text('sesame-sesame-sesame')
  token.chmod(0o600)
  headers = {'Authorization': 'Bearer sesame-sesame-sesame'}
  with started('--port=0', f'--token_file={token}') as (process, address):
    url = f'{address}/v1/score'
    said = {'items': [item('a well kept secret', 'x')]}
    assert HTTP.post(url, json=said).status_code == 401
    assert HTTP.post(url, json=said, headers=headers).status_code == 200
    lines = stop(process)
  requests = [line for line in lines if line['event'] == 'request']
  assert [(r['code'], r['items']) for r in requests] == [(401, 0), (200, 1)]
  text = json.dumps(lines)
  assert 'kept' not in text
  assert 'sesame' not in text
  assert not any('unsafe' in line for line in lines)


def test_every_line_says_that_it_is_unsafe(item):
  with started('--port=0', '--unsafe_no_sandbox') as (process, address):
    HTTP.post(f'{address}/v1/score', json={'items': [item('5')]})
    assert 'unsafe' in HTTP.get(f'{address}/readyz').json()['sandbox']
    lines = stop(process)
  assert len(lines) >= 3
  assert all(line['unsafe'] is True for line in lines)


def test_a_quiet_log(item):
  with started('--port=0', '--log=warning') as (process, address):
    HTTP.post(f'{address}/v1/score', json={'items': [item('5')]})
    assert [line for line in stop(process) if line['level'] == 'info'] == []


def test_the_token_is_in_no_environment_of_a_child(monkeypatch):
  monkeypatch.setenv('SRPO_REWARD_TOKEN', 'sesame-sesame-sesame')
  with started('--port=0') as (process, address):
    assert HTTP.get(f'{address}/metrics').status_code == 401
    task = Path(f'/proc/{process.pid}/task/{process.pid}/children')
    children = task.read_text().split()
    assert children
    for child in children:
      environment = Path(f'/proc/{child}/environ').read_bytes()
      assert b'sesame' not in environment


def test_sandboxes_do_not_hold_up_the_first_answer(service):
  body = HTTP.get(f'{service.address}/readyz').json()
  while body['sandbox'] == 'being prepared':
    body = HTTP.get(f'{service.address}/readyz').json()
  assert set(body) == {
    *('workers_ready', 'sandboxes_ready', 'sandbox', 'draining')
  }
