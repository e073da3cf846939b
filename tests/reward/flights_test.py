# SPDX-License-Identifier: Apache-2.0
"""Flights are followed by many, end with the last, and are bounded."""

import asyncio
import json

import pytest

from srpo_jax.reward.flights import OVERHEAD, Flight, Flights, KeyReused


async def results(gate, count=2):
  for index in range(count):
    await gate.wait()
    yield index, {'id': str(index)}


async def collect(flight):
  return [index async for index, _ in flight.follow()]


def test_late_followers_get_all_from_the_start():
  async def run():
    gate = asyncio.Event()
    flight = Flight(results(gate))
    early = asyncio.create_task(collect(flight))
    await asyncio.sleep(0)
    gate.set()
    assert await early == [0, 1]
    assert await collect(flight) == [0, 1]

  asyncio.run(run())


@pytest.mark.parametrize('kept', [False, True])
def test_work_nobody_waits_for_ends_unless_a_retry_is_to_come(kept):
  async def run():
    gate = asyncio.Event()
    flight = Flight(results(gate), kept=kept)
    followers = [asyncio.create_task(collect(flight)) for _ in range(2)]
    await asyncio.sleep(0.001)
    followers[0].cancel()
    await asyncio.sleep(0.001)
    assert not flight.task.done()  # One is left.
    followers[1].cancel()
    await asyncio.sleep(0.001)
    assert flight.task.cancelled() is not kept
    gate.set()
    if kept:
      assert await collect(flight) == [0, 1]

  asyncio.run(run())


def test_a_fault_reaches_every_follower():
  async def faulty():
    yield 0, {}
    raise ZeroDivisionError

  async def run():
    flight = Flight(faulty())
    for _ in range(2):
      with pytest.raises(ZeroDivisionError):
        await collect(flight)

  asyncio.run(run())


def test_memory_is_bounded_and_the_oldest_goes_first():
  async def run():
    gate = asyncio.Event()
    gate.set()
    flights = Flights(memory=2 * OVERHEAD + 200)
    for key in 'abc':
      flight = Flight(results(gate), kept=True)
      flights.add(key, [key], flight)
      await collect(flight)
      await asyncio.sleep(0)
    assert flights.find('a', ['a']) is None
    assert flights.find('b', ['b']) is not None
    assert flights.find('c', ['c']) is not None
    assert flights.replays == 2

  asyncio.run(run())


def test_an_answer_over_the_bound_is_not_kept():
  async def large():
    yield 0, {'id': 'x' * 1000}

  async def run():
    flights = Flights(memory=OVERHEAD + 500)
    flight = Flight(large(), kept=True)
    flights.add('k', [], flight)
    await collect(flight)
    await asyncio.sleep(0)
    assert flights.find('k', []) is None

  asyncio.run(run())


def test_items_in_another_order_of_members_are_the_same():
  async def run():
    gate = asyncio.Event()
    flights = Flights()
    flights.add('k', [{'a': 1, 'b': 2}], Flight(results(gate)))
    assert flights.find('k', json.loads('[{"b": 2, "a": 1}]')) is not None
    with pytest.raises(KeyReused):
      flights.find('k', [{'a': 1, 'b': 3}])
    gate.set()

  asyncio.run(run())
