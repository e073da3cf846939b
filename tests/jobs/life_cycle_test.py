# SPDX-License-Identifier: Apache-2.0
"""A run's life: finished, killed, asked to stop, starved, resumed."""

import json
import os
import re
import signal
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from srpo_jax.train.checkpoint import CheckpointConfig, Checkpoints


def metrics(workdir: Path) -> list[dict]:
  """Every line, without times and speeds."""
  lines = (workdir / 'metrics.jsonl').read_text().splitlines()
  return [
    {
      k: v
      for k, v in json.loads(line).items()
      if not k.startswith(('time/', 'speed/'))
    }
    for line in lines
  ]


def tables(workdir: Path) -> dict[str, dict]:
  return {
    str(path.relative_to(workdir)): pq.read_table(path).to_pydict()
    for path in sorted(workdir.rglob('*.parquet'))
  }


def same(a, b) -> bool:
  """Equal, with NaN equal to NaN."""
  return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def checkpoint_files(workdir: Path) -> dict[str, bytes]:
  """The newest checkpoint's arrays, read back."""
  import orbax.checkpoint as ocp

  checkpoints = Checkpoints(workdir, CheckpointConfig())
  step = checkpoints.latest()
  checkpoints.close()
  folder = workdir.absolute() / 'checkpoints' / str(step)
  import jax

  found = {}
  with ocp.StandardCheckpointer() as reader:
    for item in ('state', 'history'):
      tree = reader.restore(folder / item)
      for path, x in jax.tree_util.tree_leaves_with_path(tree):
        name = f'{item}{jax.tree_util.keystr(path)}'
        found[name] = np.asarray(x).tobytes()
  found['position'] = json.dumps(
    json.loads((folder / 'position' / 'metadata').read_text())
  ).encode()
  return found


def assert_same_run(one: Path, other: Path) -> None:
  a, b = (json.loads((w / 'done.json').read_text()) for w in (one, other))
  assert a['fingerprint'] == b['fingerprint']
  assert same(metrics(one), metrics(other))
  assert same(tables(one), tables(other))
  assert checkpoint_files(one) == checkpoint_files(other)


def test_a_finished_run_has_all_its_files(whole_run):
  names = {p.name for p in whole_run.iterdir()}
  assert {
    'config.gin', 'operative.gin', 'metrics.jsonl', 'tb', 'rollouts', 'evals',
    'checkpoints', 'ledger', 'report.html', 'done.json', 'policy',
  } <= names  # fmt: skip
  lines = metrics(whole_run)
  assert [line['step'] for line in lines] == list(range(11))
  evaluated = [l['step'] for l in lines if 'eval/embedded_math/pass@1' in l]
  assert evaluated == [0, 3, 6, 9, 10]
  assert all(np.isfinite(line['loss']) for line in lines[1:])
  # The paper's numbers are on-policy: sampler and trainer agree.
  assert all(line['mismatch/kl'] < 1e-6 for line in lines[1:])
  assert len(list((whole_run / 'rollouts').iterdir())) == 10
  done = json.loads((whole_run / 'done.json').read_text())
  assert done['step'] == 10
  assert re.fullmatch('[0-9a-f]{64}', done['fingerprint'])


def test_a_rerun_of_a_finished_run_does_nothing(whole_run, runner):
  before = (whole_run / 'metrics.jsonl').read_bytes()
  again = runner.run(whole_run)
  assert again.returncode == 0
  assert 'already done' in again.stdout
  assert (whole_run / 'metrics.jsonl').read_bytes() == before


def test_killed_twice_it_ends_with_the_same_bits(whole_run, runner, tmp_path):
  workdir = tmp_path / 'run'
  # Step 3 lies past the checkpoint of step 2, step 7 past that of step 6 and
  # in the second epoch.
  for step in (3, 7):
    process = runner.start(workdir)
    runner.wait_for_step(process, workdir, step)
    runner.kill(process)
  last = runner.run(workdir)
  assert last.returncode == 0, last.stdout + last.stderr
  assert_same_run(whole_run, workdir)


def test_sigterm_saves_exits_75_and_goes_on(whole_run, runner, tmp_path):
  workdir = tmp_path / 'run'
  process = runner.start(workdir)
  runner.wait_for_step(process, workdir, 3)
  process.send_signal(signal.SIGTERM)
  said = process.communicate()[0]
  assert process.returncode == 75, said
  assert 'checkpoint written (SIGTERM)' in said
  assert not (workdir / 'done.json').exists()
  assert runner.run(workdir).returncode == 0
  assert_same_run(whole_run, workdir)


def test_a_damaged_newest_checkpoint_is_skipped(whole_run, runner, tmp_path):
  workdir = tmp_path / 'run'
  checkpoints = workdir / 'checkpoints'
  process = runner.start(workdir)
  # By its manifest: a checkpoint is written while the steps go on, and the
  # test wants a finished one and one before it.
  runner.wait_for_file(process, checkpoints / '4.sha256.json')
  runner.kill(process)
  sealed = [int(p.name.split('.')[0]) for p in checkpoints.glob('*.json')]
  newest = checkpoints / str(max(sealed))
  target = max(
    (p for p in newest.rglob('*') if p.is_file()),
    key=lambda p: p.stat().st_size,
  )
  data = bytearray(target.read_bytes())
  data[len(data) // 2] ^= 1
  target.write_bytes(data)
  last = runner.run(workdir)
  assert last.returncode == 0, last.stdout + last.stderr
  said = last.stdout + last.stderr
  assert f'checkpoint {newest.name} is skipped' in said
  assert 'programs were compiled' in said
  assert_same_run(whole_run, workdir)


@pytest.mark.parametrize('served_for', [2])
def test_a_service_that_stops_answering_ends_in_75(
  runner, tmp_path, served_for, whole_run
):
  from srpo_jax.reward.client import launch_service

  workdir = tmp_path / 'run'
  with launch_service(workers=1) as service:
    # Long enough for a slow machine's answers, short enough for a test.
    given = {'REWARD_ADDRESS': service.address, 'REWARD_DEADLINE': 8}
    process = runner.start(workdir, **given)
    runner.wait_for_step(process, workdir, served_for)
  said = process.communicate()[0]
  assert process.returncode == 75, said
  assert 'checkpoint written' in said
  # Where the service is cannot change the result: its own one may finish it.
  assert runner.run(workdir, REWARD_DEADLINE=8).returncode == 0
  a, b = (
    json.loads((w / 'done.json').read_text()) for w in (whole_run, workdir)
  )
  assert a['fingerprint'] == b['fingerprint']


def service_of(trainer: int) -> int:
  """The process number of the reward service that a trainer started."""
  for folder in Path('/proc').glob('[0-9]*'):
    try:
      parent = (folder / 'stat').read_text().rpartition(')')[2].split()[1]
      command = (folder / 'cmdline').read_bytes()
    except OSError:
      continue  # It has ended meanwhile.
    if int(parent) == trainer and b'srpo_jax.reward.service' in command:
      return int(folder.name)
  raise LookupError(f'{trainer} has no reward service')


def test_a_service_killed_in_a_run_changes_nothing(whole_run, runner, tmp_path):
  workdir = tmp_path / 'run'
  process = runner.start(workdir)
  for step in (2, 5):
    runner.wait_for_step(process, workdir, step)
    os.kill(service_of(process.pid), signal.SIGKILL)
  said = process.communicate()[0]
  assert process.returncode == 0, said
  assert_same_run(whole_run, workdir)


def test_a_workdir_of_another_config_is_refused(whole_run, runner):
  refused = runner.run(whole_run, SEED=5)
  assert refused.returncode == 2
  assert 'SEED = 0 there, 5 here' in refused.stderr
  assert len(refused.stderr.strip().splitlines()) == 1


def test_a_run_stopped_in_an_evaluation_goes_on(whole_run, runner, tmp_path):
  workdir = tmp_path / 'run'
  # Rollouts of step 3 are written before its evaluation, its line after it.
  for signalled_at in ('policy/config.json', 'rollouts/step_000003.parquet'):
    process = runner.start(workdir)
    runner.wait_for_file(process, workdir / signalled_at)
    process.send_signal(signal.SIGTERM)
    said = process.communicate()[0]
    assert process.returncode == 75, said
  assert 3 not in [line['step'] for line in metrics(workdir)]
  assert runner.run(workdir).returncode == 0
  assert_same_run(whole_run, workdir)


def test_the_filter_drops_what_was_all_correct(whole_run):
  lines = metrics(whole_run)[1:]
  epochs = sorted({line['epoch'] for line in lines})
  assert len(epochs) >= 3
  for epoch in epochs[:-1]:
    asked, right = set(), {}
    for line in lines:
      if line['epoch'] == epoch:
        name = f'rollouts/step_{line["step"]:06d}.parquet'
        table = pq.read_table(whole_run / name).to_pydict()
        for prompt, a in zip(table['prompt'], table['accuracy'], strict=True):
          asked.add(prompt)
          right.setdefault(prompt, []).append(a)
    solved = {p for p, values in right.items() if min(values) == 1}
    of = {line['epoch']: line for line in lines}
    assert of[epoch]['history/kept'] == len(asked)
    assert of[epoch + 1]['history/kept'] == len(asked - solved)
    path = whole_run / f'ledger/epoch_1_{epoch}.parquet'
    ledger = pq.read_table(path).to_pydict()
    assert set(ledger['prompt']) == asked
    rows = zip(ledger['prompt'], ledger['kept'], strict=True)
    assert {prompt for prompt, kept in rows if kept} == asked - solved
  assert lines[-1]['history/dropped'] > 0
  total = lines[-1]['history/kept'] + lines[-1]['history/dropped']
  assert total == lines[0]['history/kept']
