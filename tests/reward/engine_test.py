# SPDX-License-Identifier: Apache-2.0
"""What the engine does with sandboxes: none, some, or none that starts."""

import asyncio

import pytest

from srpo_jax.reward.engine import Engine
from srpo_jax.reward.pool import Reply, Worker
from srpo_jax.reward.sandbox import NoSandbox

JOB = ('program', {'program': 'x', 'limits': {}})


class Keeper(Worker):
  """Answers each job with the next report."""

  def __init__(self, backend):
    self._backend = backend

  async def ask(self, job, limit_s):
    self._backend.jobs.append((job, limit_s))
    return Reply('value', self._backend.reports.pop(0))

  async def kill(self):
    self._backend.alive.discard(self)


class Backend:
  """Sandboxes that the tests lead."""

  summary = 'walls of paper'

  def __init__(self, *statuses, refuses=False):
    self.reports = [{'status': status} for status in statuses]
    self.jobs = []
    self.alive = set()
    self.closed = False
    self._refuses = refuses

  async def start_keeper(self):
    if self._refuses:
      await asyncio.sleep(0.01)
      raise ValueError('the walls fell over')
    keeper = Keeper(self)
    self.alive.add(keeper)
    return keeper

  def close(self):
    assert not self.alive
    self.closed = True


def run(choose, ask):
  """What `ask` of an engine with these sandboxes comes to."""

  async def main():
    engine = Engine((), 1, choose, sandboxes=1)
    engine.open_sandboxes()
    try:
      return await ask(engine)
    finally:
      await engine.close()

  return asyncio.run(main())


@pytest.mark.parametrize(
  ('status', 'asked'),
  [
    ('correct', 1),
    ('wrong', 1),
    ('runtime_error', 1),
    # A limit may not be passed another time; a fault may be gone.
    ('timeout', 2),
    ('memory', 2),
    ('invalid_task', 2),
    ('unavailable', 2),
    ('sandbox_error', 2),
  ],
)
def test_verdicts_that_last_are_remembered(status, asked):
  backend = Backend(status, status)

  async def ask(engine):
    replies = [await engine.ask_program(JOB, 50.0) for _ in range(2)]
    assert engine.readiness()['sandboxes_ready'] == 1
    assert engine.readiness()['sandbox'] == 'walls of paper'
    return [reply.value['status'] for reply in replies]

  assert run(lambda: backend, ask) == [status, status]
  assert backend.jobs == [(JOB, 50.0)] * asked
  assert backend.closed


def nothing_works():
  raise NoSandbox('no walls here')


@pytest.mark.parametrize(
  ('choose', 'why'),
  [
    (nothing_works, 'no walls here'),
    (lambda: Backend(refuses=True), 'the walls fell over'),
  ],
)
def test_without_a_sandbox_it_says_why(choose, why):
  async def ask(engine):
    await engine._opening
    if engine.keepers is not None:
      await asyncio.wait([engine.keepers.pool.failed])
    assert engine.readiness()['sandboxes_ready'] == 0
    return (await engine.ask_program(JOB, 50.0)).value

  report = run(choose, ask)
  assert (report['status'], report['detail']) == ('sandbox_error', why)


def test_a_keeper_that_never_starts_holds_nobody_up():
  """Who asked before it was known is told, too."""
  backend = Backend(refuses=True)

  async def ask(engine):
    return (await engine.ask_program(JOB, 50.0)).value

  assert run(lambda: backend, ask)['status'] == 'sandbox_error'
