# SPDX-License-Identifier: Apache-2.0
"""Does a step cost as much a token when there are more of them?

  python benchmarks/linear_cost.py --out=runs/linear_cost

Runs bench.gin at 512, 1,024, 2,048 and 4,096 tokens a response, then at 1, 4
and 16 times the prompts, each in a process of its own, and reads its
bench.json. Writes docs/results/linear_cost.csv and two figures in docs/images;
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

import numpy as np

from srpo_jax.study import figures
from srpo_jax.study.plots import Line, Plot

ROOT = Path(__file__).resolve().parents[1]
CSV = ROOT / 'docs' / 'results' / 'linear_cost.csv'
IMAGES = ROOT / 'docs' / 'images'
TOKENS, TIMES = (512, 1024, 2048, 4096), (1, 4, 16)
# What does not vary: a model whose weights outweigh its attention; our choice.
FLAGS = ('--gin.SHAPE=@shape_30m', '--gin.LENGTHS=@equal_lengths')
PARTS = ('step', 'rollout', 'update')


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


def plot(rows: Sequence[dict], axis: str) -> Plot:
  """Milliseconds a token over `response_tokens` or over `prompts`."""
  x = np.array([row[axis] for row in rows], float)
  unit = {'response_tokens': 'tokens a response', 'prompts': 'prompts'}[axis]
  lines = []
  for series, part in enumerate(PARTS):
    y = np.array([row[f'{part}_ms'] for row in rows], float)
    pairs = zip(x, y, strict=True)
    words = ', '.join(f'{value:.3g} at {place:.0f}' for place, value in pairs)
    lines.append(Line(part, series, x, y, f'{part}: {words}.'))
  return Plot(
    title=f'Cost of a token over {unit}',
    unit='ms a token',
    lines=tuple(lines),
    x_unit=unit,
    name=f'linear_{axis}',
  )


def write(rows: Sequence[dict], path: Path, images: Path) -> None:
  """The CSV and a figure for each axis."""
  path.parent.mkdir(parents=True, exist_ok=True)
  with open(path, 'w', newline='') as file:
    writer = csv.DictWriter(file, rows[0], lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
  axes = {'tokens': 'response_tokens', 'prompts': 'prompts'}
  images.mkdir(parents=True, exist_ok=True)
  for prefix, axis in axes.items():
    some = [row for row in rows if row['point'].startswith(prefix)]
    drawn = plot(some, axis)
    svg = figures.draw(drawn, drawn.name)
    title = f'{drawn.title} ({drawn.unit})'
    (images / f'{drawn.name}.svg').write_text(figures.alone(svg, title))


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
    write(rows, CSV, IMAGES)
  return 0


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
