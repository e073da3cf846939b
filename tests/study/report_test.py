# SPDX-License-Identifier: Apache-2.0
"""The report: what it says, that it stands alone, and the command line."""

import csv
import html
import html.parser
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from srpo_jax.study import __main__ as command
from srpo_jax.study import evaluations, read, report, samples
from srpo_jax.train import tables


class Page(html.parser.HTMLParser):
  """Collects the text, what is linked, ids, and tags left open."""

  VOID = ('meta', 'br', 'img', 'link', 'hr', 'path', 'use', 'rect')

  def __init__(self, text):
    super().__init__()
    self.text, self.links, self.ids, self.open = '', [], [], []
    self.images, self.bad = [], []
    self.feed(text)

  def handle_starttag(self, tag, attributes):
    values = dict(attributes)
    self.ids += [values['id']] if 'id' in values else []
    names = ('href', 'src', 'xlink:href')
    self.links += [values[name] for name in names if name in values]
    self.images += [values['aria-label']] if values.get('role') == 'img' else []
    if tag not in self.VOID:
      self.open.append(tag)

  def handle_startendtag(self, tag, attributes):
    self.handle_starttag(tag, attributes)
    if tag not in self.VOID:
      self.open.pop()

  def handle_endtag(self, tag):
    if tag not in self.VOID and self.open.pop() != tag:
      self.bad.append(tag)

  def handle_data(self, data):
    if not self.open or self.open[-1] != 'style':
      self.text += data


@pytest.fixture(scope='module')
def single(finished_run, tmp_path_factory):
  """The report of one run: (path, page)."""
  out = tmp_path_factory.mktemp('out') / 'deep' / 'report.html'
  assert report.write_report([finished_run], out) == out
  return out, Page(out.read_text())


def test_page_is_well_formed_and_stands_alone(single):
  path, page = single
  assert page.open == page.bad == []
  assert len(set(page.ids)) == len(page.ids)
  outside = [link for link in page.links if not link.startswith('#')]
  assert outside == ['report.csv']
  text = path.read_text()
  assert '<script' not in text
  assert '@import' not in text
  assert not re.search(r'url\((?!#)', text)
  assert 'prefers-color-scheme: dark' in text


def test_page_has_the_figures_with_their_numbers(single):
  _, page = single
  starts = [re.split(r' \(|, from', label)[0] for label in page.images]
  assert starts == [
    'Held-out pass@1: embedded_math',
    'pass@1 on embedded_math by level',
    'Reward',
    'Response length',
    'Groups',
    'Prompts kept',
    'Accuracy in training: math',
  ]
  assert 'all correct: from' in page.text


def test_summary_is_the_paired_interval(single, finished_run):
  _, page = single
  (score,) = evaluations.evaluations(read.read_run(finished_run, 'x'))
  change = score.change
  assert change.low > 0
  assert (
    f'went from {score.first:.3f} at step 0 to {score.last:.3f} at step 60: '
    f'+{change.mean:.3f}, 95% interval +{change.low:.3f} to '
    f'+{change.high:.3f} (paired bootstrap over 120 problems; samples a '
    'problem: 4).'
  ) in page.text
  assert 'chance' not in page.text
  assert 'not finished' not in page.text


def test_facts_and_texts(single):
  _, page = single
  for wanted in ('f00d', 'finished', '@keep_unsolved', 'LEARNING_RATE', '94'):
    assert wanted in page.text
  # Escaped, so that tags of a response are text and not tags.
  assert re.search(r'<think>\d+ & 3 …\n</think><answer>correct', page.text)
  assert 'Step 1' in page.text
  assert 'Step 60' in page.text


def test_equal_runs_give_equal_reports(single, finished_run, tmp_path):
  out = report.write_report([finished_run], tmp_path / 'report.html')
  assert out.read_bytes() == single[0].read_bytes()


def test_numbers_are_beside_the_page(single, finished_run):
  with open(single[0].with_name('report.csv'), newline='') as file:
    rows = list(csv.DictReader(file))
  lines = (finished_run / 'metrics.jsonl').read_text().splitlines()
  assert len(rows) == len(lines) == 61
  for row, line in zip(rows, map(json.loads, lines), strict=True):
    assert row.pop('run') == 'quickstart'
    found = {name: float(text) for name, text in row.items() if text}
    assert found == {k: v for k, v in line.items() if v is not None}


def test_several_runs_lie_over_each_other(finished_run, new_run, tmp_path):
  other = new_run('other <b>', seed=3, steps=20)
  out = report.write_report([finished_run, other], tmp_path / 'both.html')
  page = Page(out.read_text())
  assert page.open == page.bad == []
  assert len(set(page.ids)) == len(page.ids)
  assert '2 runs' in page.text
  assert 'other <b>: pass@1 on the held-out set' in page.text
  assert 'other <b>: step 20' in page.text
  assert 'both.csv' in page.links
  (reward,) = [x for x in page.images if x.startswith('Reward')]
  assert 'quickstart: from' in reward
  assert 'other <b>: from' in reward


def test_a_running_run_is_reported(new_run, tmp_path):
  workdir = new_run('running', steps=3, finished=False)
  with open(workdir / 'metrics.jsonl', 'a') as file:
    file.write('{"step": 4, "reward/me')
  page = _page(workdir, tmp_path)
  assert 'This run has not finished' in page.text
  assert 'there is no later evaluation to compare with' in page.text
  # No epoch has ended: nothing to say of history.
  assert 'always right' not in page.text
  shutil.rmtree(workdir / 'evals')
  shutil.rmtree(workdir / 'rollouts')
  page = _page(workdir, tmp_path)
  assert 'No held-out evaluation has been written yet' in page.text
  assert 'Samples' not in page.text


def test_a_run_that_only_began_is_reported(tmp_path):
  (tmp_path / 'config.gin').write_text('SEED = 3\n')
  page = _page(tmp_path, tmp_path)
  assert 'No step has been written yet.' in page.text
  assert 'SEED' in page.text


def test_a_change_that_may_be_chance_says_so(new_run, tmp_path):
  workdir = new_run('still', steps=2)
  again = read.read_evals(workdir, 'embedded_math', 0)
  again['accuracy'] = np.roll(again['accuracy'], 4)
  again['step'] = np.full(len(again['step']), 2)
  tables.write_evals(workdir, 'embedded_math', 2, again)
  assert (
    'The interval holds 0: this may be chance.' in _page(workdir, tmp_path).text
  )


def test_samples_follow_a_rule_and_long_ones_are_cut():
  status = ['wrong', 'wrong', 'correct', 'wrong', 'wrong', 'wrong']
  table = {
    'status': np.array(status, object),
    'prompt': np.array([9, 9, 9, 9, 4, 7], np.uint64),
    'prompt_text': np.array(list('aaaabc'), object),
    'response_text': np.array(['x' * 5000, *'uvwyz'], object),
    'reward': np.arange(6.0),
    'tokens': np.arange(6),
    'ended': np.ones(6, bool),
  }
  picked = samples.pick(table)
  # Wrong comes first, then correct; then the first of another prompt.
  assert [shown.reward for shown in picked] == [0, 2, 4]
  assert picked[0].response.count('x') == samples.MAX_CHARACTERS
  assert '[… 1000 characters …]' in picked[0].response


def test_history_counts_prompts(tmp_path, new_run):
  workdir = new_run('r', steps=10)
  ((_, _, rows),) = read.read_ledger(workdir)
  asked = [sum(json.loads(text).values()) for text in rows['statuses']]
  assert asked == [8] * 160
  right = int((rows['correct'] == 8).sum())
  never = int(((rows['correct'] == 0) & (rows['judged'] == 8)).sum())
  mixed = 160 - 1 - right - never
  page = _page(workdir, tmp_path)
  # stage, epoch, prompts, ..., and the one prompt that was not all judged.
  assert f'11160{right}{mixed}{never}1' in page.text


def test_command_writes_into_the_workdir(new_run, capsys):
  workdir = new_run('mine', steps=1)
  assert command.main([str(workdir)]) == 0
  assert capsys.readouterr().out == f'{workdir / "report.html"}\n'
  assert (workdir / 'report.html').exists()
  assert (workdir / 'report.csv').exists()


def test_command_compares_in_the_folder_of_the_reader(
  new_run, tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  runs = [new_run('a', steps=1), new_run('b', steps=1)]
  assert command.main([str(run) for run in runs]) == 0
  assert (tmp_path / 'comparison.html').exists()
  assert not (runs[0] / 'report.html').exists()


def test_command_refuses_what_is_no_workdir(tmp_path, capsys):
  assert command.main([str(tmp_path / 'nothing')]) == 2
  error = capsys.readouterr().err
  assert error.count('\n') == 1
  assert str(tmp_path / 'nothing') in error
  assert '--workdir' in error


def test_matplotlib_and_jax_wait_until_they_are_needed():
  # The trainer imports the report at its start.
  code = (
    'import sys; import srpo_jax.study.report; '
    'print([x for x in ("matplotlib", "jax") if x in sys.modules])'
  )
  ran = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert ran.stdout.strip() == '[]'


def _page(workdir, folder):
  """The page of one run."""
  out = report.write_report([workdir], folder / 'report.html')
  return Page(out.read_text())
