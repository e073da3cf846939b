# SPDX-License-Identifier: Apache-2.0
"""Tests that are data: 'call' (arguments, value), 'stdio' (input, output)."""

import signal
from typing import Any

from . import modules
from .asserts import blame
from .compare import same_output, same_value
from .instances import own_classes
from .remote import Remote
from .stdio import OUT_OF_MEMORY
from .tally import Tally, whose_fault


def judge_calls(job: dict, remote: Remote, tally: Tally) -> None:
  """Kind 'call': the entry point is looked up anew for every case.

  So `Solution().f` is a method of a fresh object each time.
  """
  tests = job['tests']
  tally.total = len(tests['cases'])
  module, prelude = modules.create(), tests.get('prelude') or ''
  with whose_fault('the prelude'):
    modules.execute(prelude, module, 'prelude')
    classes = own_classes(module)
  try:
    remote.load(job['program'], prelude, classes)
  except Exception as error:
    tally.ends(*blame(error))
    return
  for number, case in enumerate(tests['cases'], 1):
    judge_call(case, number, tests, remote, tally)


def judge_call(
  case: dict, number: int, tests: dict, remote: Remote, tally: Tally
) -> None:
  """One call and its value."""
  args, kwargs = tuple(case['args']), case.get('kwargs') or {}
  try:
    value = remote.call(tests['entry_point'], args, kwargs)
  except Exception as error:
    status, detail = blame(error)
    tally.fails(status, f'case {number}: {detail}')
    return
  if value is None and args and tests.get('in_place') is True:
    value = args[0]
  same = same_value(value, case['expected'], tests.get('tolerance') or 0.0)
  tally.judge(same, f'case {number}: another value')


def judge_stdio(job: dict, remote: Remote, tally: Tally) -> None:
  """Kind 'stdio': each case runs the program once, as a script."""
  tests = job['tests']
  tally.total = len(tests['cases'])
  try:
    remote.ask('prepare', job['program'])
  except Exception as error:
    tally.ends(*blame(error))
    return
  for number, case in enumerate(tests['cases'], 1):
    try:
      fault, output = outcome_of(remote.ask('run', case['input']))
    except Exception as error:
      fault, output = blame(error), ''
    tolerance = tests.get('tolerance') or 0.0
    if fault:
      tally.fails(fault[0], f'case {number}: {fault[1]}')
    else:
      same = same_output(output, case['output'], tolerance)
      tally.judge(same, f'case {number}: another output')


def outcome_of(run: Any) -> tuple[tuple[str, str] | None, str]:
  """(status and detail of a run that failed or None, its output)."""
  match run:
    case {'output': bytes() as output, 'status': int() as status}:
      return fault_of(status), output.decode(errors='replace')
    case {'output': bytes(), 'status': None}:
      return ('runtime_error', 'too much output'), ''
  return ('runtime_error', 'a malformed reply'), ''


def fault_of(status: int) -> tuple[str, str] | None:
  """What an exit status says; None for 0."""
  if status == OUT_OF_MEMORY:
    return 'memory', 'MemoryError'
  if status == -signal.SIGXCPU:
    return 'timeout', 'over the CPU seconds of one process'
  if status < 0:
    return 'runtime_error', f'ended by signal {-status}'
  return ('runtime_error', f'exit status {status}') if status else None
