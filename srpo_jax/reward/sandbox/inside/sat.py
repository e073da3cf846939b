# SPDX-License-Identifier: Apache-2.0
"""Puzzles of the kind 'sat' (P3): any value that the predicate accepts.

The program defines `sol`; the predicate runs here, on a value of exact
builtin types. The value must also have the type that the puzzle asks for:
a predicate that only compares can be content with much that it did not mean.
"""

import ast
from typing import Any

from . import modules
from .asserts import blame
from .remote import Remote, is_marked
from .tally import Tally, whose_fault

# Programs and predicates of P3 use these names without importing them.
TYPING = 'from typing import Any, Dict, List, Optional, Set, Tuple, Union\n'
LEAVES = {kind.__name__: kind for kind in (bool, int, float, str)}


def judge_sat(job: dict, remote: Remote, tally: Tally) -> None:
  """Asks the program for a value and the predicate about it."""
  tests = job['tests']
  tally.total = 1
  module = modules.create()
  prelude = TYPING + (tests.get('prelude') or '')
  with whose_fault('the puzzle'):
    modules.execute(prelude, module, 'prelude')
    modules.execute(tests['sat'], module, 'tests')
    sat = module.sat
    defaults = defaults_of(tests.get('sol_header') or 'def sol():')
    fits = reader_of(tests['ans_type'])
  try:
    remote.load(job['program'], prelude)
    value = solve(remote, defaults)
  except Exception as error:
    tally.fails(*blame(error))
    return
  if not fits(value):
    kind = type(value).__name__
    tally.fails('wrong', f'a {kind} is no {tests["ans_type"]}')
    return
  tally.judge(*accepts(sat, value))


def defaults_of(header: str) -> list:
  """The values that the header gives its parameters."""
  (function,) = ast.parse(f'{header} pass').body
  return [ast.literal_eval(each) for each in function.args.defaults]


def solve(remote: Remote, defaults: list) -> Any:
  """What `sol` returns; it may or may not give its parameters defaults."""
  try:
    return remote.call('sol', (), {})
  except TypeError as error:
    if not defaults or not is_marked(error):
      raise
  return remote.call('sol', tuple(defaults), {})


def accepts(sat: Any, value: Any) -> tuple[bool, str]:
  """Whether the predicate is exactly True, and why not."""
  try:
    answer = sat(value)
  except Exception as error:
    return False, f'sat raised {type(error).__name__}'
  return answer is True, 'sat is not True of the value'


def reader_of(text: str) -> Any:
  """A test for exact types from a text such as 'List[List[int]]'.

  Raises:
    ValueError: it names other types.
  """
  if text in LEAVES:
    return lambda value: type(value) is LEAVES[text]
  if text.startswith('List[') and text.endswith(']'):
    inside = reader_of(text[len('List[') : -1])
    return lambda value: type(value) is list and all(map(inside, value))
  raise ValueError(f'ans_type {text!r} is not one that puzzles have')
