# SPDX-License-Identifier: Apache-2.0
"""Items of the domain 'code': from a response to a job for a sandbox.

Nothing of a submission runs here. `plan_program` takes the program out of the
response and puts it beside the tests; a keeper's host judges it, and
`outcome_of` reads its report.
"""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

from srpo_jax.reward.extract import Tags, answer_section
from srpo_jax.reward.outcome import Outcome

LIMITS = {
  'cpu_s': 10.0,
  'wall_s': 10.0,
  'case_s': None,
  'memory_mb': 512,
  'processes': 32,
  'file_mb': 16,
  'output_kb': 1024,
  'open_files': 64,
}
REPORTED = (
  *('correct', 'wrong', 'timeout', 'memory', 'runtime_error'),
  *('sandbox_error', 'invalid_task', 'unavailable'),
)
# First words after a fence that can hold a program.
LANGUAGES = ('', 'python', 'python3', 'py', 'py3')
OPENING = re.compile(r'([ \t]*)(`{3,}|~{3,})([^\n]*)')


@dataclasses.dataclass(frozen=True)
class AskProgram:
  """A job for a sandbox.

  Attributes:
    job: as `Pool.run` takes it.
    hard_limit_s: wall seconds after which the sandbox itself is lost; the
      limits of the job end a program long before.
  """

  job: tuple[str, dict]
  hard_limit_s: float


def plan_program(item: dict) -> Outcome | AskProgram:
  """What to ask a sandbox, or the outcome where there is nothing to ask.

  Args:
    item: as `items.check_item` has passed it.
  """
  tests = item.get('tests') or {}
  fault = fault_of_tests(tests)
  if fault:
    return Outcome('invalid_task', fault)
  tags = Tags(**(item.get('tags') or {}))
  opened = item.get('opened_think', False)
  section = answer_section(item['response'], tags, opened)
  program = None if section is None else last_program(section)
  if program is None:
    return Outcome('no_answer', 'no complete block of code in the answer')
  limits = resolve_limits(item.get('limits') or {})
  job = {'program': program, 'tests': tests, 'limits': limits}
  patience = 4 * max(limits['cpu_s'], limits['wall_s']) + 10
  return AskProgram(('program', job), patience)


def last_program(text: str) -> str | None:
  """The last fenced block of a text: a program.

  As in Markdown, a fence is three or more backticks or tildes on a line of
  their own, and ends at a line with at least as many of the same. Blocks in
  another language than Python are passed over. A fence that never ends is a
  program cut short: then there is none, as there is for a blank block.
  """
  program = None
  lines = iter(text.replace('\r\n', '\n').split('\n'))
  for line in lines:
    match = OPENING.fullmatch(line)
    if match is None or '`' in match[3]:
      continue
    block = inside_of(lines, match[2], len(match[1]))
    if block is None:
      return None
    language = (match[3].split() or [''])[0].lower()
    if language in LANGUAGES:
      program = block
  return program if program and program.strip() else None


def inside_of(lines: Any, fence: str, indent: int) -> str | None:
  """The lines up to the closing fence, without its indent; None: no end."""
  closing = re.compile(rf'[ \t]*{fence[0]}{{{len(fence)},}}[ \t]*')
  inside = []
  for line in lines:
    if closing.fullmatch(line):
      return '\n'.join([*inside, ''])
    blank = len(line) - len(line.lstrip(' \t'))
    inside.append(line[min(indent, blank) :])
  return None


def resolve_limits(asked: dict) -> dict:
  """All limits; who names the wall limit alone means the CPU one too."""
  given = {name: value for name, value in asked.items() if value is not None}
  if 'wall_s' in given:
    given = {'cpu_s': given['wall_s'], **given}
  return LIMITS | given


def fault_of_tests(tests: dict) -> str:
  """Why tests cannot be run, '' if they can be tried."""
  kind = tests.get('type')
  if not isinstance(kind, str) or kind not in SHAPES:
    return f'tests.type must be one of {", ".join(sorted(SHAPES))}'
  for name, (fits, wanted) in SHAPES[kind].items():
    if not fits(tests.get(name)):
      return f'tests.{name} must be {wanted}'
  return ''


def is_text(value: Any) -> bool:
  """A string with something in it."""
  return isinstance(value, str) and bool(value.strip())


def is_optional_text(value: Any) -> bool:
  """A string, or nothing."""
  return value is None or isinstance(value, str)


def is_texts(value: Any) -> bool:
  """A list of strings."""
  return isinstance(value, list) and all(isinstance(v, str) for v in value)


def is_tolerance(value: Any) -> bool:
  """Absent, or a number from 0."""
  number = isinstance(value, int | float) and not isinstance(value, bool)
  return value is None or (number and value >= 0)


def is_cases(check: Callable[[dict], bool]) -> Callable[[Any], bool]:
  """A function that tells lists of at least one such case."""
  return lambda value: (
    isinstance(value, list)
    and bool(value)
    and all(isinstance(case, dict) and check(case) for case in value)
  )


def is_call(case: dict) -> bool:
  """Arguments and an expected value."""
  kwargs = case.get('kwargs')
  return (
    isinstance(case.get('args'), list)
    and (kwargs is None or isinstance(kwargs, dict))
    and 'expected' in case
  )


def is_pair(case: dict) -> bool:
  """Input and output."""
  return all(isinstance(case.get(name), str) for name in ('input', 'output'))


# For each kind of tests: field -> (whether its value fits, what would).
TEXT = (is_text, 'a string that is not blank')
OPTIONAL_TEXT = (is_optional_text, 'a string, or absent')
TEXTS = (lambda v: is_texts(v) and bool(v), 'an array of strings, not empty')
OPTIONAL_TEXTS = (lambda v: v is None or is_texts(v), 'an array of strings')
TOLERANCE = (is_tolerance, 'a number from 0, or absent')
CALLS = (is_cases(is_call), 'an array of {"args": [...], "expected": ...}')
PAIRS = (is_cases(is_pair), 'an array of {"input": "...", "output": "..."}')
FLAG = (lambda v: v is None or isinstance(v, bool), 'true, false or absent')
SHAPES = {
  'assert': {
    'asserts': TEXTS,
    'setup': OPTIONAL_TEXT,
    'challenge': OPTIONAL_TEXTS,
    'entry_point': OPTIONAL_TEXT,
    'prelude': OPTIONAL_TEXT,
    'in_place': FLAG,
  },
  'check': {
    'code': TEXT,
    'entry_point': TEXT,
    'prelude': OPTIONAL_TEXT,
    'in_place': FLAG,
  },
  'sat': {
    'sat': TEXT,
    'ans_type': TEXT,
    'sol_header': OPTIONAL_TEXT,
    'prelude': OPTIONAL_TEXT,
  },
  'stdio': {'cases': PAIRS, 'tolerance': TOLERANCE},
  'call': {
    'entry_point': TEXT,
    'cases': CALLS,
    'prelude': OPTIONAL_TEXT,
    'tolerance': TOLERANCE,
  },
}


def outcome_of(report: dict) -> Outcome:
  """The outcome that a host's report stands for."""
  status, passed, total = (report[k] for k in ('status', 'passed', 'total'))
  seconds = report['seconds']
  if status not in REPORTED or (
    status == 'correct' and not 0 < passed == total
  ):
    return Outcome('sandbox_error', f'a report that cannot be: {report}'[:300])
  outcome = Outcome(status, report['detail'], seconds)
  if outcome.accuracy is None:
    return outcome
  share = passed / total if total else 0.0
  return dataclasses.replace(outcome, passed_share=share)
