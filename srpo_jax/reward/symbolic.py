# SPDX-License-Identifier: Apache-2.0
"""Equality of expressions by math-verify, and where it is not to be trusted.

Runs in workers alone: a short text such as 9^{9^{9^9}} can take for ever, and
whoever asks sets a limit on time. Reads what `notation.tidy` wrote.
"""

import functools
import logging
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

from srpo_jax.reward.notation import exact
from srpo_jax.reward.quantities import Attempt, places_of, rounds_to
from srpo_jax.reward.shapes import shape_of

# Where two expressions are tried: no symbol's value is simply related to
# another's. Digits to which a difference is worked out before it counts as 0.
PLACES = (Fraction(2718281, 1000003), Fraction(1414213, 3000017))
DIGITS = 120


def same_expression(attempt: Attempt, rounded: bool = False) -> bool:
  """Whether math-verify finds two texts equal, and rightly so.

  Args:
    attempt: the two texts, and what lies between their units.
    rounded: take a decimal as rounded to the digits that it has.
  """
  gold, answer = scaled(attempt), attempt.answer
  if rounded and attempt.factor == 1 and not attempt.radians:
    for text, other in ((gold, answer), (answer, gold)):
      if places_of(text) is not None:
        return rounds_from(other, text)
  wanted, given = read(gold), read(answer)
  if wanted is None or given is None:
    return False
  if not states_truth(given) or not states_value(wanted, given):
    return False
  sets = as_sets(wanted, given)
  if sets is not None:
    return sets[0].symmetric_difference(sets[1]).is_empty is True
  return verify(wanted, given) and agree(wanted, given)


def as_sets(wanted: Any, given: Any) -> tuple[Any, Any] | None:
  """Both as sets of numbers, if one is an inequality in one variable.

  `x<3`, `2x<6` and (-oo, 3) are one set. None where it is none of that, and
  for inequalities in different variables.
  """
  sympy = libraries().sympy
  both = [wanted, given]
  relations = [each for each in both if is_inequality(each)]
  others = [each for each in both if not is_inequality(each)]
  symbols = {symbol for each in relations for symbol in each.free_symbols}
  if not relations or len(symbols) != 1:
    return None
  if not all(isinstance(each, sympy.Set) for each in others):
    return None
  try:
    return tuple(
      each.as_set() if is_inequality(each) else each for each in both
    )
  except NotImplementedError:
    return None


def is_inequality(parsed: Any) -> bool:
  """True for `x<3`, `1<x<3` and `x \\ne 3`, false for equations."""
  sympy = libraries().sympy
  parts = parsed.args if isinstance(parsed, sympy.And) else (parsed,)
  return all(
    isinstance(part, sympy.core.relational.Relational)
    and not isinstance(part, sympy.Eq)
    for part in parts
  )


def scaled(attempt: Attempt) -> str:
  """The gold in the answer's unit."""
  if attempt.radians:
    return rf'\frac{{\pi}}{{180}} \cdot ({attempt.gold})'
  top, bottom = attempt.factor.as_integer_ratio()
  if top == bottom:
    return attempt.gold
  return rf'\frac{{{top}}}{{{bottom}}} \cdot ({attempt.gold})'


def rounds_from(other: str, text: str) -> bool:
  """True if a decimal is what the value of an expression rounds to."""
  value = read(other)
  if value is None or not getattr(value, 'is_real', False):
    return False
  number = value.evalf(len(text) + 20)
  return number.is_Float and rounds_to(Fraction(str(number)), text)


def fault_of_gold(text: str) -> str:
  """'' if a text can be read and compared, else what is wrong with it."""
  parsed = read(text)
  # A gold equals itself at a glance. Against any other answer it is worked
  # out, and one that takes for ever must be found now, not with a response.
  if parsed is not None:
    verify(parsed, read('1'))
    if verify(parsed, parsed):
      return ''
  return f'the gold answer {text[:200]!r} cannot be read as mathematics'


@functools.lru_cache(maxsize=1024)
def read(text: str) -> Any:
  """math-verify's reading of a text; None if it has none.

  Units and case are left as they stand: to its own settings `2ab` is 2 of a
  unit ab, and R is r. Its parser raises what it likes on what it cannot read.
  """
  shape = shape_of(text)
  try:
    if shape.kind == 'relations':
      return union_or_intersection(shape.joint, [p.text for p in shape.parts])
    return read_expression(exact(text))
  except MemoryError:
    raise
  except Exception:
    return None


def read_expression(text: str) -> Any:
  """The reading of one expression, with i as the imaginary unit.

  Raises:
    Exception: of any kind, where it is no expression.
  """
  library = libraries()
  parsed = library.latex2sympy(
    library.normalize_latex(text, library.normalization),
    is_real=True,
    convert_degrees=False,
    normalization_config=None,
    conversion_config=library.conversion,
  )
  sympy, i = library.sympy, library.sympy.Symbol('i', real=True)
  if i in parsed.free_symbols:
    parsed = parsed.xreplace({i: sympy.I})
  if parsed.has(sympy.nan, sympy.zoo):
    raise ValueError('undefined')
  return parsed


def union_or_intersection(joint: str, texts: list[str]) -> Any:
  """`x<1 or x>2` as a set."""
  sympy = libraries().sympy
  sets = [read_expression(exact(text)).as_set() for text in texts]
  return (sympy.Union if joint == 'or' else sympy.Intersection)(*sets)


def verify(wanted: Any, given: Any) -> bool:
  """math-verify's comparison; an inequality may stand for its interval."""
  return libraries().verify(
    wanted, given, allow_set_relation_comp=True, timeout_seconds=None
  )


def states_truth(parsed: Any) -> bool:
  """False if an answer says that 4 = 5, whatever it ends with."""
  return all(
    equation.free_symbols or verify(equation.lhs, equation.rhs)
    for equation in equations(parsed)
  )


def states_value(wanted: Any, given: Any) -> bool:
  """False if one is an equation, and more than a name for the other.

  `x=5` and `a+b=5` name 5. `2x=10` is yet to be solved, and the line `x+y=5`
  is no number.
  """
  if equations(wanted) and not equations(given):
    return not equations(wanted)[0].lhs.is_Add
  if equations(given) and not equations(wanted):
    name = equations(given)[0].lhs
    single = len(name.free_symbols) == 1 and not name.is_Symbol
    return not single or (name.is_Function and name.func.__name__ != 'Abs')
  return True


def equations(parsed: Any) -> list[Any]:
  """The equations of a chain, as written; none for what is no equation."""
  sympy = libraries().sympy
  parts = getattr(parsed, '_unsorted_args', [parsed])
  return parts if all(isinstance(part, sympy.Eq) for part in parts) else []


def agree(wanted: Any, given: Any) -> bool:
  """False if two expressions differ where they are worked out.

  math-verify takes 10^{-20} and 10^{-21} for equal: it compares 15 digits
  after the point. What has no value (a set, an undefined function) agrees.
  """
  sympy = libraries().sympy
  if isinstance(wanted, sympy.MatrixBase):
    same = isinstance(given, sympy.MatrixBase) and wanted.shape == given.shape
    return not same or all(map(agree, wanted.flat(), given.flat()))
  if equations(given) and not equations(wanted):
    given = equations(given)[-1].rhs
  if equations(wanted) and not equations(given):
    wanted = equations(wanted)[-1].rhs
  if not all(isinstance(each, sympy.Expr) for each in (wanted, given)):
    return True
  difference = wanted - given
  symbols = sorted(difference.free_symbols, key=str)
  return not any(
    is_clearly_not_zero(
      difference.xreplace(
        {s: sympy.Rational(place + n) for n, s in enumerate(symbols)}
      )
    )
    for place in PLACES
  )


def is_clearly_not_zero(expression: Any) -> bool:
  """True if digits of the value are known and any is not 0."""
  value = expression.evalf(15, maxn=DIGITS)
  # One bit of precision is sympy's way to say that it saw only zeros.
  return any(
    part.is_Float and part._prec > 1 and part != 0
    for part in value.as_real_imag()
  )


@functools.lru_cache(maxsize=1)
def libraries() -> SimpleNamespace:
  """math-verify and its parts, imported when first used: in workers alone.

  Its own limits are alarms, which fail in threads and leak; the worker's
  owner has a harder one, so they are off, and so is the warning about that.
  """
  import latex2sympy2_extended as reader
  import math_verify
  import sympy
  from latex2sympy2_extended.latex2sympy2 import ConversionConfig

  logging.getLogger('math_verify').setLevel(logging.ERROR)
  return SimpleNamespace(
    sympy=sympy,
    verify=math_verify.verify,
    latex2sympy=reader.latex2sympy,
    normalize_latex=reader.normalize_latex,
    normalization=reader.NormalizationConfig(
      basic_latex=True, units=False, malformed_operators=True, boxed='none'
    ),
    conversion=ConversionConfig(lowercase_symbols=False),
  )
