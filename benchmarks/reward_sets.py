# SPDX-License-Identifier: Apache-2.0
"""Asks a running reward service about real sets, and counts its verdicts.

`python benchmarks/reward_sets.py --address=http://127.0.0.1:8700 --data=FOLDER`
with the folder of mbpp.jsonl.xz, humaneval.jsonl.xz, p3_train.jsonl.xz and
gsm8k_test.jsonl.xz. Every set is its own answer key: the reference answers
should be correct, wrong ones should not be. Prints a line for each set, and a
line for each verdict that is not the expected one.
"""

import argparse
import ast
import collections
import json
import lzma
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

BATCH = 64
BUDGET_S = 600.0
Rows = list[dict]


def main() -> int:
  """Asks about the sets; 1 if a verdict is not as expected."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--address', required=True)
  parser.add_argument('--data', required=True, type=Path)
  parser.add_argument('--sets', nargs='*', default=list(SETS), choices=SETS)
  parser.add_argument('--every', type=int, default=1, help='take each Nth row')
  flags = parser.parse_args()
  good = True
  for name in flags.sets:
    file, make_items, expected = SETS[name]
    rows = read_rows(flags.data / f'{file}.jsonl.xz')[:: flags.every]
    good &= report(name, flags.address, make_items(rows), expected)
  return 0 if good else 1


def report(
  name: str, address: str, items: Rows, expected: tuple[str, ...]
) -> bool:
  """Asks about one set; whether all verdicts are as expected."""
  start = time.monotonic()
  results = list(ask(address, items))
  seconds = time.monotonic() - start
  counts = collections.Counter(each['status'] for each in results)
  odd = [each for each in results if each['status'] not in expected]
  right = len(items) - len(odd)
  shown = ', '.join(f'{status} {n}' for status, n in counts.most_common())
  print(
    f'{name}: {right} of {len(items)} as expected in {seconds:.1f} s; {shown}'
  )
  for each in odd:
    print(f'  {each["id"]}: {each["status"]}: {each["detail"]}')
  return not odd


def ask(address: str, items: Rows) -> Iterator[dict]:
  """The results of items, in batches."""
  with httpx.Client(base_url=address, timeout=BUDGET_S + 60) as client:
    for start in range(0, len(items), BATCH):
      body = {'items': items[start : start + BATCH], 'budget_s': BUDGET_S}
      reply = client.post('/v1/score', json=body)
      reply.raise_for_status()
      yield from reply.json()['results']


def read_rows(path: Path) -> Rows:
  """The rows of a file."""
  with lzma.open(path, 'rt') as lines:
    return [json.loads(line) for line in lines]


def make_item(row: dict, text: str, **fields: object) -> dict:
  """An item whose response has this text as the answer."""
  response = f'<think>known</think><answer>{text}</answer>'
  return {'id': row['id'], 'response': response, **fields}


def make_program(row: dict, program: str, tests: dict) -> dict:
  """An item of the domain code."""
  answer = f'\n````python\n{program}\n````\n'
  return make_item(row, answer, domain='code', tests=tests)


def mbpp(rows: Rows) -> Rows:
  """Reference programs against all asserts."""
  return [
    make_program(
      row,
      row['solution'],
      row['tests'] | {'entry_point': row['entry_point']},
    )
    for row in rows
  ]


def with_prelude(row: dict) -> dict:
  """The tests of HumanEval, with what the prompt defines beside the task.

  Three of its checks call a helper of the prompt. It has to be the prompt's
  own and never the program's, or a program could choose it.
  """
  entry = row['tests']['entry_point']
  body = ast.parse(row['prompt']).body
  helpers = [node for node in body if getattr(node, 'name', '') != entry]
  return row['tests'] | {'prelude': '\n'.join(map(ast.unparse, helpers))}


def humaneval(rows: Rows) -> Rows:
  """Reference programs against their check."""
  return [
    make_program(row, row['prompt'] + row['solution'], with_prelude(row))
    for row in rows
  ]


def humaneval_none(rows: Rows) -> Rows:
  """The same with the body `return None`."""
  return [
    make_program(row, row['prompt'] + '    return None', with_prelude(row))
    for row in rows
  ]


def p3(rows: Rows) -> Rows:
  """Reference solutions of puzzles."""
  return [make_program(row, row['solution'], row['tests']) for row in rows]


def gsm8k(rows: Rows) -> Rows:
  """Gold answers against themselves."""
  return [
    make_item(row, row['answer'], domain='math', answer=row['answer'])
    for row in rows
  ]


def gsm8k_shuffled(rows: Rows) -> Rows:
  """Gold answers against the next row's that differs."""
  answers = [row['answer'] for row in rows]
  items = []
  for number, row in enumerate(rows):
    others = (*answers[number:], *answers[:number])
    other = next(each for each in others if each != row['answer'])
    items.append(make_item(row, other, domain='math', answer=row['answer']))
  return items


WRONG = ('wrong', 'runtime_error')
# Name -> file, what makes items of its rows, the statuses to expect.
SETS: dict[str, tuple[str, Callable[[Rows], Rows], tuple[str, ...]]] = {
  'mbpp': ('mbpp', mbpp, ('correct',)),
  'humaneval': ('humaneval', humaneval, ('correct',)),
  'humaneval_none': ('humaneval', humaneval_none, WRONG),
  'p3': ('p3_train', p3, ('correct',)),
  'gsm8k': ('gsm8k_test', gsm8k, ('correct',)),
  'gsm8k_shuffled': ('gsm8k_test', gsm8k_shuffled, ('wrong',)),
}

if __name__ == '__main__':
  sys.exit(main())
