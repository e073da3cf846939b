# SPDX-License-Identifier: Apache-2.0
"""The report: what it says, that it stands alone, and the command line."""

import csv
import html
import html.parser
import json
import pathlib
import re
import runpy
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from srpo_jax.study import __main__ as command
from srpo_jax.study import evaluations, read, report, samples
from srpo_jax.train import tables

SYNTHETIC = pathlib.Path(__file__).with_name('synthetic.py')


class Page(html.parser.HTMLParser):
  """Collects the text, what is linked, ids, and tags left open."""

  VOID = ('meta', 'br', 'img', 'link', 'hr', 'path', 'use', 'rect', 'input')

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
    if not self.open or self.open[-1] not in ('style', 'script'):
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
  # The one script sorts tables; it is on the page, and asks for nothing.
  assert text.count('<script') == text.count('<script>\n') == 1
  assert not re.search(r'fetch|import|src=|http', text.split('<script>')[1])
  assert '@import' not in text
  assert not re.search(r'url\((?!#)', text)
  assert 'prefers-color-scheme: dark' in text


def test_page_has_the_figures_with_their_numbers(single):
  _, page = single
  starts = [re.split(r' \(|, from', label)[0] for label in page.images]
  assert starts == [
    'Held-out pass@1: embedded_math',
    'Held-out response length: embedded_math',
    'pass@1 on embedded_math by level',
    'Reward',
    'Accuracy in training: math',
    'Response length: math',
    'Groups',
    'Prompts kept',
    'Tokens spent',
    'Verdicts',
    'Reflection',
    'Length of responses with reflection',
    'Code in mathematics answers',
    'Length of mathematics answers',
  ]
  # Each says its numbers in words.
  assert all(re.search(r'\d+\.\d{3}|step \d+', x) for x in page.images)
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
  assert re.search(r'<think>\d+ & 3 …\n[^<]*</think><answer>correct', page.text)
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
    # And what was derived from the files beside it.
    derived = ('total/', 'pattern/', 'code_in_math', 'no_code_in_math')
    found = {k: v for k, v in found.items() if not k.startswith(derived)}
    assert found == {k: v for k, v in line.items() if v is not None}


@pytest.fixture(scope='module')
def compared(tmp_path_factory):
  """A comparison of two settings with two seeds: (path, page)."""
  make_run = runpy.run_path(str(SYNTHETIC))['make_run']
  folder = tmp_path_factory.mktemp('runs')
  runs = [
    make_run(folder / f'{rule}.{seed}', seed, 30, rule=rule, stage2_at=16)
    for rule in ('keep_unsolved', 'keep_all')
    for seed in (0, 1)
  ]
  out = tmp_path_factory.mktemp('out')
  arguments = [*map(str, runs), f'--out={out}']
  assert command.main(arguments) == 0
  path = out / 'comparison.html'
  return path, Page(path.read_text())


def test_a_comparison_is_well_formed_and_stands_alone(compared):
  path, page = compared
  assert page.open == page.bad == []
  assert len(set(page.ids)) == len(page.ids)
  outside = [link for link in page.links if not link.startswith('#')]
  assert outside == ['comparison.csv']
  text = path.read_text()
  assert not re.search(r'url\((?!#)|src=|@import', text)
  assert 'keep_unsolved against keep_all' in page.text


def test_a_comparison_has_every_figure_by_every_alignment(compared):
  _, page = compared
  titles = {}
  for label in page.images:
    title, unit = re.match(r'(.+?) \(.+?\), over (\w+)\.', label).groups()
    titles.setdefault(title, []).append(unit)
    assert 'keep_unsolved: from' in label
    assert 'stage 2 begins at' in label
  every = ['rollouts', 'steps', 'tokens']
  assert len(titles) > 20
  assert titles.pop('Tokens spent') == ['steps', 'rollouts']
  assert all(sorted(units) == every for units in titles.values())
  assert {'by-steps', 'by-rollouts', 'by-tokens'} <= set(page.ids)


def test_a_comparison_says_what_came_of_it(compared):
  _, page = compared
  assert re.search(
    r'held-out pass@1 on embedded_math: keep_all minus keep_unsolved is '
    r'[+−]0\.\d{3}; 95% t-interval over 2 paired seeds [+−]\d',
    page.text,
  )
  assert 'effect that they would have shown with 80% power' in page.text
  assert 'keep_unsolved, mean of 2 seeds' in page.text
  assert 'sortable prompts' in compared[0].read_text()


def test_figures_are_files_too(compared):
  folder = compared[0].parent / 'figures'
  names = {path.name for path in folder.iterdir()}
  for unit in ('steps', 'rollouts', 'tokens'):
    assert {f'reward_by_{unit}.svg', f'reward_by_{unit}.png'} <= names
    root = ET.parse(folder / f'reward_by_{unit}.svg').getroot()
    assert root.get('width').endswith('pt')
    assert 'Reward (mean of a step)' in ''.join(root.itertext())
    assert 'var(' not in (folder / f'reward_by_{unit}.svg').read_text()
    png = (folder / f'reward_by_{unit}.png').read_bytes()
    assert png.startswith(b'\x89PNG')


def test_every_number_of_a_figure_is_in_its_csv(compared):
  folder = compared[0].parent / 'figures'
  rows = _rows(folder / 'reward.csv')
  assert len(rows) == 4 * 30
  assert {row['group'] for row in rows} == {'keep_unsolved', 'keep_all'}
  last = rows[29]
  assert (last['run'], last['seed']) == ('keep_unsolved.0', '0')
  assert (last['step'], last['stage'], last['metric']) == (
    '30',
    '2',
    'reward/mean',
  )
  assert float(last['rollouts']) > 3000 < float(last['tokens'])
  lines = _rows(folder / 'reward_lines.csv')
  assert {x['aligned_by'] for x in lines} == {'steps', 'rollouts', 'tokens'}
  assert all(float(x['low']) <= float(x['value']) for x in lines)
  for name in ('outcome', 'differences'):
    assert len(_rows(compared[0].parent / f'{name}.csv')) > 10
  assert (folder / 'dropped_prompts.csv').exists()


def test_names_are_escaped(finished_run, new_run, tmp_path):
  other = new_run('other <b>', steps=20)
  out = report.write_report(
    [finished_run, other], tmp_path / 'both.html', labels=['<one>', '&two']
  )
  page = Page(out.read_text())
  assert page.open == page.bad == []
  assert '<one> against &two' in page.text
  assert '<one>&two' in page.text.replace('\n', '')
  assert not (tmp_path / 'figures').exists()
  assert 'other <b>: step 20' in page.text
  assert 'both.csv' in page.links


def test_a_comparison_with_a_run_that_only_began(finished_run, tmp_path):
  (tmp_path / 'new').mkdir()
  (tmp_path / 'new' / 'config.gin').write_text('SEED = 3\n')
  runs = [finished_run, tmp_path / 'new']
  page = Page(report.write_report(runs, tmp_path / 'x.html').read_text())
  assert 'nothing can be compared' in page.text
  assert 'Not finished: new' in page.text


def test_an_old_workdir_opens(new_run, tmp_path):
  # No verdicts, no length by domain, no ledger, no texts; no rollouts at all.
  runs = [new_run('old', steps=6), new_run('older', steps=6, seed=1)]
  for run in runs:
    text = (run / 'metrics.jsonl').read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    gone = ('verdict/', 'response_length/math', 'eval/')
    with open(run / 'metrics.jsonl', 'w') as file:
      for line in lines:
        kept = {k: v for k, v in line.items() if not k.startswith(gone)}
        file.write(json.dumps(kept) + '\n')
    shutil.rmtree(run / 'rollouts')
  page = _page(runs[0], tmp_path)
  assert 'Verdicts' not in page.text
  assert 'Response length tokens' in page.text
  out = report.write_report(runs, tmp_path / 'both.html')
  page = Page(out.read_text())
  # Nothing tells the rollouts: PROMPTS_PER_STEP is not in the config.
  assert 'by-tokens' in page.ids
  assert 'by-rollouts' not in page.ids


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


def test_command_compares_beside_the_first(tmp_path, monkeypatch):
  asked = []
  write = lambda *args, **kwargs: asked.append((args, kwargs))
  monkeypatch.setattr(report, 'write_report', write)
  runs = [tmp_path / 'a', tmp_path / 'b']
  labels = ['--label=one', '--label=two']
  assert command.main([*map(str, runs), *labels]) == 0
  out = tmp_path / 'comparison' / 'comparison.html'
  assert asked == [((runs, out), {'labels': ['one', 'two'], 'files': True})]


def test_command_writes_the_figures_and_the_trainer_does_not(new_run, tmp_path):
  workdir = new_run('mine', steps=1)
  report.write_report([workdir], workdir / 'report.html')
  assert not (workdir / 'figures').exists()
  assert command.main([str(workdir), f'--out={tmp_path / "out"}']) == 0
  assert (tmp_path / 'out' / 'report.html').exists()
  assert (tmp_path / 'out' / 'figures' / 'reward.png').exists()
  assert (tmp_path / 'out' / 'figures' / 'reward.csv').exists()


def test_command_refuses_a_file_to_write_into(new_run, tmp_path, capsys):
  workdir = new_run('mine', steps=1)
  assert command.main([str(workdir), f'--out={tmp_path / "x.html"}']) == 2
  assert 'not a folder' in capsys.readouterr().err


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


def _rows(path):
  """The rows of a CSV file."""
  with open(path, newline='') as file:
    return list(csv.DictReader(file))


def _page(workdir, folder):
  """The page of one run."""
  out = report.write_report([workdir], folder / 'report.html')
  return Page(out.read_text())
