# SPDX-License-Identifier: Apache-2.0
"""The ledger explorer: which prompts left, when, and what became of them.

After ledgers, before the page: tables, sentences and CSV rows.
"""

import csv
import dataclasses
import os

import numpy as np

from srpo_jax.study import evaluations, groups, intervals, ledgers, page, read
from srpo_jax.study.ledgers import Dropped
from srpo_jax.study.plots import number

# Prompts on a page; the CSV has all.
MAX_ROWS = 400
_MAX_QUESTION = 160
CSV_HEAD = (
  'run',
  'group',
  'seed',
  'prompt',
  'dropped_stage',
  'dropped_epoch',
  'dropped_step',
  'epochs_asked',
  'right_when_dropped',
  'seen_again',
  'wrong_again',
  'first_wrong',
  'first_wrong_step',
  'lowest_right_later',
)
_HEAD = (
  'question',
  'run',
  'left after',
  'step',
  'epochs asked',
  'right then',
  'seen again',
  'wrong again',
  'first wrong at',
  'lowest right later',
)
_FORGETTING = (
  'run',
  'dropped',
  'seen again',
  'wrong at the first look',
  'wrong at some look',
  'all right, then wrong',
)
NOTE = (
  'A prompt is seen again when a later epoch reviews it, a later stage takes '
  'it up, or an evaluation asks it; a look is wrong if not every judged answer '
  'was right. With few rollouts a prompt may be all right by luck: the last '
  'column says how often a prompt whose answers were all right, dropped or '
  'not, had a wrong one when it was asked next. In brackets: 95% bootstrap '
  'interval over prompts; of means over seeds, the t-interval.'
)


# Name of a run -> its dropped prompts and its epochs.
Found = dict[str, tuple[list[Dropped], list[ledgers.Epoch]]]


def collect(named: list[groups.Group]) -> Found:
  """What became of the prompts of every run."""
  runs = [run for group in named for run in group.runs]
  epochs = {run.name: ledgers.read_epochs(run) for run in runs}
  return {
    run.name: (ledgers.dropped(run, epochs[run.name]), epochs[run.name])
    for run in runs
  }


def parts(named: list[groups.Group], found: Found) -> list[str]:
  """The section of a report: forgetting table, then every prompt."""
  if not any(epochs for _, epochs in found.values()):
    return []
  several = len(found) > 1
  html = [page.paragraph(NOTE, 'note'), forgetting(named, found)]
  gone = {name: rows for name, (rows, _) in found.items()}
  count = sum(len(rows) for rows in gone.values())
  if not count:
    return [*html, page.paragraph('No prompt was dropped.')]
  table = _prompt_table(named, gone, several)
  shown = min(MAX_ROWS // len(found), max(map(len, gone.values())))
  rule = f'{count} prompts dropped'
  if several or count > shown:
    rule += f', at most {shown} of each run shown; the CSV has all'
  return [*html, page.details(f'Every prompt: {rule}', [table])]


def forgetting(named: list[groups.Group], found: Found) -> str:
  """How often a dropped prompt was wrong later: by run, and over the seeds."""
  rows = []
  for group in named:
    looks = [forgotten(*found[run.name]) for run in group.runs]
    several = len(group.runs) > 1
    for run, x in zip(group.runs, looks, strict=True):
      name = f'{group.label}, seed {groups.seed(run)}' if several else ''
      shares = [_share_cell(wrong) for wrong in x.shares]
      rows.append([name or group.label, str(x.dropped), str(x.again), *shares])
    if several:
      rows.append(_mean_row(group, looks))
  head = list(_FORGETTING)
  if len(found) == 1:
    head, rows = head[1:], [row[1:] for row in rows]
  return page.table(head, rows, 'forgetting of dropped prompts', 'forgetting')


@dataclasses.dataclass(frozen=True)
class Looks:
  """What later looks at a run's prompts found.

  Attributes:
    dropped: prompts that left.
    again: of those, how many were seen again.
    shares: 1.0 wrong and 0.0 right, for each prompt seen again: at the first
      look; at some look; and, dropped or not, for each time that a prompt's
      answers were all right: when it was asked next.
  """

  dropped: int
  again: int
  shares: tuple[np.ndarray, np.ndarray, np.ndarray]


def forgotten(gone: list[Dropped], epochs: list[ledgers.Epoch]) -> Looks:
  """The later looks at the prompts of a run."""
  again = [x for x in gone if x.later]
  first = np.array([float(x.later[0].right < 1) for x in again])
  some = np.array([float(x.forgotten) for x in again])
  return Looks(
    len(gone), len(again), (first, some, ledgers.solved_again(epochs))
  )


def write(
  named: list[groups.Group], found: Found, path: str | os.PathLike
) -> None:
  """CSV: a row for each dropped prompt of each run."""
  with open(path, 'w', newline='', encoding='utf-8') as file:
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(CSV_HEAD)
    for group in named:
      for run in group.runs:
        where = [run.name, group.label, groups.seed(run)]
        gone, _ = found[run.name]
        writer.writerows([*where, *_csv_cells(x)] for x in gone)


def _csv_cells(x: Dropped) -> list[str | int | float]:
  """A dropped prompt in numbers."""
  wrong = [seen for seen in x.later if seen.right < 1]
  return [
    x.prompt,
    x.stage,
    x.epoch,
    x.step,
    x.asked,
    x.right,
    len(x.later),
    len(wrong),
    wrong[0].where if wrong else '',
    wrong[0].step if wrong else '',
    min((seen.right for seen in x.later), default=''),
  ]


def _share_cell(wrong: np.ndarray) -> str:
  """'67 of 79: 0.848 (0.772 to 0.924)', the interval over prompts."""
  if not len(wrong):
    return '–'
  share = intervals.bootstrap(wrong, evaluations.SEED, 2000)
  ends = f'{share.low:.3f} to {share.high:.3f}'
  return f'{wrong.sum():.0f} of {len(wrong)}: {share.mean:.3f} ({ends})'


def _mean_row(group: groups.Group, looks: list[Looks]) -> list[str]:
  """The means over the seeds, with t-intervals of the shares."""
  mean = lambda values: number(float(np.mean(values)))
  cells = [mean([x.dropped for x in looks]), mean([x.again for x in looks])]
  for k in range(3):
    known = [x.shares[k].mean() for x in looks if len(x.shares[k])]
    share = intervals.t_interval(np.array(known))
    text = f'{share.mean:.3f}' if known else '–'
    if len(known) > 1:
      text += f' ({share.low:.3f} to {share.high:.3f})'
    cells.append(text)
  return [f'{group.label}, mean of {len(looks)} seeds', *cells]


def _prompt_table(
  named: list[groups.Group], gone: dict[str, list[Dropped]], several: bool
) -> str:
  """A row for each prompt, those forgotten first."""
  limit = MAX_ROWS // len(gone)
  cells = []
  for group in named:
    for run in group.runs:
      shown = sorted(gone[run.name], key=_interest)[:limit]
      texts = questions(run, shown)
      cells += [_cells(x, run.name, texts.get(x.prompt, '–')) for x in shown]
  # One run needs no column for it.
  keep = lambda row: row if several else [row[0], *row[2:]]
  return page.table(
    keep(list(_HEAD)),
    [keep(row) for row in cells],
    'dropped prompts; select a heading to sort',
    'sortable prompts',
  )


def _interest(x: Dropped) -> tuple:
  """Forgotten first, then seen again, then the rest by when they left."""
  return (not x.forgotten, not x.later, x.step, x.prompt)


def _cells(x: Dropped, run: str, question: str) -> list[str]:
  """A dropped prompt in words."""
  wrong = [seen for seen in x.later if seen.right < 1]
  first = f'{wrong[0].where} (step {wrong[0].step})' if wrong else '–'
  lowest = min((seen.right for seen in x.later), default=np.nan)
  return [
    question,
    run,
    f'stage {x.stage}, epoch {x.epoch}',
    str(x.step),
    str(x.asked),
    number(x.right),
    str(len(x.later)),
    str(len(wrong)),
    first,
    number(lowest),
  ]


def questions(run: read.Run, shown: list[Dropped]) -> dict[int, str]:
  """Prompt -> its text, where the rollouts are still there.

  Without what all of them begin and end with: that is the template.
  """
  texts = {}
  written = set(read.rollout_steps(run.path))
  for step in sorted({x.step for x in shown} & written):
    path = read.rollout_path(run.path, step)
    columns = read.read_parquet(path, ('prompt', 'prompt_text'))
    pairs = zip(columns['prompt'].tolist(), columns['prompt_text'], strict=True)
    texts.update(dict(pairs))
  return _without_template(texts)


def _without_template(texts: dict[int, str]) -> dict[int, str]:
  """The part of the texts in which they differ, whole words, shortened."""
  values = list(texts.values())
  if len(values) < 2:
    return {key: _shorten(text) for key, text in texts.items()}
  start = _to_space(_common(values))
  end = _to_space(_common([text[start:][::-1] for text in values]))
  return {
    key: _shorten(text[start : len(text) - end]) for key, text in texts.items()
  }


def _common(texts: list[str]) -> str:
  """What all of them begin with."""
  low, high = min(texts), max(texts)
  pairs = enumerate(zip(low, high, strict=False))
  end = next((i for i, (a, b) in pairs if a != b), min(len(low), len(high)))
  return low[:end]


def _to_space(common: str) -> int:
  """How much of what is common ends with a line or a word."""
  return max(common.rfind('\n'), common.rfind(' ')) + 1


def _shorten(text: str) -> str:
  """One line of at most _MAX_QUESTION characters."""
  text = ' '.join(text.split())
  return text if len(text) <= _MAX_QUESTION else f'{text[:_MAX_QUESTION]} …'
