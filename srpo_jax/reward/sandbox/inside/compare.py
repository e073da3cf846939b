# SPDX-License-Identifier: Apache-2.0
"""When an output or a returned value is the expected one.

All arguments are plain data: text, or what JSON and `codec` can rebuild.
"""

import math
import re
from typing import Any

FLOAT = re.compile(r'[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?')
# Characters of a number that may differ by a tolerance.
MAX_NUMBER = 5000


def close(value: float, expected: float, tolerance: float) -> bool:
  """|value - expected| <= tolerance x max(1, |expected|), both finite."""
  if not (math.isfinite(value) and math.isfinite(expected)):
    return False
  return abs(value - expected) <= tolerance * max(1.0, abs(expected))


def same_output(output: str, expected: str, tolerance: float = 0.0) -> bool:
  """Token by token, so white space and final newlines do not count.

  With a tolerance, tokens that are both decimal numbers may differ by it;
  all others are compared exactly. Nothing expected accepts nothing else.
  """
  ours, theirs = output.split(), expected.split()
  return len(ours) == len(theirs) and all(
    a == b or (tolerance > 0 and close_tokens(a, b, tolerance))
    for a, b in zip(ours, theirs, strict=True)
  )


def close_tokens(token: str, expected: str, tolerance: float) -> bool:
  """Whether both are decimal numbers and close."""
  for text in (expected, token):
    if len(text) > MAX_NUMBER or FLOAT.fullmatch(text) is None:
      return False
  return close(float(token), float(expected), tolerance)


def same_value(value: Any, expected: Any, tolerance: float = 0.0) -> bool:
  """Whether a returned value is the one that JSON writes as `expected`.

  A tuple is equal to the list of the same elements, at every depth, since
  JSON has no tuples; a Counter and its like are dicts. A bool equals no
  number; an int equals the float of the same value; NaN equals NaN. Where
  floats are involved and a tolerance is given, numbers may differ by it. Any
  other type is not equal.
  """
  todo = [(value, expected)]
  while todo:
    ours, theirs = todo.pop()
    if type(theirs) is list:
      if type(ours) not in (list, tuple) or len(ours) != len(theirs):
        return False
      todo += zip(ours, theirs, strict=True)
    elif type(theirs) is dict:
      if not isinstance(ours, dict) or ours.keys() != theirs.keys():
        return False
      todo += ((ours[key], theirs[key]) for key in theirs)
    elif not same_leaf(ours, theirs, tolerance):
      return False
  return True


def same_leaf(value: Any, expected: Any, tolerance: float) -> bool:
  """`same_value` for null, true, false, numbers and strings."""
  numbers = (int, float)
  if type(value) not in numbers or type(expected) not in numbers:
    return type(value) is type(expected) and value == expected
  if value == expected or (value != value and expected != expected):
    return True
  if tolerance <= 0 or float not in (type(value), type(expected)):
    return False
  try:
    return close(float(value), float(expected), tolerance)
  except OverflowError:
    return False
