# SPDX-License-Identifier: Apache-2.0
"""Tests that are a function of the candidate: the kind 'check' (HumanEval)."""

import ast
import builtins
from collections.abc import Callable

from .asserts import (
  Suite,
  blame,
  free_names,
  import_modules,
  load,
  run_setup,
  unknown_names,
)
from .remote import Handle, Remote
from .tally import Invalid, Tally, whose_fault


def judge_check(job: dict, remote: Remote, tally: Tally) -> None:
  """Runs `check(candidate)`; every assert that runs is one test."""
  tests = job['tests']
  entry = tests['entry_point']
  suite = Suite([tests['code']], tests.get('prelude') or '')
  tally.total = suite.counts()[0]
  if not tally.total:
    raise Invalid('the tests assert nothing')
  names = names_to_take(tests['code'], entry, suite)
  if not load(job, suite, remote, tally, names):
    return
  try:
    candidate = remote.refer(entry)
  except Exception as error:
    tally.ends(*blame(error))
    return
  if not run_setup(suite, remote, tally):
    return
  with whose_fault('the test code'):
    check = suite.module.check
  suite.tally = tally
  run_check(suite, check, candidate, remote)


def names_to_take(code: str, entry: str, suite: Suite) -> set[str]:
  """Names of the entry point that the tests use by themselves.

  No other name may be the program's: HumanEval/32 checks a root by `poly`,
  which the prompt defines, and a program could define a `poly` that is 0.
  """
  with whose_fault('the test code'):
    parsed = ast.walk(ast.parse(entry, mode='eval'))
    own = {node.id for node in parsed if isinstance(node, ast.Name)}
    import_modules(code, suite.module)
    unknown = unknown_names(code, suite.module) - own
    names = free_names(code) - set(vars(builtins))
  if unknown:
    raise Invalid(
      f'the tests use {min(unknown)}, which neither they nor tests.prelude'
      ' define'
    )
  return own & names


def run_check(
  suite: Suite, check: Callable, candidate: Handle, remote: Remote
) -> None:
  """Calls check, which records what it asserts."""
  tally = suite.tally
  try:
    check(candidate)
  except Exception as error:
    if not remote.calls:
      raise Invalid(f'check raised {blame(error)[1]}') from error
    tally.fails(*blame(error))
  else:
    if remote.calls and not tally.run and suite.is_right_if_silent(0):
      tally.passes()
    # Asserts of branches that were not taken are not missing.
    tally.total = tally.run
  if not remote.calls:
    raise Invalid('check never calls the program')
