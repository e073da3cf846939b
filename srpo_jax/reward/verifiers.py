# SPDX-License-Identifier: Apache-2.0
"""Named verifiers: `match` = `verifier:NAME`. docs/reward.md has an example.

A verifier is a function (answer_text, item) -> bool. It is looked up among
our own, in the modules of `--verifiers`, in the entry points of the group
`srpo_jax.verifiers` and, for `reasoning_gym/TASK`, in reasoning-gym, in this
order. All but our own run in a worker, which imports what they need.
"""

import functools
import importlib
import importlib.metadata
import math
import re
from collections.abc import Callable, Mapping, Sequence

Verifier = Callable[[str, dict], bool]

GROUP = 'srpo_jax.verifiers'
GYM = 'reasoning_gym/'


def entry_of(item: dict) -> dict:
  """The item's `tests.entry`; ValueError if it has none."""
  entry = (item.get('tests') or {}).get('entry')
  if not isinstance(entry, dict):
    raise ValueError('tests.entry must be an object')
  return entry


def pair(answer: str, item: dict) -> bool:
  """`a,b`: two positive integers with the entry's sum and product."""
  entry = entry_of(item)
  match = re.fullmatch(r'\s*([0-9]{1,18})\s*,\s*([0-9]{1,18})\s*', answer)
  if match is None:
    return False
  a, b = int(match[1]), int(match[2])
  fits = a + b == entry['sum'] and a * b == entry['product']
  return min(a, b) > 0 and fits


def check_pair(item: dict) -> str:
  """'' if the entry is one that two positive integers solve."""
  try:
    entry = entry_of(item)
  except ValueError as error:
    return str(error)
  total, product = entry.get('sum'), entry.get('product')
  if type(total) is not int or type(product) is not int:
    return 'tests.entry must hold the integers sum and product'
  # a and b are the roots of x² - sum·x + product.
  square = total**2 - 4 * product
  solved = square >= 0 and math.isqrt(square) ** 2 == square
  solved = solved and min(total, product) > 0
  return '' if solved else 'no two positive integers have this sum and product'


# Ours are quick on any text and need no library: they run in the service.
OURS: Mapping[str, tuple[Verifier, Callable[[dict], str]]] = {
  'pair': (pair, check_pair)
}


def load_modules(names: Sequence[str]) -> dict[str, Verifier]:
  """The VERIFIERS of the modules; ValueError names the one that is wrong."""
  found: dict[str, Verifier] = {}
  for name in names:
    try:
      table = importlib.import_module(name).VERIFIERS
    except Exception as error:
      reason = f'{type(error).__name__}: {error}'
      raise ValueError(
        f'--verifiers={name}: {reason}; it must be an importable module with '
        'VERIFIERS, a dict of name -> function(answer_text, item) -> bool'
      ) from error
    if not isinstance(table, dict) or not all(map(callable, table.values())):
      raise ValueError(
        f'--verifiers={name}: VERIFIERS must be a dict of name -> '
        'function(answer_text, item) -> bool'
      )
    if taken := sorted(set(table) & {*OURS, *found}):
      raise ValueError(
        f'--verifiers={name}: VERIFIERS has {taken}, which is taken; rename it'
      )
    found.update(table)
  return found


class Verifiers:
  """The verifiers that a worker can reach, by name."""

  def __init__(self, modules: Sequence[str] = ()):
    self._named = load_modules(modules)
    points = importlib.metadata.entry_points(group=GROUP)
    self._points = {point.name: point for point in points}

  def load(self, name: str) -> Verifier:
    """The verifier of a name; LookupError, with one line, if there is none."""
    if name in self._named:
      return self._named[name]
    try:
      if name in self._points:
        return self._points[name].load()
      if name.startswith(GYM):
        return gym_verifier(name.removeprefix(GYM))
    except Exception as error:
      reason = f'{type(error).__name__}: {error}'
      raise LookupError(f'verifier {name!r}: {reason}') from error
    raise LookupError(
      f'no verifier is named {name!r}; the service knows {self.names()}, '
      f'{GYM}TASK and what --verifiers=MODULE adds'
    )

  def names(self) -> list[str]:
    """Every name except reasoning-gym's."""
    return sorted({*self._named, *self._points, *OURS})

  def check(self, name: str, item: dict) -> str:
    """'' if the verifier exists and accepts the task's own answers."""
    try:
      verifier = self.load(name)
    except LookupError as error:
      return error.args[0]
    try:
      golds = gold_answers(name, item)
      refused = [gold for gold in golds if not accepts(verifier, gold, item)]
    except MemoryError:
      raise
    except Exception as error:
      return f'verifier {name!r} on the gold answer: {error!r}'[:300]
    return f'{name} refuses the gold answer {refused[0]!r}' if refused else ''

  def verify(self, name: str, answer: str, item: dict) -> tuple[bool, str]:
    """The verdict, and why where the verifier raised: junk is wrong."""
    try:
      return accepts(self.load(name), answer, item), ''
    except MemoryError:
      raise
    except Exception as error:
      return False, f'{name} raised {error!r}'[:300]


def accepts(verifier: Verifier, answer: str, item: dict) -> bool:
  """True for True, numpy's True and 1.0; False for any share of it."""
  return bool(verifier(answer, item) == 1)


def gold_answers(name: str, item: dict) -> list[str]:
  """Answers that the verifier of a sound task must accept; often none."""
  if name.startswith(GYM):
    gold = entry_of(item)['answer']
    return [gold] if isinstance(gold, str) else []
  answers = item.get('answer') or []
  return [answers] if isinstance(answers, str) else list(answers)


@functools.lru_cache(maxsize=128)
def gym_verifier(task: str) -> Verifier:
  """The task's own score_answer, where only the full score counts.

  reasoning-gym gives part of the score to an answer that contains the gold
  (and spell_backward 1.0000000000000002), so anything but 1.0 is wrong.
  """
  import reasoning_gym

  dataset = reasoning_gym.create_dataset(task, size=1)

  def verify(answer: str, item: dict) -> bool:
    return bool(dataset.score_answer(answer, entry_of(item)) == 1.0)

  return verify
