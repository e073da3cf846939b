# SPDX-License-Identifier: Apache-2.0
"""From what the engines reported to rows, a CSV and the table of a page."""

import csv
import statistics
from collections.abc import Sequence
from pathlib import Path

COLUMNS = (
  'case', 'model', 'engine', 'version', 'rounds', 'tokens', 'longest',
  'seconds', 'tokens_per_s', 'tokens_per_s_low', 'tokens_per_s_high',
  'ratio', 'same_work', 'slot_steps_used', 'peak_gb', 'dtype', 'threads',
  'cores', 'prompts', 'group_size', 'prompt_tokens', 'micro_rows',
)  # fmt: skip
BEGIN, END = '<!-- {name}: begin -->', '<!-- {name}: end -->'
# How far the mean lengths of two engines may lie apart, in standard errors of
# their difference; our choice.
ERRORS = 4.0


def same_work(
  ours: Sequence[int], theirs: Sequence[int], rows: int, drawn: bool
) -> bool:
  """Whether two engines wrote as many tokens, up to the luck of drawing.

  Args:
    ours, theirs: tokens of each round.
    rows: responses in a round.
    drawn: lengths are geometric, with a deviation as large as their mean;
      else they are given and must be the same.
  """
  if not drawn:
    return set(ours) == set(theirs) and len(set(ours)) == 1
  one, other = statistics.mean(ours), statistics.mean(theirs)
  mean = (one + other) / 2
  # A round's tokens are a sum of `rows` lengths of deviation mean / rows.
  error = mean * ((1 / len(ours) + 1 / len(theirs)) / rows) ** 0.5
  return abs(one - other) <= ERRORS * error


def ratio(ours: Sequence[dict], theirs: Sequence[dict]) -> float:
  """Median over rounds of our tokens/s by theirs in the same round."""
  pairs = zip(ours, theirs, strict=True)
  return statistics.median(speed(a) / speed(b) for a, b in pairs)


def speed(report: dict) -> float:
  """Tokens of responses a second."""
  return report['tokens'] / report['seconds']


def rows_of(
  case: dict, about: dict[str, dict], reports: dict[str, list[dict]]
) -> list[dict]:
  """A row an engine; the first engine is the one that others are compared to.

  Args:
    case: what the rows share: case, model, prompts, ..; 'drawn' and 'rows'.
    about: engine -> what it said it is.
    reports: engine -> what it reported in each round.
  """
  first = next(iter(reports))
  tokens = lambda engine: [r['tokens'] for r in reports[engine]]
  found = []
  for engine, given in reports.items():
    speeds = [speed(report) for report in given]
    same = same_work(tokens(first), tokens(engine), case['rows'], case['drawn'])
    found.append(
      {
        **{name: case[name] for name in COLUMNS if name in case},
        'engine': engine,
        'version': about[engine]['version'],
        'rounds': len(given),
        'tokens': round(statistics.mean(tokens(engine))),
        'longest': max(report['longest'] for report in given),
        'seconds': round(statistics.median(r['seconds'] for r in given), 3),
        'tokens_per_s': round(statistics.median(speeds), 1),
        'tokens_per_s_low': round(min(speeds), 1),
        'tokens_per_s_high': round(max(speeds), 1),
        # No ratio of unequal work.
        'ratio': round(ratio(reports[first], given), 2) if same else None,
        'same_work': same,
        'slot_steps_used': _mean(given, 'slot_steps_used'),
        'peak_gb': round(given[-1]['peak_bytes'] / 1e9, 2),
        'dtype': about[engine]['dtype'],
        'threads': about[engine]['threads'],
      }
    )
  return found


def _mean(reports: Sequence[dict], name: str) -> float | None:
  values = [report[name] for report in reports if name in report]
  return round(statistics.mean(values), 4) if values else None


def write_csv(path: Path, rows: Sequence[dict]) -> None:
  """The rows, over those of the same case and model that are there."""
  key = lambda row: (row['case'], row['model'])
  new = {key(row) for row in rows}
  kept = [row for row in read_csv(path) if key(row) not in new]
  path.parent.mkdir(parents=True, exist_ok=True)
  with open(path, 'w', newline='') as file:
    writer = csv.DictWriter(file, COLUMNS, lineterminator='\n')
    writer.writeheader()
    writer.writerows([*kept, *rows])


def read_csv(path: Path) -> list[dict[str, str]]:
  """The rows that are there; none if there is no file."""
  if not path.exists():
    return []
  with open(path, newline='') as file:
    return list(csv.DictReader(file))


def markdown(rows: Sequence[dict[str, str]]) -> str:
  """The table: a line an engine, as the CSV has them."""
  lines = [
    '| work | model | engine | tokens/s | lowest, highest | ours is faster by '
    '| tokens, longest | slot-steps used | peak GB |',
    '|---|---|---|---|---|---|---|---|---|',
  ]
  for row in rows:
    cells = [
      row['case'],
      row['model'],
      f'{row["engine"]} {row["version"]}',
      row['tokens_per_s'],
      f'{row["tokens_per_s_low"]}, {row["tokens_per_s_high"]}',
      _ratio_text(row),
      f'{row["tokens"]}, {row["longest"]}',
      _share_text(row['slot_steps_used']),
      row['peak_gb'],
    ]
    lines.append(f'| {" | ".join(map(str, cells))} |')
  return '\n'.join(lines)


def _ratio_text(row: dict[str, str]) -> str:
  if row['engine'] == 'srpo_jax':
    return ''
  return f'{float(row["ratio"]):.2f}' if row['ratio'] else 'not the same work'


def _share_text(value: str) -> str:
  return f'{float(value):.1%}' if value else ''


def put_table(page: Path, name: str, table: str) -> None:
  """Puts the table between its two marks on a page.

  Raises:
    ValueError: the marks are not there.
  """
  text, begin, end = page.read_text(), BEGIN, END
  begin, end = (mark.format(name=name) for mark in (begin, end))
  if begin not in text or end not in text:
    raise ValueError(f'{page}: lacks the marks {begin} and {end}')
  before, after = text.split(begin)[0], text.split(end)[1]
  page.write_text(f'{before}{begin}\n{table}\n{end}{after}')
