# SPDX-License-Identifier: Apache-2.0
"""The routes in this process, in front of a judge that the tests lead."""

import asyncio
import json

import httpx
import pytest

from srpo_jax.reward.admission import Admission
from srpo_jax.reward.app import Limits, make_app
from srpo_jax.reward.metrics import Metrics

NDJSON = {'accept': 'application/x-ndjson'}


class Engine:
  """Judges an item once its response is in `may_finish`."""

  def __init__(self, *may_finish: str, warm: bool = True):
    self.may_finish = set(may_finish)
    self.asked: list[str] = []
    self.cancelled = 0
    self.budgets: list[float] = []
    self.judge = self.workers = self.pool = self
    self.warm = asyncio.Event()
    if warm:
      self.warm.set()

  def readiness(self):
    return {'workers_ready': int(self.warm.is_set())}

  async def stream(self, items, budget_s):
    self.budgets.append(budget_s)
    try:
      for index, item in reversed(list(enumerate(items))):
        self.asked.append(item['response'])
        while item['response'] not in self.may_finish:
          await asyncio.sleep(0.001)
        yield index, {'id': item['id'], 'status': 'correct', 'seconds': 0.0}
    except (asyncio.CancelledError, GeneratorExit):
      self.cancelled += 1
      raise


class Site:
  """The application, its parts, and what a client says to it."""

  def __init__(self, engine, limits=None, queue=100, most_bytes=1 << 20):
    self.engine = engine
    self.admission = Admission(queue, most_bytes)
    self.metrics = Metrics({})
    limits = limits or Limits()
    self.app = make_app(engine, self.admission, self.metrics, limits)
    transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
    self.http = httpx.AsyncClient(transport=transport, base_url='http://x')

  async def score(self, *responses, key=None, budget_s=None, **headers):
    if key is not None:
      headers['Idempotency-Key'] = key
    return await self.http.post(
      '/v1/score',
      json={'items': [make(r) for r in responses], 'budget_s': budget_s},
      headers=headers,
    )

  async def asked(self, count):
    while len(self.engine.asked) < count:
      await asyncio.sleep(0.001)

  def reading(self, name, **labels):
    return self.metrics.registry.get_sample_value(f'srpo_reward_{name}', labels)


def make(response):
  return {'id': response, 'domain': 'code', 'response': response}


def ids(reply):
  assert reply.status_code == 200, reply.text
  return [result['id'] for result in reply.json()['results']]


def test_both_forms():
  async def run():
    site = Site(Engine('a', 'b'))
    assert ids(await site.score('a', 'b')) == ['a', 'b']
    reply = await site.score('a', 'b', **NDJSON)
    assert reply.headers['content-type'].startswith('application/x-ndjson')
    lines = [json.loads(line)['id'] for line in reply.text.splitlines()]
    assert lines == ['b', 'a']  # As they finish.
    assert site.admission.items == 0

  asyncio.run(run())


@pytest.mark.parametrize(
  ('limits', 'status', 'words'),
  [
    (Limits(body=100), 413, 'over 100 bytes; send fewer items'),
    (Limits(items=1), 422, 'items: 2; at most 1 at once'),
  ],
)
def test_too_much_in_one_request(limits, status, words):
  async def run():
    site = Site(Engine('a'), limits)
    assert (await site.http.post('/v1/score', json={'items': []})).is_success
    reply = await site.score('a', 'a')
    assert reply.status_code == status
    assert words in reply.json()['error']

    async def unannounced():
      for _ in range(50):
        yield b'  '
      yield json.dumps({'items': [make('a'), make('a')]}).encode()

    reply = await site.http.post('/v1/score', content=unannounced())
    assert reply.status_code == status
    assert site.admission.size == 0

  asyncio.run(run())


def test_a_body_that_is_announced_as_too_large_is_not_read():
  read = []

  async def content():
    read.append(True)
    yield b'{}'

  async def run():
    site = Site(Engine(), Limits(body=100))
    headers = {'Content-Length': '101'}
    reply = await site.http.post(
      '/v1/score', content=content(), headers=headers
    )
    assert (reply.status_code, read) == (413, [])

  asyncio.run(run())


def test_a_body_that_does_not_come():
  async def never():
    yield b'{'
    await asyncio.sleep(3600)

  async def run():
    site = Site(Engine(), Limits(body_s=0.05))
    reply = await site.http.post('/v1/score', content=never())
    assert reply.status_code == 408
    assert site.admission.size == 0

  asyncio.run(run())


def test_a_full_queue_says_when_to_come_back():
  async def run():
    site = Site(Engine(), queue=3)
    first = asyncio.create_task(site.score('a', 'b'))
    await site.asked(1)
    reply = await site.score('a', 'b')
    assert reply.status_code == 429
    assert int(reply.headers['retry-after']) >= 1
    assert '2 of 3 items' in reply.json()['error']
    one_more = asyncio.create_task(site.score('c'))
    await site.asked(2)
    site.engine.may_finish |= {'a', 'b', 'c'}
    assert ids(await first) == ['a', 'b']
    assert ids(await one_more) == ['c']
    assert ids(await site.score('a', 'b', 'c')) == ['a', 'b', 'c']
    assert site.reading('requests_total', code='429') == 1
    assert site.reading('requests_total', code='200') == 3
    labels = {'status': 'correct', 'domain': 'code'}
    assert site.reading('items_total', **labels) == 6

  asyncio.run(run())


def test_bodies_together_are_bounded():
  async def run():
    site = Site(Engine('a'), most_bytes=10)
    reply = await site.score('a')
    assert (reply.status_code, site.admission.size) == (429, 0)
    assert 'retry-after' in reply.headers

  asyncio.run(run())


def test_not_before_a_worker_is_warm():
  async def run():
    site = Site(Engine('a', warm=False))
    for reply in (await site.score('a'), await site.http.get('/readyz')):
      assert reply.status_code == 503
      assert 'retry-after' in reply.headers
    assert (await site.http.get('/healthz')).status_code == 200
    site.engine.warm.set()
    assert ids(await site.score('a')) == ['a']
    assert (await site.http.get('/readyz')).status_code == 200

  asyncio.run(run())


def test_a_drain_answers_what_is_under_way_and_nothing_else():
  async def run():
    site = Site(Engine())
    first = asyncio.create_task(site.score('a'))
    await site.asked(1)
    drain = asyncio.create_task(site.admission.drain(60))
    await asyncio.sleep(0)
    for reply in (await site.score('b'), await site.http.get('/readyz')):
      assert reply.status_code == 503
      assert 'retry-after' in reply.headers
    assert (await site.http.get('/healthz')).status_code == 200
    assert not drain.done()
    site.engine.may_finish.add('a')
    assert ids(await first) == ['a']
    assert await drain

  asyncio.run(run())


def test_a_drain_is_bounded():
  async def run():
    site = Site(Engine())
    first = asyncio.create_task(site.score('a'))
    await site.asked(1)
    assert not await site.admission.drain(0.01)
    first.cancel()

  asyncio.run(run())


def test_a_retry_joins_and_then_remembers():
  async def run():
    site = Site(Engine())
    first = asyncio.create_task(site.score('a', key='k', budget_s=60))
    await site.asked(1)
    # The rest of the time is shorter by then; the items are the same.
    second = asyncio.create_task(site.score('a', key='k', budget_s=40))
    lines = asyncio.create_task(site.score('a', key='k', **NDJSON))
    await asyncio.sleep(0.01)
    site.engine.may_finish.add('a')
    assert ids(await first) == ids(await second) == ['a']
    assert json.loads((await lines).text)['id'] == 'a'
    assert ids(await site.score('a', key='k')) == ['a']
    assert site.engine.asked == ['a']
    assert site.reading('replays_total') == 3
    labels = {'status': 'correct', 'domain': 'code'}
    assert site.reading('items_total', **labels) == 1

  asyncio.run(run())


@pytest.mark.parametrize(
  'headers', [[], [(b'accept', NDJSON['accept'].encode())]]
)
@pytest.mark.parametrize('key', [None, b'k'])
def test_a_client_that_goes_away(headers, key):
  """Its work ends, unless it has a key to ask again with."""

  async def run():
    site = Site(Engine())
    gone = asyncio.Event()
    body = json.dumps({'items': [make('a')]}).encode()
    messages = [{'type': 'http.request', 'body': body}]

    async def receive():
      if messages:
        return messages.pop()
      await gone.wait()
      return {'type': 'http.disconnect'}

    async def send(message):
      del message

    keyed = [] if key is None else [(b'idempotency-key', key)]
    scope = {
      'type': 'http',
      'asgi': {'version': '3.0', 'spec_version': '2.3'},
      'method': 'POST',
      'path': '/v1/score',
      'query_string': b'',
      'headers': [*headers, *keyed],
    }
    asked = asyncio.create_task(site.app(scope, receive, send))
    await site.asked(1)
    gone.set()
    await asked
    await asyncio.sleep(0.01)
    assert site.engine.cancelled == (key is None)
    assert site.admission.items == (key is not None)
    assert site.admission.requests == 0
    if key is not None:
      site.engine.may_finish.add('a')
      assert ids(await site.score('a', key='k')) == ['a']
      assert site.engine.asked == ['a']

  asyncio.run(run())


def test_a_key_is_for_one_batch():
  async def run():
    site = Site(Engine('a', 'b'))
    assert ids(await site.score('a', key='k')) == ['a']
    reply = await site.score('b', key='k')
    assert reply.status_code == 409
    assert 'take a new one' in reply.json()['error']
    assert ids(await site.score('b', key='l')) == ['b']
    assert (await site.score('b', key='')).status_code == 422
    assert (await site.score('b', key='k' * 256)).status_code == 422

  asyncio.run(run())


def test_a_fault_is_not_remembered():
  async def run():
    site = Site(Engine('a'))
    good, site.engine.stream = site.engine.stream, None
    reply = await site.score('a', key='k')
    assert reply.status_code == 500
    assert reply.json() == {'error': 'internal error; see the log'}
    site.engine.stream = good
    assert ids(await site.score('a', key='k')) == ['a']
    assert site.admission.items == 0
    assert site.reading('requests_total', code='500') == 1

  asyncio.run(run())


def test_wrong_paths_and_methods_are_json():
  async def run():
    site = Site(Engine())
    reply = await site.http.get('/nowhere')
    assert (reply.status_code, reply.json()) == (404, {'error': 'Not Found'})
    reply = await site.http.get('/v1/score')
    assert reply.status_code == 405
    assert reply.headers['allow'] == 'POST'

  asyncio.run(run())


@pytest.mark.parametrize(
  ('limits', 'status'),
  [
    ({'memory_mb': 64.0, 'cpu_s': 2.0}, 200),
    ({'memory_mb': 64.5}, 422),
    ({'memory_mb': 1e300}, 422),
    ({'memory_mb': float('inf')}, 422),
    ([], 422),
  ],
)
def test_a_whole_number_may_have_a_point(limits, status):
  async def run():
    site = Site(Engine('a'))
    text = json.dumps({'items': [make('a') | {'limits': limits}]})
    reply = await site.http.post('/v1/score', content=text)
    assert reply.status_code == status, reply.text
    for body in ('[]', '{"items": 5}', '{"items": [5]}'):
      reply = await site.http.post('/v1/score', content=body)
      assert reply.status_code == 422

  asyncio.run(run())


def test_the_budget_reaches_the_judge():
  async def run():
    site = Site(Engine('a'))
    await site.score('a', budget_s=7)
    await site.score('a')
    assert site.engine.budgets == [7, 60]

  asyncio.run(run())
