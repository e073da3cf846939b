# SPDX-License-Identifier: Apache-2.0
"""One item to one result: asks workers and sandboxes what the plan says."""

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from srpo_jax.reward.format import follows_template
from srpo_jax.reward.language import mixes_languages
from srpo_jax.reward.outcome import Outcome, verdict
from srpo_jax.reward.plan import Ask, Job, plan, tags_of
from srpo_jax.reward.pool import Reply
from srpo_jax.reward.program import AskProgram, outcome_of

WALL_S = 5.0
BUDGET_S = 60.0
# The event loop is given back this often while items are planned.
SLICE_S = 0.02

AskWorker = Callable[[Job, float], Awaitable[Reply]]


def result_of(item: dict, outcome: Outcome) -> dict:
  """The result as it goes over the wire: the outcome, format, language."""
  tags = tags_of(item)
  response, question = item['response'], item.get('question', '')
  opened = item.get('opened_think', False)
  accuracy, share = outcome.accuracy, outcome.passed_share
  if share is None and accuracy is not None:
    share = float(accuracy)
  return {
    'id': item['id'],
    'status': outcome.status,
    'accuracy': accuracy,
    'passed_share': share,
    'format': follows_template(response, tags, opened),
    'language_mixing': mixes_languages(response, question, tags),
    'seconds': round(outcome.seconds, 6),
    'detail': outcome.detail,
  }


class Judge:
  """Judges batches of items with the help of workers.

  Args:
    ask_worker: asks a worker for mathematics and verifiers.
    ask_program: asks a sandbox; None if there is none.
    refusal: one line on why there is none.
  """

  def __init__(
    self,
    ask_worker: AskWorker,
    ask_program: AskWorker | None = None,
    refusal: str = '',
  ):
    self._ask = ask_worker
    self._ask_program = ask_program
    self._refusal = refusal or 'code verdicts need a sandbox: there is none'

  async def stream(
    self, items: Sequence[dict], budget_s: float = BUDGET_S
  ) -> AsyncIterator[tuple[int, dict]]:
    """(index, result) of each item, as they finish.

    What has not finished after `budget_s` seconds is 'unavailable': too much
    work for the workers must not look like wrong answers, nor stop a run.
    """
    deadline = time.monotonic() + budget_s
    finished: asyncio.Queue[asyncio.Task] = asyncio.Queue()
    waiting: dict[asyncio.Task, int] = {}
    slice_end = time.monotonic() + SLICE_S
    try:
      for index, item in enumerate(items):
        step = self._plan(item)
        if isinstance(step, Outcome):
          yield index, result_of(item, step)
        else:
          task = asyncio.create_task(self._settle(step, limit_of(item)))
          waiting[task] = index
          task.add_done_callback(finished.put_nowait)
        if time.monotonic() > slice_end:
          await asyncio.sleep(0)
          slice_end = time.monotonic() + SLICE_S
      while waiting:
        task = await next_before(finished, deadline)
        if task is None:
          break
        index = waiting.pop(task)
        yield index, result_of(items[index], task.result())
      late = Outcome('unavailable', f'not judged within {budget_s:g} s')
      for index in waiting.values():
        yield index, result_of(items[index], late)
    finally:
      for task in waiting:
        task.cancel()

  def _plan(self, item: dict) -> Outcome | Ask | AskProgram:
    """The plan for an item; code needs a sandbox whatever it is."""
    if item['domain'] == 'code' and self._ask_program is None:
      return Outcome('sandbox_error', self._refusal)
    return plan(item)

  async def _settle(self, ask: Ask | AskProgram, limit_s: float) -> Outcome:
    """Asks whoever can answer."""
    if isinstance(ask, AskProgram):
      return await self._run_program(ask)
    return await self._ask_questions(ask, limit_s)

  async def _run_program(self, ask: AskProgram) -> Outcome:
    """Asks a sandbox; once more if the machine was too busy to judge."""
    for _ in range(2):
      reply = await self._ask_program(ask.job, ask.hard_limit_s)
      if reply.kind == 'timeout':
        # The tests hang: they would again, and hold up everyone else.
        return Outcome('unavailable', reply.detail, reply.seconds)
      if reply.kind != 'value':
        outcome = Outcome('unavailable', reply.detail, reply.seconds)
      else:
        outcome = outcome_of(reply.value)
      if outcome.status != 'unavailable':
        break
    return outcome

  async def _ask_questions(self, ask: Ask, limit_s: float) -> Outcome:
    """Asks a worker: first whether the task is sound, then the question."""
    seconds = 0.0
    if ask.check is not None:
      reply = await self._ask(ask.check, limit_s)
      seconds = reply.seconds
      fault = fault_of(reply)
      if fault is not None:
        return dataclasses.replace(fault, seconds=seconds)
    if isinstance(ask.then, Outcome):
      return dataclasses.replace(ask.then, seconds=seconds)
    reply = await self._ask(ask.then, limit_s)
    seconds += reply.seconds
    if reply.kind != 'value':
      return Outcome(reply.kind, reply.detail, seconds)
    right, detail = reply.value
    return verdict(right, detail, seconds)


def limit_of(item: dict) -> float:
  """Seconds that a worker may spend on each question about the item."""
  return float((item.get('limits') or {}).get('wall_s') or WALL_S)


def fault_of(reply: Reply) -> Outcome | None:
  """What the check of a task found; None if the task is sound."""
  if reply.kind == 'value':
    return Outcome('invalid_task', reply.value) if reply.value else None
  if reply.kind == 'unavailable':
    return Outcome('unavailable', reply.detail)
  return Outcome('invalid_task', f'the gold answer: {reply.detail}')


async def next_before(
  queue: asyncio.Queue[asyncio.Task], deadline: float
) -> asyncio.Task | None:
  """The next of the queue, or None once it is later than the deadline."""
  try:
    return await asyncio.wait_for(queue.get(), deadline - time.monotonic())
  except TimeoutError:
    return None
