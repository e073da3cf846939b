# SPDX-License-Identifier: Apache-2.0
"""Does a step cost as much a token when there are more of them?

  python benchmarks/linear_cost.py --out=runs/linear_cost

Runs bench.gin at 512, 1,024, 2,048 and 4,096 tokens a response, then at 1, 4
and 16 times the prompts, each in a process of its own, and reads its
bench.json. Writes docs/results/linear_cost.csv and docs/images/linear_cost.svg;
--dry_run prints the points alone. A point that is there is not measured again.
Flags that are not its own go to bench.gin.
"""

import argparse
import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from srpo_jax.study import figures, style

ROOT = Path(__file__).resolve().parents[1]
CSV = ROOT / 'docs' / 'results' / 'linear_cost.csv'
IMAGE = ROOT / 'docs' / 'images' / 'linear_cost.svg'
TOKENS, TIMES = (512, 1024, 2048, 4096), (1, 4, 16)
# What does not vary: a model whose weights outweigh its attention, and rows
# decoded at a time, as many as one prompt has; our choice.
FLAGS = (
  '--gin.SHAPE=@shape_30m',
  '--gin.LENGTHS=@equal_lengths',
  '--gin.SLOTS=8',
)
PARTS = ('step', 'rollout', 'update')
# Prefix of a point's name -> the column on the x axis, and its label.
AXES = {
  'tokens': ('response_tokens', 'tokens a response'),
  'prompts': ('prompts', 'prompts'),
}
SIZE = (7.0, 2.8)  # inches


def points(prompts: int, tokens: int) -> dict[str, tuple[int, int]]:
  """Name -> (prompts, tokens a response): longer ones, then more of them."""
  longer = {f'tokens_{n}': (prompts, n) for n in TOKENS}
  return longer | {f'prompts_{n}': (n * prompts, tokens) for n in TIMES}


def measure(workdir: Path, P: int, T: int, flags: Sequence[str]) -> dict:
  """bench.json of a point; measured unless it is there."""
  path = workdir / 'bench.json'
  if not path.exists():
    command = [sys.executable, '-m', 'srpo_jax.main', '--gin_file=bench.gin']
    command += [*FLAGS, f'--gin.PROMPTS_PER_STEP={P}']
    command += [f'--gin.MAX_NEW_TOKENS={T}', f'--workdir={workdir}', *flags]
    subprocess.run(command, cwd=ROOT, check=True)
  return json.loads(path.read_text())


def row_of(name: str, found: dict) -> dict:
  """A point's line: milliseconds of a step and its parts by token."""
  step, tokens = found['step'], found['rollout']['tokens']
  ms = lambda seconds: round(1e3 * seconds / tokens, 4)
  return {
    'point': name,
    'model': found['request']['model'],
    'prompts': found['request']['prompts'],
    'group_size': found['request']['group_size'],
    'response_tokens': found['request']['length_longest'],
    'tokens': tokens,
    'step_ms': ms(step['seconds']),
    'rollout_ms': ms(step['split']['rollout']),
    'update_ms': ms(step['split']['update']),
  }


def draw(rows: Sequence[dict], path: Path) -> None:
  """Milliseconds a token, over tokens a response and over prompts."""
  import matplotlib
  import matplotlib.figure

  with matplotlib.rc_context(figures.settings(path.stem, style.LIGHT)):
    figure = matplotlib.figure.Figure(figsize=SIZE, layout='constrained')
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (prefix, (column, label)) in zip(
      panels, AXES.items(), strict=True
    ):
      some = [row for row in rows if row['point'].startswith(prefix)]
      x = [row[column] for row in some]
      for number, part in enumerate(PARTS):
        y, color = [row[f'{part}_ms'] for row in some], f'series-{number}'
        axes.plot(x, y, 'o-', ms=3, color=style.LIGHT[color], label=part)
      axes.set_xscale('log', base=2)
      axes.set_xticks(x, [f'{value:,}' for value in x])
      axes.set_xlabel(label)
    panels[0].set_ylim(bottom=0)
    panels[0].set_ylabel('ms a token')
    panels[0].legend(frameon=False)
    figure.savefig(path, format='svg', metadata={'Date': None})


def write(rows: Sequence[dict], path: Path, image: Path) -> None:
  """The CSV and the figure."""
  for each in (path, image):
    each.parent.mkdir(parents=True, exist_ok=True)
  with open(path, 'w', newline='') as file:
    writer = csv.DictWriter(file, rows[0], lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
  draw(rows, image)


def main(argv: Sequence[str]) -> int:
  """Measures every point, prints and writes."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--out', type=Path, default=Path('runs/linear_cost'))
  parser.add_argument('--prompts', type=int, default=1, help='of 1×')
  parser.add_argument('--tokens', type=int, default=512, help='of more prompts')
  parser.add_argument('--dry_run', action='store_true')
  asked, flags = parser.parse_known_args(argv)
  rows, found = [], points(asked.prompts, asked.tokens)
  for name, (P, T) in found.items():
    if asked.dry_run:
      print(f'{name}: {P} prompts, {T} tokens a response')
      continue
    made = measure(asked.out.absolute() / name, P, T, flags)
    rows.append(row_of(name, made))
    print(rows[-1], flush=True)
  if rows:
    write(rows, CSV, IMAGE)
  return 0


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
