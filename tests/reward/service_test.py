# SPDX-License-Identifier: Apache-2.0
"""The service as a process, over real HTTP."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest

from srpo_jax.reward import service as service_module
from srpo_jax.reward.environment import child_environment
from srpo_jax.reward.judge import Judge
from srpo_jax.reward.service import make_app

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
  reply = httpx.get(f'{service.address}/healthz')
  assert (reply.status_code, reply.json()) == (200, {'status': 'ok'})
  assert httpx.get(f'{service.address}/readyz').json()['workers_ready'] >= 1


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
    (item('5', domain='code'), 'sandbox_error'),
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
  reply = httpx.post(
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
  reply = httpx.post(f'{service.address}/v1/score', content=content)
  assert reply.status_code == 422
  assert reply.json()['error'].startswith(words)
  assert '\n' not in reply.json()['error']


def test_a_body_over_the_limit(monkeypatch):
  monkeypatch.setattr(service_module, 'MAX_BODY', 100)
  app = httpx.ASGITransport(make_app(Judge(None), None))

  async def post(items):
    async with httpx.AsyncClient(transport=app) as client:
      return await client.post('http://x/v1/score', json={'items': items})

  assert asyncio.run(post([])).status_code == 200
  reply = asyncio.run(post(['x' * 200]))
  assert reply.status_code == 413
  assert 'fewer items' in reply.json()['error']


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


def test_sigterm_answers_what_is_under_way(
  verifier_module, item, monkeypatch, tmp_path
):
  name, folder = verifier_module
  monkeypatch.setenv('PYTHONPATH', str(folder))
  process = subprocess.Popen(
    [*SERVICE, '--port=0', '--workers=1', f'--verifiers={name}'],
    stdout=subprocess.PIPE,
    text=True,
    env=child_environment(),
  )
  url = f'{process.stdout.readline().strip()}/v1/score'
  mark = tmp_path / 'under_way'
  tests = {'type': 'verifier', 'folder': str(mark)}
  slow = item('5', [], match='verifier:marks', tests=tests)
  replies = []

  def ask():
    replies.append(httpx.post(url, json={'items': [slow]}, timeout=60))

  thread = threading.Thread(target=ask)
  thread.start()
  while not mark.exists():
    time.sleep(0.02)
  process.send_signal(signal.SIGTERM)
  assert process.wait(60) == 0
  thread.join()
  process.stdout.close()
  assert replies[0].json()['results'][0]['status'] == 'correct'
