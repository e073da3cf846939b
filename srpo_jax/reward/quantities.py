# SPDX-License-Identifier: Apache-2.0
"""Numbers, with and without units: compared exactly, without algebra.

Runs in the service itself, so everything takes time in proportion to the
length of its text. Reads what `notation.tidy` wrote.
"""

import dataclasses
import re
from fractions import Fraction

from srpo_jax.reward.notation import DECIMAL, decimal_value, tidy
from srpo_jax.reward.units import (
  ANGLE,
  PERCENT,
  RADIAN,
  Quantity,
  split_unit,
  without_currency,
)

# Longer texts are no number anybody meant.
MAX_NUMBER = 200

WHOLE = r'(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)'
PLAIN = rf'(?:{WHOLE}(?:\.[0-9]*)?|\.[0-9]+)'
FIGURES = re.compile(rf'\s*([+-]?{PLAIN})\s*')
NUMBER = re.compile(rf'({PLAIN})(?:[eE]([+-]?[0-9]{{1,3}}))?')
POWER = re.compile(
  rf'({PLAIN})\s*\\(?:times|cdot)\s*10\^\{{?(-?[0-9]{{1,3}})\}}?'
)
SLASH = re.compile(rf'({PLAIN})\s*/\s*(-?{PLAIN})')
FRACTION = re.compile(
  rf'([0-9]*)\s*\\frac\{{\s*(-?{PLAIN})\s*\}}\{{\s*(-?{PLAIN})\s*\}}'
)


def parse_number(text: str) -> Fraction | None:
  """The exact value of an integer, decimal or fraction; None if it is none.

  Reads `-1,234.5`, `1e-3`, `1.5 \\times 10^3`, `3/4`, `\\frac{3}{4}`,
  `2\\frac{1}{2}`, `0.\\overline{3}` and sums of money such as `\\$36`, with or
  without `$` around. 1/3 is not 0.3333333333.
  """
  if len(text) > MAX_NUMBER:
    return None
  if (value := figures(text)) is not None:
    return value
  if text.strip().isalpha():
    return None  # Five is no number where numbers are asked for.
  match = re.fullmatch(r'([+-]?)\s*(.*)', without_currency(tidy(text)))
  value = unsigned(match[2]) if match else None
  return -value if value is not None and match[1] == '-' else value


def figures(text: str) -> Fraction | None:
  """The value of an integer or decimal written in figures alone.

  Most answers are; it saves them what the other ways of writing cost.
  """
  match = FIGURES.fullmatch(text) if len(text) <= MAX_NUMBER else None
  return Fraction(match[1].replace(',', '')) if match else None


def unsigned(text: str) -> Fraction | None:
  """The value of a number without a sign; None if it is none."""
  if match := NUMBER.fullmatch(text) or POWER.fullmatch(text):
    return real(match[1]) * Fraction(10) ** int(match[2] or 0)
  if match := SLASH.fullmatch(text):
    return ratio(match[1], match[2])
  if match := FRACTION.fullmatch(text):
    part = ratio(match[2], match[3])
    whole = int(match[1] or 0)
    mixed = part is not None and (not match[1] or 0 < part < 1)
    return whole + part if mixed else None
  return decimal_value(text)


def real(text: str) -> Fraction:
  """The value of digits with separators, a point and a sign."""
  return Fraction(text.replace(',', ''))


def ratio(top: str, bottom: str) -> Fraction | None:
  """top / bottom; None over zero."""
  return real(top) / real(bottom) if real(bottom) else None


def same_number(answer: str, gold: str, rounded: bool) -> bool | None:
  """Whether two texts are one number; None if either is no number.

  Args:
    answer: a final answer.
    gold: an accepted one.
    rounded: take decimals as rounded to the digits that they have.
  """
  given, wanted = parse_number(answer), parse_number(gold)
  if given is None or wanted is None:
    return None
  if given == wanted or not rounded:
    return given == wanted
  return rounds_to(given, gold) or rounds_to(wanted, answer)


def rounds_to(value: Fraction, text: str) -> bool:
  """True if the text is a decimal and what the value is when rounded to it.

  Three digits at least, or 0.3 would be right for many a value.

  >>> rounds_to(Fraction(2, 3), '0.667'), rounds_to(Fraction(2, 3), '0.67')
  (True, False)
  """
  number, text = parse_number(text), tidy(text).lstrip('+-').replace(',', '')
  places = places_of(text)
  if number is None or places is None:
    return False
  return abs(value - number) <= Fraction(1, 2 * 10**places)


def places_of(text: str) -> int | None:
  """Digits after the point of a decimal with three that count; else None."""
  match = DECIMAL.fullmatch(text)
  if match is None or match[3] or match[4] or match[5]:
    return None
  return len(match[2]) if len((match[1] + match[2]).lstrip('0')) > 2 else None


@dataclasses.dataclass(frozen=True)
class Attempt:
  """One reading of a gold answer and a final answer, units taken away.

  They agree if gold * factor is the answer.
  """

  gold: str
  answer: str
  factor: Fraction = Fraction(1)
  radians: bool = False  # The gold is in degrees, the answer in radians.


def attempts(gold: str, answer: str) -> list[Attempt]:
  """The readings in which the units allow two answers to be equal.

  >>> [attempt.factor for attempt in attempts('0.5%', '0.005')]
  [Fraction(1, 100)]
  >>> attempts('5 cm', '5 hours')
  []
  """
  wanted, given = split_unit(gold), split_unit(answer)
  texts = wanted.text, given.text
  units = (wanted.unit, given.unit)
  if PERCENT in units and units != (PERCENT, PERCENT):
    return of_percent(wanted, given)
  if None in units:
    found = [Attempt(*texts)]
    if ANGLE in units:
      found += of_angle(wanted, given)
    return found
  if {wanted.unit.powers, given.unit.powers} == {ANGLE.powers, RADIAN.powers}:
    return of_angle(wanted, given)
  if wanted.unit.powers != given.unit.powers:
    return []
  return [Attempt(*texts, wanted.unit.factor / given.unit.factor)]


def of_percent(wanted: Quantity, given: Quantity) -> list[Attempt]:
  """A percentage against a number: its value, or a sign that is let out.

  From 1 on, since 0.5 for 0.5% is as likely to be half.
  """
  if None not in (wanted.unit, given.unit):
    return []
  gold, answer = wanted.text, given.text
  factor = Fraction(1, 100) if wanted.unit else Fraction(100)
  found = [Attempt(gold, answer, factor)]
  value = parse_number(gold)
  if value is not None and abs(value) >= 1:
    found.append(Attempt(gold, answer))
  return found


def of_angle(wanted: Quantity, given: Quantity) -> list[Attempt]:
  """Degrees against radians, which are told by their name or by a pi."""
  if wanted.unit == ANGLE:
    return [Attempt(wanted.text, given.text, radians=True)]
  return [Attempt(given.text, wanted.text, radians=True)]


def settled(attempt: Attempt, rounded: bool) -> bool | None:
  """Whether the two are one number; None if that needs algebra."""
  if attempt.radians:
    # No number of degrees but 0 is a rational number of radians.
    has_pi = '\\pi' in attempt.gold + attempt.answer
    return None if has_pi else False
  if attempt.factor == 1:
    return same_number(attempt.answer, attempt.gold, rounded)
  gold, answer = parse_number(attempt.gold), parse_number(attempt.answer)
  if gold is None or answer is None:
    return None
  return gold * attempt.factor == answer
