# SPDX-License-Identifier: Apache-2.0
"""One item to one result.

`plan` is a pure function: it either decides at once or says what to ask a
worker. `Judge` asks. A task is checked before its response is judged, so
that whether an item is 'invalid_task' never depends on the response.
"""

import asyncio
import dataclasses
import time
from collections.abc import (
  AsyncIterator,
  Awaitable,
  Callable,
  Mapping,
  Sequence,
)
from fractions import Fraction
from typing import Any

from srpo_jax.reward import mathematics
from srpo_jax.reward.extract import Final, Tags, final_answer
from srpo_jax.reward.format import follows_template
from srpo_jax.reward.language import mixes_languages
from srpo_jax.reward.outcome import Outcome, verdict
from srpo_jax.reward.pool import Reply
from srpo_jax.reward.program import judge_program
from srpo_jax.reward.verifiers import GYM, OURS

WALL_S = 5.0
BUDGET_S = 60.0
# The event loop is given back this often while items are planned.
SLICE_S = 0.02

NO_ANSWER = Outcome('no_answer')
Job = Sequence[Any]
AskWorker = Callable[[Job, float], Awaitable[Reply]]


@dataclasses.dataclass(frozen=True)
class Ask:
  """What is left to a worker.

  Attributes:
    check: whether the task can be judged at all; '' is yes. None: it can.
    then: the outcome, or the question about the response that decides it.
  """

  check: Job | None
  then: Outcome | Job


def plan(item: dict) -> Outcome | Ask:
  """Decides an item, or says what to ask a worker.

  Args:
    item: as `items.check_item` has passed it.
  """
  if item['domain'] == 'code':
    return judge_program(item)
  opened = item.get('opened_think', False)
  final = final_answer(item['response'], tags_of(item), opened)
  match = item.get('match', 'equivalence')
  if match.startswith('verifier:'):
    return plan_verifier(match.removeprefix('verifier:'), item, final)
  answer = item['answer']
  golds = [answer] if isinstance(answer, str) else answer
  if not all(gold.strip() for gold in golds):
    return Outcome('invalid_task', 'the gold answer is blank')
  return PLANS[match](golds, final)


def tags_of(item: dict) -> Tags:
  """The names of the sections, our defaults where the item is silent."""
  return Tags(**(item.get('tags') or {}))


def plan_exact(golds: Sequence[str], final: Final | None) -> Outcome:
  """Equal text, white space aside."""
  if final is None:
    return NO_ANSWER
  return verdict(any(mathematics.same_text(final.text, g) for g in golds))


def plan_numeric(golds: Sequence[str], final: Final | None) -> Outcome:
  """Equal numbers, exactly."""
  numbers = [mathematics.parse_number(gold) for gold in golds]
  if None in numbers:
    bad = golds[numbers.index(None)]
    return Outcome('invalid_task', f'gold answer {bad[:200]!r} is no number')
  if final is None:
    return NO_ANSWER
  return verdict(mathematics.parse_number(final.text) in numbers)


def plan_equivalence(
  golds: Sequence[str], final: Final | None
) -> Outcome | Ask:
  """Words as text and numbers as numbers at once, the rest by a worker."""
  words = [gold for gold in golds if mathematics.is_words(gold)]
  numbers = {
    gold: value
    for gold in golds
    if (value := mathematics.parse_number(gold)) is not None
  }
  others = [gold for gold in golds if gold not in (*words, *numbers)]
  then = compare(words, numbers, others, final)
  if isinstance(then, Outcome) and not others:
    return then
  # Words and numbers are sound tasks as they stand; the others may not be.
  return Ask(('check_golds', others) if others else None, then)


def compare(
  words: Sequence[str],
  numbers: Mapping[str, Fraction],
  others: Sequence[str],
  final: Final | None,
) -> Outcome | Job:
  """The verdict on a final answer, or the question that decides it."""
  if final is None:
    return NO_ANSWER
  number = mathematics.parse_number(final.text)
  if number is not None and number in numbers.values():
    return verdict(True)
  if any(mathematics.same_words(final.text, gold) for gold in words):
    return verdict(True)
  # Two numbers have been compared; 2+2 against the number 4 has not.
  open_golds = [*others, *(numbers if number is None else ())]
  if not open_golds:
    return verdict(False)
  if len(final.text) > mathematics.MAX_EXPRESSION:
    return verdict(False, 'too long for a final answer')
  return ('equivalent', final.text, final.boxed, open_golds)


def plan_verifier(name: str, item: dict, final: Final | None) -> Outcome | Ask:
  """Our own verifiers decide here, all others in a worker."""
  if name in OURS:
    return plan_own_verifier(name, item, final)
  task = {key: item[key] for key in item if key not in ('id', 'response')}
  if name.startswith(GYM):
    # Its verifiers read the entry alone: samples that agree share a job.
    task = seen = {'tests': item.get('tests')}
  else:
    seen = item
  check = ('check', name, task)
  if final is None:
    return Ask(check, NO_ANSWER)
  return Ask(check, ('verify', name, final.text, seen))


def plan_own_verifier(name: str, item: dict, final: Final | None) -> Outcome:
  """The verdict of a verifier of ours: quick, and harmless on any text."""
  verify, check = OURS[name]
  fault = check(item)
  if fault:
    return Outcome('invalid_task', fault)
  if final is None:
    return NO_ANSWER
  return verdict(verify(final.text, item))


PLANS = {
  'exact': plan_exact,
  'numeric': plan_numeric,
  'equivalence': plan_equivalence,
}


def result_of(item: dict, outcome: Outcome) -> dict:
  """The result as it goes over the wire: the outcome, format, language."""
  tags = tags_of(item)
  response, question = item['response'], item.get('question', '')
  opened = item.get('opened_think', False)
  accuracy = outcome.accuracy
  return {
    'id': item['id'],
    'status': outcome.status,
    'accuracy': accuracy,
    'passed_share': None if accuracy is None else float(accuracy),
    'format': follows_template(response, tags, opened),
    'language_mixing': mixes_languages(response, question, tags),
    'seconds': round(outcome.seconds, 6),
    'detail': outcome.detail,
  }


class Judge:
  """Judges batches of items with the help of workers."""

  def __init__(self, ask_worker: AskWorker):
    self._ask = ask_worker

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
        step = plan(item)
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

  async def _settle(self, ask: Ask, limit_s: float) -> Outcome:
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
