# SPDX-License-Identifier: Apache-2.0
"""evaluate.gin: figures, files, resuming, and what is refused."""

import csv
import io
import json
import types

import numpy as np
import pyarrow.parquet as pq
import pytest
import rich.console

from srpo_jax import main
from srpo_jax.data import prompts
from srpo_jax.jobs import (
  eval_parts,
  eval_progress,
  eval_results,
  evaluate,
  scoring,
  stopping,
)
from srpo_jax.study.pass_at_k import pass_at_k
from srpo_jax.train import tables

NAME = 'embedded_math/test'
TIMES = ('seconds', 'tokens_per_s')


def outcome(workdir) -> dict:
  """What is the same however often an evaluation was stopped."""
  results = json.loads((workdir / 'results.json').read_text())
  for figures in results['sets']:
    for name in TIMES:
      del figures[name]
  files = sorted((workdir / 'samples').rglob('*.parquet'))
  return {
    'results': results,
    **{str(p.relative_to(workdir)): p.read_bytes() for p in files},
  }


@pytest.fixture(scope='module')
def whole(evaluation, tmp_path_factory):
  """An evaluation that nothing stopped: (its workdir, what it printed)."""
  workdir = tmp_path_factory.mktemp('evaluations') / 'whole'
  ran = evaluation(workdir)
  assert ran.returncode == 0, ran.stdout + ran.stderr
  return workdir, ran.stdout


def test_figures_are_those_of_the_samples(whole):
  workdir, _ = whole
  (figures,) = json.loads((workdir / 'results.json').read_text())['sets']
  paths = sorted((workdir / 'samples' / NAME).glob('*.parquet'))
  rows = [row for path in paths for row in pq.read_table(path).to_pylist()]
  assert len(paths) == 3
  assert len(rows) == 24
  by_problem = {}
  for row in rows:
    by_problem.setdefault(row['prompt'], []).append(row['accuracy'])
  assert {len(right) for right in by_problem.values()} == {2}
  shares = [sum(right) / 2 for right in by_problem.values()]
  assert 0 < sum(shares) < 12  # else nothing below says anything
  assert figures['pass@1'] == pytest.approx(sum(shares) / 12)
  # With two samples, pass@2 is whether one of them is right.
  either = [max(right) for right in by_problem.values()]
  assert figures['pass@2'] == pytest.approx(sum(either) / 12)
  assert figures['pass@1_low'] < figures['pass@1'] < figures['pass@1_high']
  assert figures['problems'] == 12
  assert figures['tokens'] == sum(row['tokens'] for row in rows)
  assert figures['response_length'] == pytest.approx(figures['tokens'] / 24)
  ended = sum(row['ended'] for row in rows)
  assert figures['truncated'] == pytest.approx(1 - ended / 24)
  assert sum(figures['statuses'].values()) == 24
  assert figures['unjudged'] == 0


def test_the_problems_are_the_first_by_id(whole):
  workdir, _ = whole
  asked = np.unique(tables.read_samples(workdir, NAME)['prompt'])
  assert asked.tolist() == prompts.load(NAME).ids[:12].tolist()


def test_the_table_is_shown_and_written(whole):
  workdir, said = whole
  (figures,) = json.loads((workdir / 'results.json').read_text())['sets']
  shown = f'{figures["pass@1"]:.3f} ({figures["pass@1_low"]:.3f} to '
  assert shown in said
  assert shown in (workdir / 'results.md').read_text()
  with open(workdir / 'results.csv') as file:
    (line,) = csv.DictReader(file)
  assert float(line['pass@2']) == figures['pass@2']
  assert int(line['status/correct']) == figures['statuses']['correct']
  assert '12/12  pass@1' in said


def test_on_a_terminal_of_80_columns_no_figure_is_cut(whole):
  workdir, _ = whole
  file = io.StringIO()
  console = rich.console.Console(file=file, force_terminal=True, width=80)
  eval_results.show(workdir, console)
  results = json.loads((workdir / 'results.json').read_text())
  _, rows = eval_results.cells(results)
  for cell in rows[0]:
    assert cell in file.getvalue()


def test_a_finished_one_is_left_alone(whole, evaluation):
  workdir, said = whole
  times = {p: p.stat().st_mtime_ns for p in workdir.rglob('*') if p.is_file()}
  again = evaluation(workdir)
  assert again.returncode == 0
  assert again.stdout.startswith(f'{workdir}: already done\n')
  # The same table, without what went before it.
  assert said.endswith(again.stdout.split('\n', 1)[1])
  assert times == {p: p.stat().st_mtime_ns for p in times}


def test_stopped_and_resumed_is_the_same_bit_for_bit(
  whole, evaluation, tmp_path
):
  """Asked to stop after a batch, then killed in one, then left alone."""
  workdir = tmp_path / 'run'
  ran = evaluation(workdir, signalled=(0, 'SIGTERM'))
  assert ran.returncode == 75
  (line,) = ran.stderr.strip().splitlines()
  assert 'stopped, with 4 of 12 problems asked (SIGTERM); run the same' in line
  ran = evaluation(workdir, signalled=(2, 'SIGKILL'))
  assert ran.returncode == -9
  assert not (workdir / 'results.json').exists()
  ran = evaluation(workdir)
  assert ran.returncode == 0, ran.stderr
  # It did not begin anew.
  assert f'{NAME}  8/12' in ran.stdout.splitlines()[1]
  assert outcome(workdir) == outcome(whole[0])


def test_no_batch_is_begun_once_it_was_asked_to_stop(tmp_path, monkeypatch):
  def never(*_):
    raise AssertionError('a batch was begun')

  monkeypatch.setattr(evaluate, 'ask_batch', never)
  bench = types.SimpleNamespace(
    asked=types.SimpleNamespace(name=NAME),
    prompts=prompts.load(NAME),
    too_long=0,
    batch=4,
  )
  stop = stopping.Stop()
  stop.ask()
  with (
    eval_progress.EvalProgress({NAME: 192}, 'x') as progress,
    pytest.raises(stopping.Stopped),
  ):
    evaluate.ask(tmp_path, bench, None, None, stop, progress)


def test_another_config_is_refused(whole, capsys):
  flags = ['--gin_file=evaluate.gin', f'--workdir={whole[0]}']
  assert main.main([*flags, '--gin.EVAL_LIMIT=11']) == 2
  assert 'EVAL_LIMIT = 12 there, 11 here' in capsys.readouterr().err


def test_samples_do_not_depend_on_the_batch(whole, evaluation, tmp_path):
  assert evaluation(tmp_path / 'run', EVAL_ROWS=24).returncode == 0
  one, other = (
    tables.read_samples(w, NAME) for w in (whole[0], tmp_path / 'run')
  )
  for name in ('prompt', 'sample', 'response_text', 'accuracy'):
    assert one[name].tolist() == other[name].tolist()


def test_it_equals_the_evaluation_in_training(whole_run, evaluation, tmp_path):
  """The same policy, keys and settings: the same figure."""
  ran = evaluation(
    tmp_path / 'run',
    INIT_FROM=whole_run,
    EVAL_LIMIT=None,
    EVAL_SAMPLES=1,
    EVAL_ROWS=32,
    MAX_PROMPT_TOKENS=6,
    PASS_AT='()',
  )
  assert ran.returncode == 0, ran.stderr
  lines = (whole_run / 'metrics.jsonl').read_text().splitlines()
  last = json.loads(lines[-1])
  results = json.loads((tmp_path / 'run' / 'results.json').read_text())
  (figures,) = results['sets']
  assert figures['pass@1'] == pytest.approx(last['eval/embedded_math/pass@1'])
  done = json.loads((whole_run / 'done.json').read_text())
  assert results['fingerprint'] == done['fingerprint']
  step = f'{NAME.split("/")[0]}_step_{last["step"]:06d}.parquet'
  theirs = pq.read_table(whole_run / 'evals' / step).sort_by('prompt')
  ours = tables.read_samples(tmp_path / 'run', NAME)
  assert theirs['prompt'].to_pylist() == ours['prompt'].tolist()
  assert theirs['response_text'].to_pylist() == ours['response_text'].tolist()
  assert figures['too_long'] == 192 - figures['problems'] > 0
  assert f'{figures["too_long"]} problems are longer than' in ran.stdout


@pytest.fixture
def refuse(tmp_path, capsys, monkeypatch):
  """Evaluates in this process; it must end with 2 and one line."""

  def no_work(*_, **__):
    raise AssertionError('something was started before the refusal')

  monkeypatch.setattr(eval_parts, 'make_bench', no_work)
  monkeypatch.setattr(scoring, 'launch_service', no_work)

  def run(*overrides: str, files=()) -> str:
    flags = [f'--gin.{o}' for o in overrides]
    names = [f'--gin_file={name}' for name in ('evaluate.gin', *files)]
    status = main.main([*names, f'--workdir={tmp_path}/run', *flags])
    said = capsys.readouterr()
    assert status == 2, said.err
    (line,) = said.err.strip().splitlines()
    return line

  return run


@pytest.mark.parametrize(
  ('override', 'wanted'),
  [
    ('EVAL_SAMPLES=0', 'EVAL_SAMPLES = 0, but it must be an integer'),
    ('TEMPERATURE=0', 'EVAL_SAMPLES = 4, but it must be 1 at temperature 0'),
    ('TEMPERATURE=-1', 'TEMPERATURE = -1, but it must be a number'),
    ('TOP_P=0', 'TOP_P = 0, but it must be above 0'),
    ('TOP_K=-1', 'TOP_K = -1, but it must be an integer'),
    ('EVAL_LIMIT=0', 'EVAL_LIMIT = 0, but it must be an integer'),
    ('MAX_NEW_TOKENS=0', 'MAX_NEW_TOKENS = 0, but it must be an integer'),
    ('MAX_PROMPT_TOKENS=1', 'none of 192 prompts has at most 1'),
    ('PASS_AT=(5,)', 'PASS_AT = (5,), but it must have no k above 4'),
    ('PASS_AT=(0,)', 'PASS_AT = 0, but it must be an integer'),
    ('PASS_AT=4', 'PASS_AT = 4, but it must be several k'),
    ('CONFIDENCE=1', 'CONFIDENCE = 1, but it must be between 0 and 1'),
    ('EVAL_ROWS=3', 'EVAL_ROWS = 3, but it must be an integer, at least 4'),
    ('SETS=()', 'SETS = (), but it must be one or more EvalSets'),
    ("SETS=('gsm8k/test',)", 'but it must be one or more EvalSets'),
    (
      'SETS=(@gsm8k/EvalSet(), @gsm8k/EvalSet())',
      "SETS = 'gsm8k/test', but it must name each set once",
    ),
    ('SETS=(@gsm9k/EvalSet(),)', 'gsm9k/EvalSet.name = None, but it must'),
    ('embedded_math/EvalSet.samples=0', 'embedded_math/EvalSet.samples = 0'),
    ('embedded_math/EvalSet.name=gsm8k', 'but it must be a SET/SPLIT'),
    ('embedded_math/EvalSet.name=gsm9k/test', 'gsm9k/test: no such prompt set'),
    (
      "embedded_math/EvalSet.window=('2024-01-01', '2024-01-02')",
      'its problems have no dates',
    ),
    ("livecodebench/EvalSet.window=('2024-08', '2025-01')", 'two days'),
    ('TEMPLATE=short', "TEMPLATE = 'short', but it must be a function"),
    ('INIT_FROM=nowhere', "INIT_FROM = 'nowhere': neither"),
    ('DATA_DIR=nowhere', 'DATA_DIR nowhere: no such folder'),
    ('MESH=(3,1,1)', 'MESH = (3, 1, 1) does not fit the'),
    ('MESH=(1,1)', 'MESH = (1, 1), but it must be three counts'),
    ('REWARD_ADDRESS=10.0.0.1:80', "REWARD_ADDRESS = '10.0.0.1:80', but it"),
    ('REWARD_DEADLINE=0', 'REWARD_DEADLINE = 0, but it must be above 0'),
    ("CODE_LIMITS={'cpu_s': 0}", 'but it must be limits of a program'),
    ('COMPUTE_DTYPE=float8', "COMPUTE_DTYPE = 'float8', but it must be one"),
    ('SEED=-1', 'SEED = -1, but it must be an integer'),
    ('STEPS=3', 'nothing uses a macro STEPS'),
    ('SLOTS=0', 'SLOTS = 0, but it must be an integer'),
    ('CACHE_DTYPE=int4', "CACHE_DTYPE = 'int4', but it must be one of"),
  ],
)
def test_what_is_wrong_is_one_line(
  refuse, tmp_path, monkeypatch, override, wanted
):
  loaded = lambda *_: pytest.fail('weights were loaded before the refusal')
  monkeypatch.setattr(eval_parts.initial, 'params', loaded)
  more = ['SETS=(@livecodebench/EvalSet(),)'] * override.startswith('live')
  assert wanted in refuse(*more, override)
  left = sorted(p.name for p in tmp_path.glob('run/*'))
  assert left in ([], ['config.gin'])


def test_a_mesh_that_needs_more_rows_says_so(refuse, monkeypatch):
  monkeypatch.setattr(eval_parts.mesh_lib, 'decode_shards', lambda _: 100)
  wanted = 'EVAL_ROWS = 256, but it must hold 4 samples of a problem of'
  assert wanted in refuse()


@pytest.mark.parametrize('field', ['fingerprint', 'problems', 'checkpoint'])
def test_another_policy_or_set_than_it_began_with_is_refused(
  refuse, whole, tmp_path, field
):
  begun = json.loads((whole[0] / 'begun.json').read_text())
  (tmp_path / 'run').mkdir()
  other = {'problems': {NAME: '0'}}.get(field, str(tmp_path / 'gone'))
  changed = json.dumps(begun | {field: other})
  (tmp_path / 'run' / 'begun.json').write_text(changed)
  line = refuse('SETS=(@embedded_math/EvalSet(),)', 'EVAL_LIMIT=12')
  assert f'{tmp_path}/run/begun.json: ' in line
  assert 'new --workdir' in line


def test_a_damaged_file_of_samples_is_named(tmp_path):
  folder = tmp_path / 'samples' / NAME
  folder.mkdir(parents=True)
  (folder / '0000.parquet').write_bytes(b'PAR1')
  with pytest.raises(tables.ConfigError, match=r'0000\.parquet: .*delete it'):
    tables.read_samples(tmp_path, NAME)


class Told:
  """Settings as far as figures read them."""

  pass_at, confidence = (2, 4), 0.95


def test_unjudged_samples_are_left_out():
  columns = {
    'prompt': np.array([7, 7, 7, 9, 9, 9, 4, 4, 4], np.uint64),
    'accuracy': np.array([1, 0, np.nan, 1, np.nan, np.nan, *[np.nan] * 3]),
  }
  n_P, c_P = eval_results.judged(columns)
  assert (n_P.tolist(), c_P.tolist()) == ([0, 2, 1], [0, 1, 1])
  found = eval_results.passes(n_P, c_P, Told, samples=3)
  # Problem 4 has no judged sample; 9 has one, too few for pairs.
  assert found['pass@1'] == (0.5 + 1) / 2
  assert found['pass@1_problems'] == 2
  assert found['pass@2'] == pass_at_k([2], [1], 2)[0] == 1
  assert found['pass@2_problems'] == 1
  assert 'pass@4' not in found


def test_nothing_judged_is_null_and_not_nan():
  found = eval_results.passes(np.zeros(2), np.zeros(2), Told, samples=1)
  assert found['pass@1'] is None
  json.dumps(found, allow_nan=False)
