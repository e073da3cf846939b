# SPDX-License-Identifier: Apache-2.0
"""Reflection in responses, and code inside mathematics answers.

Read from the rollouts' texts, between reading and the curves. The keyword
lists are a data file, assets/study/patterns.json, and are our own choice: the
paper names the kinds of reflection, not how it found them.
"""

import json
import pathlib
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from srpo_jax.study import plots, read

FILE = pathlib.Path(__file__).parents[1] / 'assets' / 'study' / 'patterns.json'

# Texts are searched in so many steps of a run, evenly spaced, and in fewer
# where their files are large: a report should take seconds.
MAX_STEPS = 200
MAX_BYTES = 300_000_000
# So many files are in memory at a time.
_CHUNK = 20
_COLUMNS = ['step', 'domain', 'tokens', 'response_text']


def expressions(file: pathlib.Path = FILE) -> dict[str, str]:
  """Kind -> one RE2 expression; 'code' and the kinds of reflection."""
  lists = json.loads(file.read_text(encoding='utf-8'))
  found = {
    kind: _keywords(words['en'], words['zh'])
    for kind, words in lists['reflection'].items()
  }
  return {**found, 'code': '|'.join(lists['code']['in_mathematics'])}


def columns(run: read.Run) -> read.Columns:
  """Shares and lengths of each kind, aligned with the run's steps.

  Names: `pattern/<kind>/share` of all responses, `pattern/<kind>/length` in
  tokens, <kind> also 'none' (no reflection); `code_in_math/share`,
  `code_in_math/length` and `no_code_in_math/length` of mathematics answers.
  NaN in steps whose texts were not searched, and for lengths of nothing.
  """
  steps = searched_steps(run)
  wanted = expressions()
  parts = [
    _search(run.path, steps[i : i + _CHUNK], wanted)
    for i in range(0, len(steps), _CHUNK)
  ]
  names = dict.fromkeys(name for part in parts for name in part)
  place = np.searchsorted(run.steps, steps)
  found = {}
  for name in names:
    column = np.full(len(run.steps), np.nan)
    column[place] = np.concatenate([part[name] for part in parts])
    found[name] = column
  return found


def searched_steps(run: read.Run) -> np.ndarray:
  """The steps whose texts are searched."""
  steps = np.intersect1d(read.rollout_steps(run.path), run.steps)
  if not len(steps):
    return steps
  steps = steps[plots.thin(steps, MAX_STEPS)]
  sizes = [read.rollout_path(run.path, x).stat().st_size for x in steps]
  fit = int(len(steps) * MAX_BYTES / max(sum(sizes), 1))
  return steps[plots.thin(steps, max(2, min(fit, len(steps))))]


def _keywords(english: list[str], chinese: list[str]) -> str:
  """One expression for a list of keywords."""
  words = '|'.join(r'\s+'.join(map(re.escape, x.split())) for x in english)
  return '|'.join([rf'(?i:\b(?:{words})\b)', *map(re.escape, chinese)])


def _search(
  workdir: pathlib.Path, steps: np.ndarray, wanted: dict[str, str]
) -> read.Columns:
  """The columns over a few steps."""
  table = pa.concat_tables([_texts(workdir, step) for step in steps])
  place = np.searchsorted(steps, table['step'].to_numpy())
  tokens = table['tokens'].to_numpy().astype(np.float64)
  texts = table['response_text']
  math = pc.equal(table['domain'], 'math').to_numpy()
  hits = {
    kind: pc.match_substring_regex(texts, pattern).to_numpy()
    for kind, pattern in wanted.items()
  }
  code = hits.pop('code')
  hits['none'] = ~np.any(list(hits.values()), axis=0)
  every = np.ones(len(place), bool)
  found = {}
  for kind, hit in hits.items():
    found |= _count(f'pattern/{kind}', place, tokens, hit, every, len(steps))
  found |= _count('code_in_math', place, tokens, code & math, math, len(steps))
  plain = _count(
    'no_code_in_math', place, tokens, ~code & math, math, len(steps)
  )
  return {**found, 'no_code_in_math/length': plain['no_code_in_math/length']}


def _count(
  name: str,
  place: np.ndarray,
  tokens: np.ndarray,
  hit: np.ndarray,
  of: np.ndarray,
  n: int,
) -> read.Columns:
  """By step: the share of `of` that is hit, and the mean length of the hit."""
  hits = np.bincount(place[hit], minlength=n)
  length = np.bincount(place[hit], tokens[hit], minlength=n)
  total = np.bincount(place[of], minlength=n)
  return {
    f'{name}/share': _ratio(hits, total),
    f'{name}/length': _ratio(length, hits),
  }


def _ratio(over: np.ndarray, under: np.ndarray) -> np.ndarray:
  """over / under, NaN where that is nothing."""
  return np.where(under > 0, over / np.maximum(under, 1), np.nan)


def _texts(workdir: pathlib.Path, step: int) -> pa.Table:
  """What is searched of a step."""
  with open(read.rollout_path(workdir, step), 'rb') as file:
    return pq.ParquetFile(file).read(columns=_COLUMNS)
