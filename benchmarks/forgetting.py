# SPDX-License-Identifier: Apache-2.0
"""Was what history resampling dropped forgotten? A table of docs/results.md.

`python benchmarks/forgetting.py --out=runs/experiments`, after the experiments
`history` and `forgetting` (experiments.py). Of the prompts that a run with
history resampling dropped: how the policy at its end answers them, and how the
policy of the run without a filter does, which was asked them all along.
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np

from srpo_jax.study import evaluations, intervals, ledgers, read

ARMS = ('history_resampling', 'no_filter')
HEAD = ('seed', 'prompt', 'epoch', *ARMS)


def main() -> int:
  """Prints the table, and writes a row for each dropped prompt."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--out', type=Path, default=Path('runs/experiments'))
  asked = parser.parse_args()
  folders = (asked.out / 'forgetting' / ARMS[0]).iterdir()
  seeds = sorted(int(x.name) for x in folders if (x / 'done.json').exists())
  rows = [row for seed in seeds for row in dropped(asked.out, seed)]
  with open(asked.out / 'forgetting' / 'dropped.csv', 'w', newline='') as file:
    csv.writer(file).writerows([HEAD, *rows])
  print_table(np.array(rows, dtype=np.float64))
  return 0


def dropped(out: Path, seed: int) -> list[tuple]:
  """A row of HEAD for each prompt that left: its pass@1 by either policy."""
  run = read.read_run(out / 'history' / ARMS[0] / str(seed), str(seed))
  gone = ledgers.dropped(run, ledgers.read_epochs(run))
  scores = [scores_of(out / 'forgetting' / arm / str(seed)) for arm in ARMS]
  return [
    (seed, x.prompt, x.epoch, *(of[x.prompt] for of in scores)) for x in gone
  ]


def scores_of(workdir: Path) -> dict[int, float]:
  """Prompt -> pass@1 before the first step."""
  rows = read.read_evals(workdir, 'embedded_math', 0, ('prompt', 'accuracy'))
  ids, right = evaluations.problem_scores(rows)
  return dict(zip(ids.tolist(), right.tolist(), strict=True))


def print_table(rows: np.ndarray) -> None:
  """Two measures, each by both policies, over seeds."""
  seeds = np.unique(rows[:, 0])
  by_seed = [rows[rows[:, 0] == seed, 3:] for seed in seeds]
  measures = {
    'pass@1': lambda right: right.mean(axis=0),
    'with a wrong answer': lambda right: (right < 1).mean(axis=0),
  }
  counts = np.array([len(right) for right in by_seed])
  print(f'{len(seeds)} seeds; dropped prompts of a run: {counts.tolist()}\n')
  print(f'| dropped prompts | {" | ".join(ARMS)} | difference |')
  print('|---|---|---|---|')
  for name, measure in measures.items():
    both = np.array([measure(right) for right in by_seed])
    change = intervals.t_interval(both[:, 0] - both[:, 1])
    cells = [f'{mean:.3f}' for mean in both.mean(axis=0)]
    ends = f'{change.mean:+.3f} ({change.low:+.3f} to {change.high:+.3f})'
    print(f'| {" | ".join([name, *cells, ends])} |')


if __name__ == '__main__':
  sys.exit(main())
