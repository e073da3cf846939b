# SPDX-License-Identifier: Apache-2.0
"""Hosts: two real processes that talk, agree, and refuse together."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from srpo_jax import main
from srpo_jax.core import config, hosts

ROOT = Path(__file__).resolve().parents[2]

TOY_JOB = """
import json, pathlib
import gin
import numpy as np
from srpo_jax.core import config, hosts
from srpo_jax.srpo import history
from srpo_jax.train import checkpoint, snapshot

class Silent(Exception):
  pass

def whole():
  import jax
  from srpo_jax.core import mesh
  given = np.arange(8)
  placed = mesh.put_batch(mesh.make_mesh((4, 1, 1)), given)
  shapes = {shard.data.shape for shard in placed.addressable_shards}
  return [hosts.fetch(placed).tolist(), sorted(shapes)]

def agree(kept):
  return checkpoint.check_agreement(snapshot.Snapshot(
    None, history.empty(), np.array(kept), snapshot.Position(step=3)))

def refused(call, *args):
  try:
    call(*args)
  except Exception as error:
    return f'{type(error).__name__}: {error}'

def on_second(error):
  if not hosts.is_first():
    raise error
  return 'fine'

@gin.configurable
def toy(workdir, *, steps=gin.REQUIRED):
  i = hosts.index()
  own = pathlib.Path(f'{workdir}-of-{i}')
  hosts.barrier('here')
  told = {
    'place': [i, hosts.count(), hosts.is_first()],
    'gather': hosts.gather({'host': i, 'long': 'x' * (3000 * i)}),
    'from_first': hosts.from_first([i, 0.5, 'text']),
    'any': [hosts.any_host(i == 1), hosts.any_host(False)],
    'together': hosts.together(lambda a: a + i, 10),
    'wrong': refused(
      hosts.together, on_second, config.ConfigError('x.gin: no')),
    'passed': refused(lambda: hosts.together(
      on_second, Silent('gone'), passed=(Silent,))),
    'first': hosts.on_first(lambda: i),
    'whole': whole(),
    'agree': refused(agree, [1, 2]),
    'apart': refused(agree, [1, 2 + i]),
    'broken': refused(hosts.together, on_second, KeyError('odd')),
    'same': refused(hosts.same_everywhere, 'text', 'one'),
    'differs': refused(hosts.same_everywhere, 'text', f'one\\ntwo {i}'),
    'shorter': refused(hosts.same_everywhere, 'text', 'one' + '\\ntwo' * i),
    'unshared': refused(hosts.share_workdir, own, 'STEPS = 1'),
    'several': refused(hosts.refuse_several, 'toy.gin'),
  }
  (workdir / f'{i}.json').write_text(json.dumps(told))
  if steps == 3:
    hosts.together(on_second, config.Interrupted('step 3'))
"""

TOY_GIN = """
import toy_job
run.job = @toy
STEPS = 3
toy.steps = %STEPS
"""


@pytest.fixture(scope='module')
def pair(tmp_path_factory):
  """Runs the command on two hosts; flags of both, then of each."""
  folder = tmp_path_factory.mktemp('pair')
  (folder / 'toy_job.py').write_text(TOY_JOB)
  (folder / 'toy.gin').write_text(TOY_GIN)
  environment = {
    **os.environ,
    'PYTHONPATH': os.pathsep.join([str(folder), str(ROOT)]),
    'XLA_FLAGS': '--xla_force_host_platform_device_count=2',
  }

  def run(flags, *own):
    with socket.create_server(('127.0.0.1', 0)) as free:
      address = f'127.0.0.1:{free.getsockname()[1]}'
    command = [sys.executable, '-m', 'srpo_jax.main', '--gin_file=toy.gin']
    command += [*flags, '--hosts=2', f'--coordinator={address}']
    started = [
      subprocess.Popen(
        [*command, f'--host={i}', *own[i]],
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
      )
      for i in range(2)
    ]
    said = [process.communicate(timeout=300)[1] for process in started]
    return [process.returncode for process in started], said

  return folder, run


@pytest.fixture(scope='module')
def talked(pair):
  folder, run = pair
  ended = run(['--workdir=out'], [], [])
  told = [json.loads((folder / f'out/{i}.json').read_text()) for i in (0, 1)]
  return ended, told


def test_they_know_their_places(talked):
  _, told = talked
  assert [t['place'] for t in told] == [[0, 2, True], [1, 2, False]]


def test_values_go_round(talked):
  _, told = talked
  everyone = [{'host': i, 'long': 'x' * (3000 * i)} for i in (0, 1)]
  for i, t in enumerate(told):
    assert t['gather'] == everyone
    assert t['from_first'] == [0, 0.5, 'text']
    assert t['any'] == [True, False]
    assert t['together'] == 10 + i
    assert t['same'] is None
    assert t['first'] == [0, None][i]


def test_arrays_are_cut_over_both_and_come_back_whole(talked):
  _, told = talked
  for t in told:
    assert t['whole'] == [list(range(8)), [[2]]]


def test_hosts_that_come_apart_are_caught(talked):
  _, told = talked
  for t in told:
    assert t['agree'] is None
    assert 'after step 3 host 1 has another kept than host 0' in t['apart']


def test_what_stops_one_stops_all(talked):
  (statuses, said), told = talked
  assert told[0]['wrong'] == 'ConfigError: host 1: x.gin: no'
  assert told[1]['wrong'] == 'ConfigError: x.gin: no'
  assert told[0]['broken'] == "RuntimeError: host 1: KeyError('odd')"
  assert told[0]['passed'] == 'Silent: host 1: gone'
  assert told[1]['passed'] == 'Silent: gone'
  assert statuses == [75, 75]
  assert 'host 1: step 3' in said[0]


def test_what_differs_is_named(talked):
  _, told = talked
  for t in told:
    assert 'text differs' in t['differs']
    assert 'two 0 on host 0, two 1 on host 1' in t['differs']
    assert '(nothing) on host 0, two on host 1' in t['shorter']
    assert 'a folder that all hosts share' in t['unshared']
    assert 'toy.gin runs on one host' in t['several']


def test_another_config_is_refused_on_both(pair):
  folder, run = pair
  statuses, said = run(['--workdir=odd'], [], ['--gin.STEPS=4'])
  assert statuses == [2, 2]
  for text in said:
    assert 'config differs between hosts: STEPS = 3 on host 0' in text
  assert not (folder / 'odd').exists()


@pytest.mark.parametrize(
  ('flags', 'why'),
  [
    (['--host=1'], '--host without --hosts=N'),
    (['--hosts=auto', '--coordinator=a:1'], '--coordinator beside'),
    (['--hosts=0'], '--hosts=0 is not a number from 1 on'),
    (['--hosts=two'], '--hosts=two is not a number'),
    (['--hosts=2', '--host=0'], '--hosts=2 without --coordinator'),
    (['--hosts=2', '--coordinator=a:1'], '--hosts=2 without --host'),
    (['--hosts=2', '--host=2', '--coordinator=a:1'], 'count from 0 to 1'),
    (['--hosts=2', '--host=0', '--coordinator=a'], 'is not HOST:PORT'),
    (['--hosts=2', '--host=0', '--coordinator=a:99999'], 'is not HOST:PORT'),
  ],
)
def test_flags_that_do_not_fit_are_refused(flags, why, tmp_path, capsys):
  argv = ['--gin_file=stage1.gin', f'--workdir={tmp_path / "w"}', *flags]
  assert main.main(argv) == 2
  said = capsys.readouterr().err
  assert why in said
  assert said.count('\n') == 1
  assert not (tmp_path / 'w').exists()


def test_auto_where_there_is_nothing_to_detect(tmp_path):
  """In a process of its own: JAX asks that nothing was computed before."""
  command = [sys.executable, '-m', 'srpo_jax.main', '--gin_file=stage1.gin']
  done = subprocess.run(
    [*command, f'--workdir={tmp_path / "w"}', '--hosts=auto'],
    env={**os.environ, 'PYTHONPATH': str(ROOT)},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 2
  (line,) = done.stderr.strip().splitlines()
  assert 'JAX detects no TPU pod, Slurm or Kubernetes here' in line
  assert not (tmp_path / 'w').exists()


def test_one_host_is_trivial(tmp_path):
  hosts.start(None, None, None)
  hosts.start('a:1', 1, 0)
  assert (hosts.index(), hosts.count(), hosts.is_first()) == (0, 1, True)
  assert hosts.gather(3) == [3]
  assert hosts.from_first('x') == 'x'
  assert hosts.any_host(True)
  assert not hosts.any_host(False)
  hosts.barrier('alone')
  hosts.same_everywhere('text', 'x')
  hosts.refuse_several('bench.gin')
  with pytest.raises(config.ConfigError, match='no'):
    hosts.together(lambda: (_ for _ in ()).throw(config.ConfigError('no')))
  hosts.share_workdir(tmp_path / 'w', 'STEPS = 1')
