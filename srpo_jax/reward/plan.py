# SPDX-License-Identifier: Apache-2.0
"""What to ask about an item: a pure function of it, nothing is run.

`plan` either decides at once or says what to ask a worker, or for code a
sandbox. A task is checked before its response is judged, so that whether an
item is 'invalid_task' never depends on the response.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from srpo_jax.reward import mathematics
from srpo_jax.reward.extract import Final, Tags, final_answer
from srpo_jax.reward.outcome import Outcome, verdict
from srpo_jax.reward.program import AskProgram, plan_program
from srpo_jax.reward.verifiers import GYM, OURS

NO_ANSWER = Outcome('no_answer')
Job = Sequence[Any]


@dataclasses.dataclass(frozen=True)
class Ask:
  """What is left to a worker.

  Attributes:
    check: whether the task can be judged at all; '' is yes. None: it can.
    then: the outcome, or the question about the response that decides it.
  """

  check: Job | None
  then: Outcome | Job


def plan(item: dict) -> Outcome | Ask | AskProgram:
  """Decides an item, or says what to ask a worker.

  Args:
    item: as `items.check_item` has passed it.
  """
  if item['domain'] == 'code':
    return plan_program(item)
  opened = item.get('opened_think', False)
  final = final_answer(item['response'], tags_of(item), opened)
  match = item.get('match', 'equivalence')
  if match.startswith('verifier:'):
    return plan_verifier(match.removeprefix('verifier:'), item, final)
  answer = item['answer']
  golds = [answer] if isinstance(answer, str) else answer
  if not all(gold.strip() for gold in golds):
    return Outcome('invalid_task', 'the gold answer is blank')
  return PLANS[match](golds, final, item.get('decimals', 'exact'))


def tags_of(item: dict) -> Tags:
  """The names of the sections, our defaults where the item is silent."""
  return Tags(**(item.get('tags') or {}))


def plan_exact(
  golds: Sequence[str], final: Final | None, decimals: str
) -> Outcome:
  """Equal text, white space aside, whatever the setting for decimals."""
  del decimals
  if final is None:
    return NO_ANSWER
  return verdict(any(mathematics.same_text(final.text, g) for g in golds))


def plan_numeric(
  golds: Sequence[str], final: Final | None, decimals: str
) -> Outcome:
  """Equal numbers; exactly, or as far as their decimals go."""
  for gold in golds:
    if mathematics.parse_number(gold) is None:
      return Outcome('invalid_task', f'gold answer {gold[:200]!r} is no number')
  if final is None:
    return NO_ANSWER
  rounded = decimals == 'rounded'
  return verdict(
    any(mathematics.same_number(final.text, gold, rounded) for gold in golds)
  )


def plan_equivalence(
  golds: Sequence[str], final: Final | None, decimals: str
) -> Outcome | Ask:
  """Words as text and numbers as numbers at once, the rest by a worker."""
  others = [gold for gold in golds if not mathematics.is_plain(gold)]
  then = NO_ANSWER if final is None else compare(golds, final, decimals)
  if isinstance(then, Outcome) and not others:
    return then
  # Words and numbers are sound tasks as they stand; the others may not be.
  return Ask(('check_golds', others) if others else None, then)


def compare(golds: Sequence[str], final: Final, decimals: str) -> Outcome | Job:
  """The verdict on a final answer, or the question that decides it."""
  verdicts = {
    gold: mathematics.at_a_glance(final.text, final.boxed, gold, decimals)
    for gold in golds
  }
  if True in verdicts.values():
    return verdict(True)
  open_golds = [gold for gold in golds if verdicts[gold] is None]
  if not open_golds:
    return verdict(False)
  if len(final.text) > mathematics.MAX_EXPRESSION:
    return verdict(False, 'too long for a final answer')
  setting = () if decimals == 'exact' else (decimals,)
  return ('equivalent', final.text, final.boxed, open_golds, *setting)


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
