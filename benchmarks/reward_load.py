# SPDX-License-Identifier: Apache-2.0
"""Puts the reward service under load and checks every verdict.

`python benchmarks/reward_load.py --requests=2000 --in_flight=64 --hostile=0.1`

A mixed workload (reward_workload.py) goes to a service, by default one of its
own, one item a request. Then a second service of its own judges each item
alone, and the verdicts are compared. Prints a table; --json=PATH writes all of
it. The exit status is 1 if an item was lost or a verdict differs.
"""

import argparse
import asyncio
import collections
import contextlib
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx
from reward_workload import Case, make_cases

from srpo_jax.reward.auth import bearer, find_token
from srpo_jax.reward.launch import launch_service

TRIES = 100
RETRY = (429, 503)
SAMPLE_S = 0.5


class Memory:
  """Resident MiB of a process and of all that descend from it, over time."""

  def __init__(self, pid: int | None):
    self._pid = pid
    self.own: list[float] = []
    self.tree: list[float] = []

  async def watch(self) -> None:
    """Samples until it is cancelled."""
    while self._pid is not None:
      sizes = tree_sizes(self._pid)
      self.own.append(sizes[self._pid])
      self.tree.append(sum(sizes.values()))
      await asyncio.sleep(SAMPLE_S)

  def summary(self) -> dict:
    """Medians of ten stretches of time; a leak makes them rise."""
    return {
      f'{name}_mib': [round(statistics.median(s)) for s in tenths(values)]
      for name, values in (('own', self.own), ('tree', self.tree))
    }


def tenths(values: Sequence[float]) -> list[Sequence[float]]:
  """Values cut into up to ten parts, in order."""
  size = max(len(values) // 10, 1)
  return [values[at : at + size] for at in range(0, len(values), size)][:10]


def tree_sizes(root: int) -> dict[int, float]:
  """Process -> resident MiB, of a process and its descendants."""
  parents, sizes = {}, {}
  page = os.sysconf('SC_PAGE_SIZE')
  for folder in Path('/proc').glob('[0-9]*'):
    # It may end while it is read.
    with contextlib.suppress(OSError):
      words = (folder / 'stat').read_text().rpartition(')')[2].split()
      pid = int(folder.name)
      parents[pid], sizes[pid] = int(words[1]), int(words[21]) * page / 2**20
  inside = {root}
  while more := {p for p, above in parents.items() if above in inside} - inside:
    inside |= more
  return {pid: sizes[pid] for pid in inside if pid in sizes}


async def ready(http: httpx.AsyncClient) -> dict:
  """Waits until it judges mathematics and programs; the body of /readyz."""
  while True:
    body = (await http.get('/readyz')).json()
    if body['workers_ready'] and (
      body['sandboxes_ready'] or body['sandbox'].startswith('no sandbox')
    ):
      return body
    await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def connected(
  address: str, connections: int
) -> AsyncIterator[httpx.AsyncClient]:
  """A client of one service."""
  limits = httpx.Limits(max_connections=connections)
  async with httpx.AsyncClient(
    base_url=address,
    headers=bearer(find_token()),
    limits=limits,
    timeout=600,
    trust_env=False,
  ) as http:
    yield http


async def ask(http: httpx.AsyncClient, item: dict) -> tuple[dict, int]:
  """The result of one item, and how often it was asked to wait."""
  body = {'items': [item], 'budget_s': 600}
  for tried in range(TRIES):
    reply = await http.post('/v1/score', json=body)
    if reply.status_code not in RETRY:
      (result,) = reply.raise_for_status().json()['results']
      return result, tried
    await asyncio.sleep(float(reply.headers['retry-after']))
  raise RuntimeError(f'asked to wait {TRIES} times')


async def run_load(
  http: httpx.AsyncClient, cases: Sequence[Case], in_flight: int
) -> tuple[list[list[dict]], list[float], int]:
  """Results of each case, seconds of each request, how often it had to wait."""
  results: list[list[dict]] = [[] for _ in cases]
  seconds = [0.0] * len(cases)
  waits = 0
  todo = iter(range(len(cases)))

  async def work() -> None:
    nonlocal waits
    for number in todo:
      start = time.monotonic()
      result, waited = await ask(http, cases[number].item)
      seconds[number] = time.monotonic() - start
      results[number].append(result)
      waits += waited

  await asyncio.gather(*(work() for _ in range(in_flight)))
  return results, seconds, waits


async def load(
  address: str, pid: int | None, cases: Sequence[Case], in_flight: int
) -> tuple[list[list[dict]], dict]:
  """Runs the load; the results of each case, and the figures."""
  memory = Memory(pid)
  async with connected(address, in_flight) as http:
    sandbox = (await ready(http))['sandbox']
    watch = asyncio.create_task(memory.watch())
    start = time.monotonic()
    results, seconds, waits = await run_load(http, cases, in_flight)
    wall = time.monotonic() - start
    watch.cancel()
  cut = statistics.quantiles(seconds, n=100)
  return results, {
    'sandbox': sandbox,
    'wall_s': round(wall, 2),
    'verdicts_per_s': round(len(cases) / wall, 1),
    'p50_ms': round(1000 * cut[49], 1),
    'p99_ms': round(1000 * cut[98], 1),
    'p50_ms_by_kind': by_kind(cases, seconds),
    'told_to_wait': waits,
    'memory': memory.summary(),
  }


def by_kind(cases: Sequence[Case], seconds: Sequence[float]) -> dict:
  """Median milliseconds of the requests of each kind."""
  kinds = collections.defaultdict(list)
  for case, each in zip(cases, seconds, strict=True):
    kinds[case.name].append(1000 * each)
  return {name: round(statistics.median(v)) for name, v in kinds.items()}


async def judge_alone(
  address: str, cases: Sequence[Case]
) -> tuple[list[list[dict]], float]:
  """Each case with nothing beside it, and the median seconds of a request."""
  async with connected(address, 1) as http:
    await ready(http)
    results, seconds, _ = await run_load(http, cases, 1)
  return results, statistics.median(seconds)


def check(cases: Sequence[Case], results: Sequence[list[dict]]) -> dict:
  """What a load must show: all answered, as they should be."""
  counts = collections.Counter(r['status'] for rows in results for r in rows)
  answers = [rows[0]['status'] if rows else 'lost' for rows in results]
  once = all(
    len(rows) == 1 and rows[0]['id'] == case.item['id']
    for case, rows in zip(cases, results, strict=True)
  )
  surprises = [
    f'{case.name}: {status}'
    for case, status in zip(cases, answers, strict=True)
    if status not in (*case.ends, 'unavailable')
  ]
  return {
    'items': len(cases),
    'answered_once': once,
    'unavailable_share': counts['unavailable'] / len(cases),
    'statuses': dict(counts),
    'surprises': sorted(set(surprises)),
  }


def differences(
  cases: Sequence[Case],
  loaded: Sequence[list[dict]],
  alone: Sequence[list[dict]],
) -> list[str]:
  """Verdicts that the load changed; 'unavailable' is none."""
  pairs = zip(cases, loaded, alone, strict=True)
  return [
    f'{case.name}: {one[0]["status"]} alone, {many[0]["status"]} under load'
    for case, many, one in pairs
    if many[0]['status'] != 'unavailable'
    and (many[0]['status'], many[0]['passed_share'])
    != (one[0]['status'], one[0]['passed_share'])
  ]


def parse_flags() -> argparse.Namespace:
  """The flags."""
  parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
  add = parser.add_argument
  add('--address', help='of a running service; default: one of its own')
  add('--pid', type=int, help="that service's process, to watch its memory")
  add('--requests', type=int, default=2000)
  add('--items_total', type=int, help='more load after it, to see memory')
  add('--in_flight', type=int, default=64)
  add('--hostile', type=float, default=0.1, help='share of hostile items')
  add('--workers', type=int, default=2)
  add('--sandboxes', type=int)
  add('--seed', type=int, default=0)
  add('--json', type=Path, help='where to write the report')
  return parser.parse_args()


def measure(flags: argparse.Namespace) -> dict:
  """Both services, one after the other; the report."""
  cases = make_cases(flags.requests, flags.hostile, flags.seed)
  more = make_cases(
    max((flags.items_total or 0) - len(cases), 0), flags.hostile, flags.seed + 1
  )
  own = lambda: launch_service(
    workers=flags.workers, sandboxes=flags.sandboxes, log_path='/dev/null'
  )
  with contextlib.ExitStack() as stack:
    address, pid = flags.address, flags.pid
    if address is None:
      service = stack.enter_context(own())
      address, pid = service.address, service.pid
    loaded, report = asyncio.run(load(address, pid, cases, flags.in_flight))
    report |= check(cases, loaded)
    if more:
      longer, figures = asyncio.run(load(address, pid, more, flags.in_flight))
      report['longer'] = figures | check(more, longer)
  with own() as service:
    alone, seconds = asyncio.run(judge_alone(service.address, cases))
  report['alone_p50_ms'] = round(1000 * seconds, 1)
  report['differences'] = differences(cases, loaded, alone)
  return {'cores': len(os.sched_getaffinity(0)), **vars(flags), **report}


def sound(report: dict) -> bool:
  """True if nothing was lost and no verdict was wrong."""
  parts = [report, report['longer']] if 'longer' in report else [report]
  return not report['differences'] and all(
    part['answered_once']
    and not part['surprises']
    and part['unavailable_share'] < 0.01
    for part in parts
  )


def main() -> int:
  """Measures, prints and writes; the exit status."""
  flags = parse_flags()
  report = measure(flags)
  for name, value in report.items():
    print(f'{name:20} {value}')
  if flags.json is not None:
    flags.json.write_text(json.dumps(report, default=str, indent=1) + '\n')
  return 0 if sound(report) else 1


if __name__ == '__main__':
  sys.exit(main())
