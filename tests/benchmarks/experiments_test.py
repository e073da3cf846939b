# SPDX-License-Identifier: Apache-2.0
"""The runner of experiments, and the tables that it ends in."""

import csv
import importlib.util
import os
import signal
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from srpo_jax import main

BENCHMARKS = Path(__file__).resolve().parents[2] / 'benchmarks'


def load(name):
  """A script of benchmarks/ as a module."""
  spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f'{name}.py')
  module = importlib.util.module_from_spec(spec)
  # Where dataclasses looks for it.
  sys.modules[spec.name] = module
  spec.loader.exec_module(module)
  return module


experiments, tables, forgetting = map(
  load, ('experiments', 'tables', 'forgetting')
)


@pytest.mark.parametrize('name', experiments.EXPERIMENTS)
def test_every_arm_resolves(name, tmp_path, capsys):
  experiment = experiments.EXPERIMENTS[name]
  runs = experiments.commands(experiment, tmp_path / name, 2, [])
  assert len(runs) == 2 * len(experiment.arms)
  configs = set()
  for workdir, command in runs.items():
    assert command[1:3] == ['-m', 'srpo_jax.main']
    assert main.main([*command[3:], '--dry_run']) == 0, workdir
    configs.add(capsys.readouterr().out)
  # Each is another run: of another arm, or of another seed.
  assert len(configs) == len(runs)


def test_seeds_come_whole_and_flags_last(tmp_path):
  regimes = experiments.EXPERIMENTS['regimes']
  runs = experiments.commands(regimes, tmp_path, 2, ['--gin.STEPS=7'])
  order = [f'{path.parent.name}/{path.name}' for path in runs]
  assert order[:4] == [
    'two_stages/0', 'mixed/0', 'mathematics_only/0', 'code_only/0',
  ]  # fmt: skip
  command = runs[tmp_path / 'mixed' / '1']
  steps = [flag for flag in command if flag.startswith('--gin.STEPS')]
  assert steps[-1] == '--gin.STEPS=7'


def test_a_run_starts_where_the_same_arm_and_seed_ended(tmp_path):
  experiment = experiments.EXPERIMENTS['forgetting']
  runs = experiments.commands(experiment, tmp_path / 'forgetting', 2, [])
  start = tmp_path / 'history' / 'no_filter' / '1'
  command = runs[tmp_path / 'forgetting' / 'no_filter' / '1']
  assert f"--gin.INIT_FROM='{start}'" in command


def shell(text):
  return ['/bin/sh', '-c', text]


def test_what_fails_is_told_and_the_rest_is_run(tmp_path):
  bad, good = tmp_path / 'bad', tmp_path / 'good'
  runs = {bad: shell('echo why; exit 1'), good: shell('echo done')}
  handlers = [signal.getsignal(x) for x in (signal.SIGTERM, signal.SIGINT)]
  pool = experiments.Pool(1)
  assert pool.run(runs) == {bad: 1}
  assert not pool.stopped
  assert experiments.log_path(bad).read_text() == 'why\n'
  assert experiments.log_path(good).read_text() == 'done\n'
  now = [signal.getsignal(x) for x in (signal.SIGTERM, signal.SIGINT)]
  assert now == handlers


def test_what_it_starts_from_must_be_done(tmp_path, monkeypatch, capsys):
  flags = ['experiments.py', 'forgetting', f'--out={tmp_path}', '--seeds=1']
  monkeypatch.setattr(sys, 'argv', flags)
  assert experiments.main() == 2
  start = tmp_path / 'history' / 'no_filter' / '0'
  said = f'{start}: not done; run the experiment history first\n'
  assert capsys.readouterr().out == said


def test_a_refusal_ends_it(tmp_path):
  runs = {tmp_path / str(i): shell('exit 2') for i in range(5)}
  assert experiments.Pool(1).run(runs) == {tmp_path / '0': 2}


def test_runs_share_the_cores(tmp_path):
  show = f'{sys.executable} -c "import os; print(os.sched_getaffinity(0))"'
  cores = len(os.sched_getaffinity(0))
  runs = {tmp_path / str(i): shell(show) for i in range(2)}
  experiments.Pool(cores).run(runs)
  for workdir in runs:
    assert len(eval(experiments.log_path(workdir).read_text())) == 1


def test_a_stop_reaches_what_runs(tmp_path):
  ready = tmp_path / 'ready'
  os.mkfifo(ready)
  # It ends with 75 like a trainer, and the next one is not begun.
  run = f'trap "exit 75" TERM; echo > {ready}; while :; do sleep 0.05; done'
  runs = {tmp_path / 'a': shell(run), tmp_path / 'b': shell('exit 0')}

  def stop():
    ready.read_text()
    os.kill(os.getpid(), signal.SIGTERM)

  threading.Thread(target=stop).start()
  pool = experiments.Pool(1)
  assert pool.run(runs) == {tmp_path / 'a': 75}
  assert pool.stopped
  assert not experiments.log_path(tmp_path / 'b').exists()


def write_rows(path, rows):
  with open(path, 'w', newline='') as file:
    writer = csv.DictWriter(file, rows[0])
    writer.writeheader()
    writer.writerows(rows)


def test_tables_of_a_comparison(tmp_path, monkeypatch, capsys):
  row = {'aligned_by': 'rollouts', 'at': 512.0, 'quantity': 'held-out pass@1'}
  other = row | {'quantity': 'loss'}
  by_steps = row | {'aligned_by': 'steps'}
  values = [
    each | {'group': group, 'seed': seed, 'value': value}
    for each in (row, other, by_steps)
    for group, pair in {'a': (0.5, 0.6), 'b': (0.7, 0.7)}.items()
    for seed, value in enumerate(pair)
  ]
  change = {'group': 'b', 'minus': 'a', 'difference': 0.15, 't_low': -0.485}
  change |= {'t_high': 0.785, 'smallest_effect': 0.5}
  write_rows(tmp_path / 'outcome.csv', values)
  write_rows(tmp_path / 'differences.csv', [row | change])
  monkeypatch.setattr(sys, 'argv', ['tables.py', str(tmp_path)])
  assert tables.main() == 0
  text = capsys.readouterr().out
  assert text.count('smallest effect') == 1
  assert 'held-out pass@1, at 512:' in text
  # By hand: 0.55 ± 12.706 · 0.0707 / √2.
  assert '| a | 0.550 (-0.085 to 1.185) |  |  |' in text
  assert '| +0.150 (-0.485 to +0.785) | 0.500 |' in text


def test_a_single_seed_has_no_interval(capsys):
  row = {'quantity': 'q', 'at': '5', 'group': 'a', 'value': '0.5'}
  change = {'group': 'b', 'difference': '0.1', 't_low': '', 't_high': ''}
  change['smallest_effect'] = ''
  tables.print_table('q', [row, row | {'group': 'b'}], [change])
  text = capsys.readouterr().out
  assert '| b | 0.500 (– to –) | +0.100 (– to –) | – |' in text


def write_run(out, arm, seed, kept, right):
  """A run of `history` whose epoch 1 asked 1, 2 and 3, and its evaluation."""
  run = out / 'history' / arm / str(seed)
  (run / 'ledger').mkdir(parents=True)
  (run / 'config.gin').write_text('')
  (run / 'metrics.jsonl').write_text('{"step": 1, "stage": 1, "epoch": 1}\n')
  n = {'stage': 1, 'epoch': 1, 'step': 1, 'judged': 4, 'correct': 4}
  table = {'prompt': pa.array([1, 2, 3], pa.uint64())}
  table |= {name: [value] * 3 for name, value in n.items()}
  table |= {'statuses': ['{"correct": 4}'] * 3, 'kept': kept}
  pq.write_table(pa.table(table), run / 'ledger' / 'epoch_1_1.parquet')
  evals = out / 'forgetting' / arm / str(seed) / 'evals'
  evals.mkdir(parents=True)
  (evals.parent / 'done.json').write_text('{}')
  rows = {'prompt': pa.array([1, 1, 2, 2, 3, 3], pa.uint64())}
  rows['accuracy'] = pa.array(right, pa.float32())
  path = evals / 'embedded_math_step_000000.parquet'
  pq.write_table(pa.table(rows), path)


def test_forgetting_looks_at_what_was_dropped(tmp_path, monkeypatch, capsys):
  for seed in (0, 1):
    gone = [True, False, False]  # 2 and 3 leave
    right = [0, 0, 1, seed, 1, 1]
    write_run(tmp_path, 'history_resampling', seed, gone, right)
    write_run(tmp_path, 'no_filter', seed, [True] * 3, [0, 0, 1, 1, 1, 1])
  monkeypatch.setattr(sys, 'argv', ['forgetting.py', f'--out={tmp_path}'])
  assert forgetting.main() == 0
  text = capsys.readouterr().out
  assert '2 seeds; dropped prompts of a run: [2, 2]' in text
  assert '| pass@1 | 0.875 | 1.000 | -0.125 (' in text
  assert '| with a wrong answer | 0.250 | 0.000 | +0.250 (' in text
  with open(tmp_path / 'forgetting' / 'dropped.csv') as file:
    rows = list(csv.reader(file))
  assert rows[1] == ['0', '2', '1', '0.5', '1.0']
  assert len(rows) == 5
