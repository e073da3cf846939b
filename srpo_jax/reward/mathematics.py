# SPDX-License-Identifier: Apache-2.0
"""Is a final answer the right one? Exact text, number, or equivalence.

`notation` writes both sides in one way, `shapes` takes sets and tuples apart,
`quantities` compares numbers and units, and what is left is algebra, which
`symbolic` does. `at_a_glance` runs in the service itself; `check_golds` and
`equivalent` may take for ever and run in a worker that can be killed.
"""

import functools
import re
from collections.abc import Sequence

from srpo_jax.reward import quantities, shapes, symbolic
from srpo_jax.reward.notation import PHRASES, formula, numeral, tidy
from srpo_jax.reward.quantities import (
  MAX_NUMBER,
  figures,
  parse_number,
  same_number,
)
from srpo_jax.reward.units import split_unit

__all__ = ['MAX_NUMBER', 'parse_number', 'same_number']

# Longer texts are no final answer anybody meant; without a bound a response
# could buy seconds of a worker with every sample.
MAX_EXPRESSION = 2000
# How an item takes decimals: as exact numbers, or rounded to their digits.
DECIMALS = ('exact', 'rounded')

# Runs of letters that are mathematics, not words.
FUNCTIONS = frozenset(
  (
    *('sin', 'cos', 'tan', 'cot', 'sec', 'csc', 'arcsin', 'arccos', 'arctan'),
    *('sinh', 'cosh', 'tanh', 'exp', 'log', 'sqrt', 'max', 'min', 'gcd', 'lcm'),
    *('mod', 'det', 'inf', 'sup', 'lim', 'deg', 'dim', 'ker', 'arg'),
  )
)
TEXT_COMMAND = re.compile(
  r'\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mbox|operatorname)'
  r'\s*\{([^{}]*)\}'
)
COMMAND = re.compile(r'\\(?:begin|end)\s*\{[^{}]*\}|\\[A-Za-z]+')
CHOICE = re.compile(r'\(?([A-Z])\)?[.:]?')
# A choice and its text: a bracket tells them apart.
CHOICE_AND_TEXT = re.compile(r'\(?([A-Z])\)[.:]?\s(.*)', re.DOTALL)


def same_text(answer: str, gold: str) -> bool:
  """Equal but for white space; case counts."""
  return answer.split() == gold.split()


def plain_words(text: str) -> str:
  """Small letters, single spaces, no `\\text{}` and the like, no last stop."""
  words = ' '.join(TEXT_COMMAND.sub(r' \1 ', text).casefold().split())
  return words.rstrip('. ')


def is_words(text: str) -> bool:
  """True if a text is words and nothing that mathematics could act on.

  Such a gold answer is compared as text: to math-verify `abc` is a product
  of three symbols and so equal to `cba`. One letter (a choice, a variable),
  `five`, `no solution` and anything with a digit or a sign are mathematics.
  """
  words = plain_words(text)
  if words in PHRASES:
    return False
  letters = re.fullmatch(r"[^\W\d_]+(?:[ ,.;:!?']+[^\W\d_]+)*[!?]?", words)
  # A single letter beside another, as in `x, y`, is a list of symbols.
  return letters is not None and re.search(r'[^\W\d_]{2}', words) is not None


def same_words(answer: str, gold: str) -> bool:
  """Equal words: case, white space, `\\text{}` and a last stop aside."""
  return plain_words(answer) == plain_words(gold)


def keeps_words(answer: str, gold: str) -> bool:
  """False if the answer has letters but not the words that the gold has.

  For golds such as `abc+1` or `dog-cat`: letters within a word commute for
  math-verify, so an answer must spell the words as the gold does.
  """
  wanted, given = words_in(gold), words_in(answer)
  return not wanted or not has_letters(answer) or set(wanted) <= set(given)


def words_in(text: str) -> list[str]:
  """Runs of three letters or more that are neither command nor function."""
  text = COMMAND.sub(' ', plain_words(text))
  runs = re.findall(r'[^\W\d_]{3,}', text)
  return [run for run in runs if run not in FUNCTIONS]


def has_letters(text: str) -> bool:
  """True if any letter stands outside LaTeX commands."""
  text = COMMAND.sub(' ', plain_words(text))
  return re.search(r'[^\W\d_]', text) is not None


def choice_of(text: str, with_text: bool = False) -> str:
  """The capital letter that a text is, as in `(B)`, or ''.

  Args:
    text: a gold answer or a final one.
    with_text: `(B) 12` is B too, unless it names a second letter.
  """
  words = TEXT_COMMAND.sub(r'\1', text).replace('\\ ', ' ').strip(' $')
  if match := CHOICE.fullmatch(words):
    return match[1]
  match = CHOICE_AND_TEXT.fullmatch(words) if with_text else None
  alone = match is not None and not re.search(r'\b[A-Z]\b', match[2])
  return match[1] if alone else ''


def is_plain(gold: str) -> bool:
  """True if a gold needs no check: words, a choice, a number, with a unit."""
  if figures(gold) is not None or is_words(gold) or choice_of(gold):
    return True
  if len(gold) > MAX_NUMBER:
    return False
  return parse_number(split_unit(tidy(gold)).text) is not None


def at_a_glance(
  answer: str, boxed: bool, gold: str, decimals: str = 'exact'
) -> bool | None:
  """Whether an answer is a gold; None if only a worker can tell.

  Takes time in proportion to the length of the texts.
  """
  given, wanted = figures(answer), figures(gold)
  if None not in (given, wanted) and decimals == 'exact':
    return given == wanted
  if is_words(gold):
    return same_words(answer, gold)
  if choice := choice_of(gold):
    return choice_of(answer, with_text=True) == choice
  if max(len(answer), len(gold)) > MAX_NUMBER:
    return None
  answer, gold = tidy(answer if boxed else formula(answer)), tidy(gold)
  if shapes.shape_of(answer).kind or shapes.shape_of(gold).kind:
    return None
  return quick(gold, answer, decimals == 'rounded')


def quick(gold: str, answer: str, rounded: bool) -> bool | None:
  """The verdict on tidy texts without parts; None if it needs algebra."""
  if gold == answer:
    return True
  if is_words(gold):
    return same_words(answer, gold)
  if numeral(gold) or numeral(answer):
    return numeral(gold) == numeral(answer)
  verdicts = [
    quantities.settled(attempt, rounded)
    for attempt in quantities.attempts(gold, answer)
  ]
  if True in verdicts:
    return True
  return None if None in verdicts else False


def check_golds(golds: Sequence[str]) -> str:
  """In a worker: '' if every gold can be matched, else what is wrong."""
  faults = (fault_of(shapes.shape_of(tidy(gold))) for gold in golds)
  return next(filter(None, faults), '')


def fault_of(shape: shapes.Shape) -> str:
  """'' if each part of a gold can be read, else what is wrong."""
  if shape.parts and shape.kind != 'relations':
    return next(filter(None, map(fault_of, shape.parts)), '')
  if is_plain(shape.text) or numeral(shape.text):
    return ''
  return symbolic.fault_of_gold(split_unit(shape.text).text)


def equivalent(
  answer: str, boxed: bool, golds: Sequence[str], decimals: str = 'exact'
) -> bool:
  """In a worker: is the answer equal to one of the golds?

  Args:
    answer: the final answer.
    boxed: whether it stood in a `\\boxed{}`.
    golds: accepted answers that `check_golds` has passed.
    decimals: one of DECIMALS.
  """
  same = functools.partial(same_part, rounded=decimals == 'rounded')
  given = shapes.shape_of(tidy(answer if boxed else formula(answer)))
  return any(
    shapes.same_shape(shapes.shape_of(tidy(gold)), given, same)
    for gold in golds
  )


def same_part(gold: str, answer: str, rounded: bool) -> bool:
  """Whether two tidy texts without parts are equal."""
  verdict = quick(gold, answer, rounded)
  if verdict is not None:
    return verdict
  for attempt in quantities.attempts(gold, answer):
    verdict = quantities.settled(attempt, rounded)
    if verdict is None and keeps_words(attempt.answer, attempt.gold):
      verdict = symbolic.same_expression(attempt, rounded)
    if verdict:
      return True
  return False
