# SPDX-License-Identifier: Apache-2.0
"""Units of measurement, money, percents and degrees: apart from the number.

Reads what `notation.tidy` wrote. A unit counts only where both sides have
one: the question usually names it, so `36` is right for `36 cm`, but `36 m`
is not.
"""

import collections
import dataclasses
import functools
import re
from fractions import Fraction

from srpo_jax.reward.notation import TRIGONOMETRY


@dataclasses.dataclass(frozen=True)
class Unit:
  """A product of powers of base units.

  Attributes:
    factor: how many of the base unit it is.
    powers: (base, exponent), sorted.
  """

  factor: Fraction
  powers: tuple[tuple[str, int], ...]


PERCENT = Unit(Fraction(1, 100), ())
ANGLE = Unit(Fraction(1), (('degree', 1),))
RADIAN = Unit(Fraction(1), (('radian', 1),))

# name -> (base, how many of it); plurals go without saying.
KNOWN = {
  name: (base, Fraction(size))
  for base, sizes in {
    'metre': {
      'mm millimeter millimetre': '1/1000',
      'cm centimeter centimetre': '1/100',
      'dm': '1/10',
      'm meter metre': '1',
      'km kilometer kilometre': '1000',
    },
    'inch': {
      'in inch inches': '1',
      'ft foot feet': '12',
      'yd yard': '36',
      'mi mile': '63360',
    },
    'second': {
      'ms millisecond': '1/1000',
      's sec second': '1',
      'min minute': '60',
      'h hr hour': '3600',
      'day': '86400',
      'week': '604800',
    },
    'month': {'month': '1', 'yr year': '12'},
    'gram': {
      'mg milligram': '1/1000',
      'g gm gram': '1',
      'kg kilogram': '1000',
    },
    'pound': {'oz ounce': '1/16', 'lb pound': '1'},
    'litre': {
      'ml mL milliliter millilitre': '1/1000',
      'l L liter litre': '1',
    },
    'dollar': {'cent': '1/100', r'dollar buck USD \$ $': '1'},
    'euro': {r'euro € \euro': '1'},
    'sterling': {r'£ \pounds': '1'},
    'yen': {'yen ¥': '1'},
    'degree': {'deg degree': '1'},
    'radian': {'rad radian': '1'},
  }.items()
  for names, size in sizes.items()
  for name in names.split()
}
COMPOUND = {
  'mph': 'mi/h',
  'kph': 'km/h',
  'kmh': 'km/h',
  'kmph': 'km/h',
}
# Words that say something about a number and are no name of what it counts.
NO_UNIT = frozenset(
  (
    *('or', 'and', 'not', 'is', 'are', 'if', 'when', 'then', 'but', 'maybe'),
    *('either', 'neither', 'nor', 'to', 'than', 'of', 'for', 'mod', 'from'),
    *('so', 'where', 'with', 'except', 'i', 'we', 'it', 'no', 'yes', 'plus'),
    *('minus', 'times', 'more', 'less', 'least', 'most', 'about', 'pi'),
    *('dozen', 'half', 'double', 'twice'),
  )
)


@functools.lru_cache(maxsize=4096)
def parse_unit(text: str) -> Unit | None:
  """The unit that a text names; unknown words name themselves.

  >>> parse_unit('km/h') == parse_unit('kilometers per hour')
  True
  >>> parse_unit('square feet') == parse_unit('ft^2')
  True
  >>> parse_unit('apples'), parse_unit('or maybe 6')
  (Unit(factor=Fraction(1, 1), powers=(('apple', 1),)), None)
  """
  text = COMPOUND.get(text.strip(), text)
  text = re.sub(r'\bper\b', '/', re.sub(r'\\cdot|\*|\\text|[{}~]', ' ', text))
  text = re.sub(r'\s*\^\s*(-?[0-9])', r'^\1', text)
  text = re.sub(r'\b(?:square|sq)d?\.?\s+([A-Za-z]+)', r'\1^2', text)
  text = re.sub(r'\b(?:cubic|cu)\.?\s+([A-Za-z]+)', r'\1^3', text)
  factor, powers = Fraction(1), collections.Counter()
  for number, side in enumerate(text.split('/')):
    words = side.split()
    if not words and number:
      return None
    for word in words:
      match = re.fullmatch(r'([^\W\d_]+|[$€£¥])\.?(?:\^(-?[1-9]))?', word)
      if match is None or match[1].casefold() in NO_UNIT:
        return None
      base, size = base_unit(match[1])
      if len(base) == 1:
        return None  # `5\text{x}` is five x.
      power = int(match[2] or 1) * (-1 if number else 1)
      factor *= size**power
      powers[base] += power
  return Unit(factor, tuple(sorted(powers.items()))) if powers else None


def base_unit(word: str) -> tuple[str, Fraction]:
  """The base unit of a word, and how many of it the word is."""
  for name in (word, word.casefold(), singular(word.casefold())):
    if name in KNOWN:
      return KNOWN[name]
  return singular(word.casefold()), Fraction(1)


def singular(word: str) -> str:
  """`apples` as `apple`."""
  return word[:-1] if len(word) > 3 and word.endswith('s') else word


@dataclasses.dataclass(frozen=True)
class Quantity:
  """What was measured, and in what; no unit is None."""

  text: str
  unit: Unit | None


CURRENCY = re.compile(r'(-?)\s*(\\\$|\$|€|£|¥|\\euro|\\pounds)\s*(-?[^$€£¥]*)')


def without_currency(text: str) -> str:
  """`-\\$36` as `-36`."""
  match = CURRENCY.fullmatch(text)
  return match[1] + match[3] if match else text


IN_TEXT = re.compile(
  r'(?:\s*(?:/|\\cdot)?\s*\\text\s*\{[^{}]*\}(?:\s*\^\s*\{?-?[0-9]\}?)?)+$'
)
# After a number: words of two letters or more; a single letter is a variable.
IN_WORDS = re.compile(
  r'(?<=[0-9})])(?:\s+(?:[^\W\d_]{2,}\.?\s+){0,3}[^\W\d_]{2,}'
  r'|\s*(?:[mck]m|ft|in|kg|mg|lbs?|oz|mL|ml|mph|kmh|cents?|hours?|min|m/s|km/h))'
  r'(?:/[^\W\d_]+)?(?:\^\{?[0-9]\}?)?$'
)
PERCENT_SIGN = re.compile(
  r'\s*(?:\\?%|(?:\\text\{\s*|\s)(?:percent|pct)\.?\s*\}?)$'
)
DEGREE_SIGN = re.compile(r'\s*\^\s*\\circ\s*(?:\\text\{\s*)?([CF])?\s*\}?\s*$')
MINUTES = re.compile(r"([0-9]+)\s*\^\s*\\circ\s*([0-9]{1,2})\s*(?:'|\\prime)")


def split_unit(text: str) -> Quantity:
  """The unit at the end, or a currency in front, apart from the rest.

  >>> split_unit('5 apples').text, split_unit('50\\\\%').unit == PERCENT
  ('5', True)
  >>> split_unit('2ab'), split_unit('5 or six').unit
  (Quantity(text='2ab', unit=None), None)
  """
  if match := CURRENCY.fullmatch(text):
    inner = split_unit(match[1] + match[3])
    per = inner.unit or Unit(Fraction(1), ())
    name, size = KNOWN[match[2]]
    powers = tuple(sorted((*per.powers, (name, 1))))
    return Quantity(inner.text, Unit(per.factor * size, powers))
  if match := MINUTES.fullmatch(text):
    return Quantity(rf'{match[1]}\frac{{{match[2]}}}{{60}}', ANGLE)
  if match := PERCENT_SIGN.search(text):
    return Quantity(text[: match.start()].strip(), PERCENT)
  if (match := DEGREE_SIGN.search(text)) and not TRIGONOMETRY.search(text):
    scale = f'degree {match[1]}'.strip() if match[1] else 'degree'
    return Quantity(text[: match.start()], Unit(Fraction(1), ((scale, 1),)))
  for pattern in (IN_TEXT, IN_WORDS):
    match = pattern.search(text)
    unit = parse_unit(match[0]) if match else None
    rest = text[: match.start()].strip() if match else ''
    if unit is not None and rest:
      return Quantity(rest, unit)
  return Quantity(text, None)
