# SPDX-License-Identifier: Apache-2.0
"""What a tree of processes has used, read from /proc."""

import dataclasses
import os
from collections.abc import Iterator

TICK_S = 1 / os.sysconf('SC_CLK_TCK')
# Fields of /proc/PID/stat, counted from the one after the name.
PARENT, CPU_FIELDS = 1, slice(11, 15)


@dataclasses.dataclass(frozen=True)
class Usage:
  """What the processes of a tree have used together.

  Attributes:
    cpu_s: CPU seconds, of children that were waited for too.
    memory: bytes of anonymous and shared memory.
    delay_s: seconds that each thread stood in a run queue, by its number.
  """

  cpu_s: float
  memory: int
  delay_s: dict[int, float]


def usage(root: int, baseline: int = 0) -> Usage:
  """The usage of a process and all its descendants.

  Args:
    root: process number, in the namespace of this /proc.
    baseline: bytes that each process shares with the one it was forked from.
  """
  stats = read_stats()
  tree = descendants(root, stats)
  ticks = sum(sum(map(int, stats[pid][CPU_FIELDS])) for pid in tree)
  return Usage(
    cpu_s=ticks * TICK_S,
    memory=sum(max(memory_of(pid) - baseline, 0) for pid in tree),
    delay_s={tid: delay for pid in tree for tid, delay in delays(pid)},
  )


def read_stats() -> dict[int, list[str]]:
  """Process number -> the fields of its stat after the name."""
  stats = {}
  for name in os.listdir('/proc'):
    if name.isdigit() and (text := read(f'/proc/{name}/stat')):
      # The name may hold spaces and parentheses; the last one ends it.
      stats[int(name)] = text.rpartition(')')[2].split()
  return stats


def descendants(root: int, stats: dict[int, list[str]]) -> list[int]:
  """The root, if it lives, and all that descend from it."""
  children: dict[int, list[int]] = {}
  for pid, fields in stats.items():
    children.setdefault(int(fields[PARENT]), []).append(pid)
  tree, todo = [], [root] if root in stats else []
  while todo:
    tree.append(todo.pop())
    todo += children.get(tree[-1], [])
  return tree


def delays(pid: int) -> Iterator[tuple[int, float]]:
  """(number, seconds it has waited for a CPU) of each thread."""
  try:
    threads = os.listdir(f'/proc/{pid}/task')
  except OSError:
    return  # It has ended meanwhile.
  for thread in threads:
    if line := read(f'/proc/{pid}/task/{thread}/schedstat'):
      yield int(thread), int(line.split()[1]) / 1e9


def memory_of(pid: int | str) -> int:
  """Bytes of memory that are no file's; 0 for a zombie."""
  kibibytes = 0
  for line in read(f'/proc/{pid}/status').splitlines():
    if line.startswith(('RssAnon:', 'RssShmem:')):
      kibibytes += int(line.split()[1])
  return kibibytes << 10


def read(path: str) -> str:
  """A file of /proc; empty if its process has ended meanwhile."""
  try:
    with open(path, encoding='utf-8', errors='replace') as file:
      return file.read()
  except OSError:
    return ''
