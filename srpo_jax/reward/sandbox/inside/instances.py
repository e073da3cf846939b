# SPDX-License-Identifier: Apache-2.0
"""Instances of a prelude's classes (LeetCode's ListNode) as plain data."""

import types
from typing import Any


def own_classes(module: types.ModuleType) -> dict[str, type]:
  """Name -> class, of those whose instances are nothing but attributes."""
  classes = {
    value.__name__: value
    for value in vars(module).values()
    if isinstance(value, type) and value.__module__ == module.__name__
  }
  return {
    name: kind for name, kind in classes.items() if is_record(kind, classes)
  }


def is_record(kind: type, classes: dict[str, type]) -> bool:
  """Whether a class derives from nothing that keeps data elsewhere."""
  known = (object, *classes.values())
  return all(base in known for base in kind.__mro__)


def state_of(value: Any) -> dict[str, Any]:
  """The attributes of an instance, in its dictionary and in slots."""
  state = dict(getattr(value, '__dict__', {}))
  for kind in type(value).__mro__:
    for name, member in vars(kind).items():
      slot = isinstance(member, types.MemberDescriptorType)
      if slot and hasattr(value, name):
        state[name] = getattr(value, name)
  return state


def set_field(value: Any, name: str, field: Any) -> None:
  """Sets an attribute, but none that would hide a method of the class.

  A forged attribute `equals` would otherwise take the place of the prelude's
  own method, and decide what that decides.
  """
  if type(name) is not str or name.startswith('__'):
    raise ValueError('a bad attribute name')
  for kind in type(value).__mro__:
    member = vars(kind).get(name)
    if isinstance(member, types.MemberDescriptorType):
      break
    if callable(member) or hasattr(member, '__get__'):
      raise ValueError(f'attribute {name} hides a method')
  object.__setattr__(value, name, field)
