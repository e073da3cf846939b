# SPDX-License-Identifier: Apache-2.0
"""The items of reward_load.py, each with the statuses it may end with.

No two are alike, so that no cache has the answer.
"""

import dataclasses
import random
from collections.abc import Callable, Sequence

RIGHT, WRONG = ('correct',), ('wrong',)
LIMITS = {'cpu_s': 0.5, 'wall_s': 0.5, 'memory_mb': 128, 'processes': 16}


@dataclasses.dataclass(frozen=True)
class Case:
  """An item and how it may be judged."""

  name: str
  item: dict
  ends: Sequence[str]


Maker = Callable[[random.Random, int, bool], tuple[dict, str]]


def equivalence(rng: random.Random, number: int, right: bool):
  """A sum in another order."""
  a, b = rng.randint(2, 99), number + 100
  answer = f'\\boxed{{{b}x + {a}}}' if right else f'\\boxed{{{b}x - {a}}}'
  return {'domain': 'math', 'answer': f'{a} + {b}x'}, answer


def exact(rng: random.Random, number: int, right: bool):
  """A word."""
  word = f'w{number}'
  answer = word if right else f'{word}x'
  return {'domain': 'math', 'answer': word, 'match': 'exact'}, answer


def numeric(rng: random.Random, number: int, right: bool):
  """A fraction as a decimal."""
  gold = f'{number * 4 + 1}/4'
  answer = f'{number}.{25 if right else 24}'
  return {'domain': 'math', 'answer': gold, 'match': 'numeric'}, answer


def verifier(rng: random.Random, number: int, right: bool):
  """Two numbers with a given sum and product."""
  a, b = number + 2, rng.randint(2, 99)
  tests = {'type': 'verifier', 'entry': {'sum': a + b, 'product': a * b}}
  item = {'domain': 'math', 'match': 'verifier:pair', 'tests': tests}
  return item, f'{a},{b if right else b + 1}'


def code(program: str) -> str:
  """A program as an answer."""
  return f'```python\n{program}\n```'


def adder(number: int, right: bool) -> str:
  """A function that adds a number."""
  return code(f'def f(x):\n  return x {"+" if right else "-"} {number + 1}')


def call(rng: random.Random, number: int, right: bool):
  """Calls with expected values."""
  cases = [{'args': [n], 'expected': n + number + 1} for n in range(5)]
  tests = {'type': 'call', 'entry_point': 'f', 'cases': cases}
  return {'domain': 'code', 'tests': tests}, adder(number, right)


def asserts(rng: random.Random, number: int, right: bool):
  """Assertions, as MBPP has them."""
  lines = [f'assert f({n}) == {n + number + 1}' for n in range(3)]
  tests = {'type': 'assert', 'setup': '', 'asserts': lines, 'challenge': []}
  return {'domain': 'code', 'tests': tests}, adder(number, right)


def checked(rng: random.Random, number: int, right: bool):
  """A check function, as HumanEval has it."""
  text = f'def check(candidate):\n  assert candidate(2) == {number + 3}\n'
  tests = {'type': 'check', 'code': text, 'entry_point': 'f'}
  return {'domain': 'code', 'tests': tests}, adder(number, right)


def stdio(rng: random.Random, number: int, right: bool):
  """Input and output."""
  cases = [{'input': f'{n}\n', 'output': f'{n + number}\n'} for n in range(3)]
  program = f'print(int(input()) {"+" if right else "-"} {number})'
  tests = {'type': 'stdio', 'cases': cases}
  return {'domain': 'code', 'tests': tests}, code(program)


def sat(rng: random.Random, number: int, right: bool):
  """A predicate, as P3 has it."""
  text = f'def sat(x: int):\n  return x == {number}'
  tests = {'type': 'sat', 'sat': text, 'ans_type': 'int'}
  tests['sol_header'] = 'def sol():'
  program = f'def sol():\n  return {number if right else number + 1}'
  return {'domain': 'code', 'tests': tests}, code(program)


MAKERS: tuple[Maker, ...] = (
  *(equivalence, exact, numeric, verifier),
  *(call, asserts, checked, stdio, sat),
)

HOSTILE = {
  'endless loop': ('while True: pass', ('timeout',)),
  'sleep': ('import time; time.sleep(99)', ('timeout',)),
  'memory bomb': ("x = 'x' * (1 << 30)", ('memory', 'runtime_error')),
  'early exit': ('import os; os._exit(0)', ('runtime_error',)),
  'always equal': (
    'class E:\n  def __eq__(self, o): return True\ndef f(x): return E()',
    ('wrong', 'runtime_error'),
  ),
  'endless output': (
    "while True: print('x' * 999)",
    ('timeout', 'runtime_error'),
  ),
  'fork bomb': (
    'import os\nwhile True: os.fork()',
    ('timeout', 'runtime_error', 'memory'),
  ),
  'deep recursion': (
    'def f(x): return f(x)',
    ('runtime_error', 'wrong', 'memory'),
  ),
  'kill all': ('import os; os.kill(-1, 9)', ('runtime_error', 'wrong')),
}


def hostile(number: int) -> Case:
  """A program that cheats or attacks, or a tower of powers."""
  names = ['tower of powers', *HOSTILE]
  name = names[number % len(names)]
  if name == 'tower of powers':
    item = {
      'domain': 'math',
      'answer': f'{number}+x',
      'limits': {'wall_s': 0.5},
    }
    return Case(name, item | wire('9^{9^{9^9}}', number), ('timeout',))
  program, ends = HOSTILE[name]
  cases = [{'args': [n], 'expected': number} for n in range(3)]
  tests = {'type': 'call', 'entry_point': 'f', 'cases': cases}
  item = {'domain': 'code', 'tests': tests, 'limits': LIMITS}
  return Case(name, item | wire(code(program), number), ends)


def wire(answer: str, number: int) -> dict:
  """The fields that all items have."""
  response = f'<think>well</think><answer>{answer}</answer>'
  return {'id': f'{number}', 'response': response}


def make_cases(count: int, hostile_share: float, seed: int) -> list[Case]:
  """A shuffled workload; the same for the same arguments."""
  rng = random.Random(seed)
  bad = round(count * hostile_share)
  start = seed * 1_000_000
  cases = [hostile(start + number) for number in range(bad)]
  for number in range(start + bad, start + count):
    maker, right = rng.choice(MAKERS), rng.random() < 0.5
    item, answer = maker(rng, number, right)
    ends = RIGHT if right else WRONG
    cases.append(Case(maker.__name__, item | wire(answer, number), ends))
  rng.shuffle(cases)
  return cases
