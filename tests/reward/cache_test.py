# SPDX-License-Identifier: Apache-2.0
"""Each question is asked once, and nothing but values is remembered."""

import asyncio

import pytest

from srpo_jax.reward.cache import Cache
from srpo_jax.reward.pool import Reply


class Workers:
  """Counts the jobs it is given; answers once `gate` is set."""

  def __init__(self, kind='value'):
    self.jobs = []
    self.cancelled = 0
    self.kind = kind
    self.gate = asyncio.Event()

  async def run(self, job, limit_s):
    self.jobs.append(job)
    try:
      await self.gate.wait()
    except asyncio.CancelledError:
      self.cancelled += 1
      raise
    return Reply(self.kind, job[1], seconds=1.0)


def test_equal_jobs_share_one():
  async def scene():
    workers = Workers()
    cache = Cache(workers.run)
    asks = [asyncio.create_task(cache.ask(['a', 1], 5.0)) for _ in range(3)]
    asks.append(asyncio.create_task(cache.ask(['a', 2], 5.0)))
    await asyncio.sleep(0.01)
    workers.gate.set()
    replies = await asyncio.gather(*asks)
    assert [reply.value for reply in replies] == [1, 1, 1, 2]
    assert len(workers.jobs) == 2
    again = await cache.ask(['a', 1], 5.0)
    assert again == Reply('value', 1)
    assert len(workers.jobs) == 2

  asyncio.run(scene())


@pytest.mark.parametrize('kind', ['timeout', 'memory', 'unavailable'])
def test_failures_are_asked_again(kind):
  async def scene():
    workers = Workers(kind)
    workers.gate.set()
    cache = Cache(workers.run)
    for _ in range(2):
      assert (await cache.ask(['a', 1], 5.0)).kind == kind
    assert len(workers.jobs) == 2

  asyncio.run(scene())


def test_the_oldest_is_forgotten():
  async def scene():
    workers = Workers()
    workers.gate.set()
    cache = Cache(workers.run, size=2)
    for number in (1, 2, 1, 3, 1, 2):
      await cache.ask(['a', number], 5.0)
    assert [job[1] for job in workers.jobs] == [1, 2, 3, 2]

  asyncio.run(scene())


def test_the_last_to_give_up_cancels_the_job():
  async def scene():
    workers = Workers()
    cache = Cache(workers.run)
    asks = [asyncio.create_task(cache.ask(['a', 1], 5.0)) for _ in range(2)]
    await asyncio.sleep(0.01)
    asks[0].cancel()
    await asyncio.sleep(0.01)
    assert workers.cancelled == 0
    asks[1].cancel()
    await asyncio.sleep(0.01)
    assert workers.cancelled == 1
    workers.gate.set()
    assert (await cache.ask(['a', 1], 5.0)).value == 1

  asyncio.run(scene())


def test_only_what_lasts_is_remembered():
  async def run():
    workers = Workers()
    workers.gate.set()
    cache = Cache(workers.run, lasting=lambda value: False)
    for _ in range(2):
      assert (await cache.ask(['a', 1], 1.0)).kind == 'value'
    return workers.jobs, cache.asked, cache.hits

  assert asyncio.run(run()) == ([['a', 1], ['a', 1]], 2, 0)


def test_what_joins_and_what_is_known_are_hits():
  async def run():
    workers = Workers()
    cache = Cache(workers.run)
    asking = [asyncio.create_task(cache.ask(['a', 1], 1.0)) for _ in range(3)]
    await asyncio.sleep(0)
    assert cache.under_way == 1
    workers.gate.set()
    await asyncio.gather(*asking)
    await cache.ask(['a', 1], 1.0)
    return cache.asked, cache.hits, cache.under_way

  assert asyncio.run(run()) == (4, 3, 0)
