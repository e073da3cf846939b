# SPDX-License-Identifier: Apache-2.0
"""Keywords of reflection and code in mathematics, counted by step."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from srpo_jax.study import patterns, read
from srpo_jax.train import tables

CASES = {
  'recheck': (
    'Let me CHECK this.',
    'I re-check it',
    'double\n check',
    '请验算一下',
  ),
  'hesitation': ('Wait, no', 'hmm', "that doesn't seem right", '等等，不对'),
  'exploration': ('Alternatively 3', 'another  way', '换个思路'),
  'code': ('a\n```python\nx', 'def f(x):\n', 'so print(3)', ' import math'),
}
# Parts of words, and prose that only sounds like it.
NOT = (
  'We await the waiter',
  'a checkpoint',
  'the import of 3',
  'define f(x): 3',
)


@pytest.mark.parametrize('kind', CASES)
def test_keywords(kind):
  texts = pa.array([*CASES[kind], *NOT])
  hit = pc.match_substring_regex(texts, patterns.expressions()[kind])
  assert hit.to_pylist() == [True] * len(CASES[kind]) + [False] * len(NOT)


def test_the_lists_say_that_they_are_ours():
  lists = json.loads(patterns.FILE.read_text(encoding='utf-8'))
  assert 'Our choice' in lists['note']
  assert set(lists['reflection']) == {'recheck', 'hesitation', 'exploration'}
  for words in lists['reflection'].values():
    assert len(words['en']) > 5
    assert len(words['zh']) > 5


def write(workdir, rows):
  """A workdir of {step: [(domain, tokens, text), ...]}."""
  lines = [json.dumps({'step': step}) + '\n' for step in [0, *rows]]
  (workdir / 'metrics.jsonl').write_text(''.join(lines))
  for step, answers in rows.items():
    n = len(answers)
    domain, tokens, text = zip(*answers, strict=True)
    known = {'step': [step] * n, 'domain': domain, 'tokens': tokens}
    known |= {'response_text': text, 'ended': [True] * n, 'status': ['x'] * n}
    known |= {'prompt_text': ['?'] * n}
    table = {name: known.get(name, [1] * n) for name in tables.ROLLOUTS.names}
    tables.write_rollouts(workdir, step, table)
  return read.read_run(workdir, 'x')


def test_shares_and_lengths_by_step(tmp_path):
  rows = {
    1: [('math', 10, 'wait'), ('math', 20, 'print(1)'), ('code', 2, 'print(')],
    2: [('code', 4, 'wait, verify'), ('code', 6, 'so')],
  }
  found = patterns.columns(write(tmp_path, rows))
  # Step 0 has no texts. 'nan' compares by assert_equal.
  nan = np.nan
  wanted = {
    'pattern/hesitation/share': [nan, 1 / 3, 1 / 2],
    'pattern/hesitation/length': [nan, 10, 4],
    'pattern/recheck/share': [nan, 0, 1 / 2],
    'pattern/recheck/length': [nan, nan, 4],
    'pattern/none/share': [nan, 2 / 3, 1 / 2],
    'pattern/none/length': [nan, 11, 6],
    # Of the two mathematics answers; a program holds code, of course.
    'code_in_math/share': [nan, 1 / 2, nan],
    'code_in_math/length': [nan, 20, nan],
    'no_code_in_math/length': [nan, 10, nan],
  }
  for name, column in wanted.items():
    np.testing.assert_allclose(found[name], column, err_msg=name)


def test_long_runs_are_searched_in_part(tmp_path, monkeypatch):
  run = write(tmp_path, {s: [('math', 1, 'wait')] for s in range(1, 12)})
  assert patterns.searched_steps(run).tolist() == list(range(1, 12))
  monkeypatch.setattr(patterns, 'MAX_STEPS', 3)
  assert patterns.searched_steps(run).tolist() == [1, 6, 11]
  share = patterns.columns(run)['pattern/hesitation/share']
  assert np.flatnonzero(~np.isnan(share)).tolist() == [1, 6, 11]
  monkeypatch.setattr(patterns, 'MAX_BYTES', 1)
  assert patterns.searched_steps(run).tolist() == [1, 11]


def test_a_run_without_rollouts_has_none(tmp_path):
  (tmp_path / 'metrics.jsonl').write_text('{"step": 1, "loss": 1}\n')
  assert patterns.columns(read.read_run(tmp_path, 'x')) == {}
