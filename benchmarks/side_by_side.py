# SPDX-License-Identifier: Apache-2.0
"""The same work in several engines, in turns, in one run.

  python benchmarks/side_by_side.py --shape=30m --case=long --rounds=5 \\
    --torch=DIR/bin/python --tunix=DIR/bin/python --vllm=DIR/bin/python

Each engine works in a process and an environment of its own, all held to the
same cores (benchmarks/peers/README.md says how they are made); those not named
are left out. All are loaded and warmed up first; then a round is one piece of
work by each, one after the other while the rest wait. Writes
docs/results/speed.csv and the table of docs/speed.md; --dry_run leaves both.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import speed_table
import work_orders
from peers.protocol import Order

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / 'benchmarks' / 'peers'
CSV = ROOT / 'docs' / 'results' / 'speed.csv'
PAGE = ROOT / 'docs' / 'speed.md'


@dataclasses.dataclass(frozen=True)
class Engine:
  """Attributes:
  script: of benchmarks/peers.
  environment: whose Python runs it; 'ours' for this one.
  cases: what it can do.
  """

  script: str
  environment: str
  cases: tuple[str, ...]


ROLLOUTS = ('long', 'forced', 'equal')
ENGINES = {
  'srpo_jax': Engine('ours.py', 'ours', work_orders.CASES),
  # Its sampler knows no limit of a single row.
  'tunix': Engine(
    'tunix_peer.py', 'tunix', ('long', 'equal', 'update', 'step')
  ),
  'transformers': Engine('transformers_peer.py', 'torch', ROLLOUTS),
  'trl': Engine('trl_peer.py', 'torch', ('update', 'step')),
  'vllm': Engine('vllm_peer.py', 'vllm', ROLLOUTS),
}


class Worker:
  """An engine at work: one piece of it for each `work`."""

  def __init__(
    self,
    name: str,
    python: str,
    order: Order,
    log: Path,
    stack: contextlib.ExitStack,
  ):
    self.name, self._log = name, log
    command = [python, str(PEERS / ENGINES[name].script)]
    stderr = stack.enter_context(log.open('w'))
    self._process = stack.enter_context(
      subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env={**os.environ, 'PYTHONPATH': self._path(name)},
      )
    )
    stack.callback(self._process.stdin.close)
    self.about = self._ask(json.dumps(dataclasses.asdict(order)))

  def _path(self, name: str) -> str:
    """Ours is this checkout; an environment of another's is its own."""
    return str(ROOT) if name == 'srpo_jax' else ''

  def work(self) -> dict:
    """Does it once more; what it took."""
    return self._ask('go')

  def _ask(self, line: str) -> dict:
    try:
      self._process.stdin.write(f'{line}\n')
      self._process.stdin.flush()
      answer = self._process.stdout.readline()
    except BrokenPipeError:
      answer = ''
    if answer:
      return json.loads(answer)
    self._process.wait()
    lines = self._log.read_text().splitlines()
    raise SystemExit(
      '\n'.join([f'{self.name} ended; {self._log}:', *lines[-9:]])
    )


def compare(
  case: str, shape: str, flags: argparse.Namespace, pythons: dict[str, str]
) -> list[dict]:
  """The rows of one case."""
  folder = flags.work / shape
  size = work_orders.Size(
    prompts=flags.prompts,
    longest=flags.longest,
    equal=flags.equal,
    mean=flags.mean,
    micro_rows=flags.micro_rows,
  )
  config = work_orders.write_folder(shape, folder)
  order = work_orders.make_order(
    case, folder, config.vocab_size, size, flags.threads, flags.seed
  )
  with contextlib.ExitStack() as stack:
    workers = []
    for name, python in pythons.items():
      if case in ENGINES[name].cases:
        log = flags.work / f'{name}.log'
        workers.append(Worker(name, python, order, log, stack))
        say(f'{case} {shape}: {name} {workers[-1].about}')
    reports = in_turns(workers, flags.rounds)
  about = {worker.name: worker.about for worker in workers}
  shared = {
    'case': case,
    'model': shape,
    'rows': order.rows,
    'drawn': bool(order.end_ids),
    'cores': flags.threads,
    'prompts': size.prompts,
    'group_size': size.group_size,
    'prompt_tokens': size.prompt_tokens,
    'micro_rows': size.micro_rows,
  }
  return speed_table.rows_of(shared, about, reports)


def in_turns(workers: Sequence[Worker], rounds: int) -> dict[str, list[dict]]:
  """A B C, A B C, ..: what each reported."""
  reports = {worker.name: [] for worker in workers}
  for number in range(rounds):
    for worker in workers:
      report = worker.work()
      reports[worker.name].append(report)
      speed = speed_table.speed(report)
      say(f'round {number + 1}  {worker.name:13} {speed:8.1f} tokens/s')
  return reports


def say(line: str) -> None:
  """To standard error: standard output is the table."""
  print(line, file=sys.stderr, flush=True)


def parse(argv: Sequence[str]) -> argparse.Namespace:
  """The flags."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  add = parser.add_argument
  add('--case', action='append', choices=work_orders.CASES)
  add('--shape', action='append', choices=list(work_orders.SHAPES))
  for name in ('torch', 'tunix', 'vllm'):
    add(f'--{name}', help=f'Python of the environment {name}')
  add('--rounds', type=int, default=5)
  add('--threads', type=int, default=2)
  add('--seed', type=int, default=0)
  size = work_orders.Size()
  for name in ('prompts', 'longest', 'equal', 'mean', 'micro_rows'):
    add(f'--{name}', type=int, default=getattr(size, name))
  add('--work', type=Path, default=Path(tempfile.gettempdir()) / 'srpo_speed')
  add('--dry_run', action='store_true', help='print the table, write nothing')
  return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
  """Compares, prints the table, and writes it."""
  flags = parse(argv)
  given = {'ours': sys.executable, **vars(flags)}
  pythons = {
    name: given[engine.environment]
    for name, engine in ENGINES.items()
    if given[engine.environment]
  }
  rows = []
  for shape in flags.shape or ['30m']:
    for case in flags.case or work_orders.CASES:
      rows += compare(case, shape, flags, pythons)
  if flags.dry_run:
    blank = lambda x: '' if x is None else str(x)
    rows = [{k: blank(v) for k, v in row.items()} for row in rows]
    print(speed_table.markdown(rows))
    return 0
  speed_table.write_csv(CSV, rows)
  table = speed_table.markdown(speed_table.read_csv(CSV))
  speed_table.put_table(PAGE, 'side by side', table)
  print(table)
  return 0


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
