# SPDX-License-Identifier: Apache-2.0
"""Values of a config.json, each of the kind that it must be."""

import math


class Unsupported(Exception):
  """What would change the mathematics and is not implemented.

  Attributes:
    name: of the entry.
    value: that it has.
  """

  def __init__(self, name: str, value: object):
    super().__init__(name, value)
    self.name, self.value = name, value


def integer(raw: dict, name: str, least: int = 1) -> int:
  """The entry, if it is an integer of at least `least`.

  Raises:
    ValueError: it is not. KeyError: it is missing.
  """
  value = raw[name]
  if type(value) is not int or value < least:
    raise ValueError(
      f'{name} = {value!r}, but it must be an integer, at least {least}'
    )
  return value


def positive(raw: dict, name: str) -> float:
  """The entry as a float, if it is a finite number above 0.

  Raises:
    ValueError: it is not. KeyError: it is missing.
  """
  value = raw[name]
  ok = isinstance(value, int | float) and not isinstance(value, bool)
  if not ok or not 0 < value < math.inf:
    raise ValueError(f'{name} = {value!r}, but it must be a number above 0')
  return float(value)


def switch(raw: dict, name: str) -> bool:
  """The entry, if it is true or false.

  Raises:
    ValueError: it is not. KeyError: it is missing.
  """
  value = raw[name]
  if not isinstance(value, bool):
    raise ValueError(f'{name} = {value!r}, but it must be true or false')
  return value


def inner(raw: dict, name: str) -> dict:
  """The entry, if it is a dictionary; an empty one where there is none.

  Raises:
    ValueError: it is something else.
  """
  value = raw.get(name)
  if not isinstance(value, dict | None):
    raise ValueError(f'{name} = {value!r}, but it must be a dictionary')
  return value or {}
