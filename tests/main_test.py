# SPDX-License-Identifier: Apache-2.0
"""The command: exit statuses, one line on stderr, and no jax before its time.

Each test runs the command in a fresh process whose jax is a trap: to import
it is to fail with a traceback and status 1.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

TOY_JOB = """
import gin
from srpo_jax.core import config

@gin.configurable
def toy(workdir, *, steps=gin.REQUIRED, note='default'):
  config.integer('STEPS', steps, 1)
  if note == 'device':
    import jax
  if note == 'interrupted':
    raise config.Interrupted('step 3: checkpoint written')
  (workdir / 'steps').write_text(str(steps))
"""

TOY_GIN = """
import toy_job
run.job = @toy
STEPS = 3
toy.steps = %STEPS
"""


@pytest.fixture
def command(tmp_path):
  """Runs the command in tmp_path/here, with toy.gin in tmp_path/there."""
  for name in ('here', 'there', 'traps'):
    (tmp_path / name).mkdir()
  (tmp_path / 'there' / 'toy.gin').write_text(TOY_GIN)
  (tmp_path / 'traps' / 'toy_job.py').write_text(TOY_JOB)
  (tmp_path / 'traps' / 'jax.py').write_text("raise OSError('jax is here')")
  path = os.pathsep.join([str(tmp_path / 'traps'), str(ROOT)])

  def run(*flags: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
      [sys.executable, '-m', 'srpo_jax.main', *flags],
      cwd=tmp_path / 'here',
      env={**os.environ, 'PYTHONPATH': path, **environment},
      capture_output=True,
      text=True,
    )

  return run


TOY = '--gin_file=../there/toy.gin'


def test_a_job_runs_and_leaves_its_config(command, tmp_path):
  ran = command(TOY, '--gin.STEPS=5', '--workdir=out')
  assert (ran.returncode, ran.stderr) == (0, '')
  assert (tmp_path / 'here/out/steps').read_text() == '5'
  assert 'STEPS = 5' in (tmp_path / 'here/out/config.gin').read_text()


def test_the_workdir_is_named_for_the_first_gin_file(command, tmp_path):
  (tmp_path / 'there' / 'more.gin').write_text('STEPS = 6')
  assert command(TOY, '--gin_file=../there/more.gin').returncode == 0
  assert (tmp_path / 'here/runs/toy/steps').read_text() == '6'


def test_a_dry_run_prints_the_config_and_leaves_nothing(command, tmp_path):
  ran = command(TOY, '--gin.STEPS=7', '--dry_run', '--gin.toy.note=device')
  assert (ran.returncode, ran.stderr) == (0, '')
  assert 'STEPS = 7' in ran.stdout
  assert "toy.note = 'device'" in ran.stdout
  assert list((tmp_path / 'here').iterdir()) == []


def test_help_says_how(command):
  ran = command('--help')
  assert ran.returncode == 0
  for word in ('--gin_file', '--gin.', '--workdir', '--dry_run', '75'):
    assert word in ran.stdout


@pytest.mark.parametrize(
  ('flags', 'part'),
  [
    ([], 'no --gin_file given; the jobs are: '),
    (['--gin_file=stagge1.gin'], "no gin file 'stagge1.gin'"),
    ([TOY, '--gin.STPES=4'], 'did you mean STEPS?'),
    ([TOY, '--gin.STEPS'], 'write --gin.STEPS=VALUE'),
    ([TOY, '--gin.STEPS', '4'], 'unrecognized arguments: 4'),
    ([TOY, '--gin.STEPS=%gin.REQUIRED'], 'give --gin.STEPS=...'),
    ([TOY, '--gin.STEPS=%gin.REQUIRED', '--dry_run'], '--gin.STEPS=...'),
    ([TOY, '--gin.toy.stepz=4'], 'did you mean steps?'),
    ([TOY, '--gin.STEPS=0'], 'STEPS = 0, but it must be an integer'),
    ([TOY, '--gin.STEPS=many'], "STEPS = 'many', but it must be an integer"),
    ([TOY, '--dryrun'], 'unrecognized arguments: --dryrun'),
    (['--gin_file'], 'argument --gin_file: expected one argument'),
  ],
)
def test_what_is_wrong_is_one_line_and_status_2(command, flags, part):
  ran = command(*flags)
  assert ran.returncode == 2, ran.stderr
  assert ran.stdout == ''
  assert ran.stderr.count('\n') == 1
  assert part in ran.stderr


def test_names_are_checked_before_anything_is_imported(command, tmp_path):
  (tmp_path / 'traps' / 'toy_job.py').write_text("raise OSError('imported')")
  for flag in ('--gin.STPES=4', '--gin.STEPS=%gin.REQUIRED'):
    ran = command(TOY, flag)
    assert (ran.returncode, ran.stderr.count('\n')) == (2, 1)
  assert command(TOY).returncode == 1


def test_a_workdir_of_another_config_is_refused(command, tmp_path):
  assert command(TOY, '--workdir=out').returncode == 0
  assert command(TOY, '--workdir=out').returncode == 0
  ran = command(TOY, '--workdir=out', '--gin.STEPS=4')
  assert (ran.returncode, ran.stderr.count('\n')) == (2, 1)
  assert 'STEPS = 3 there, 4 here' in ran.stderr
  assert (tmp_path / 'here/out/steps').read_text() == '3'


def test_an_interrupted_job_asks_to_be_started_again(command):
  ran = command(TOY, '--gin.toy.note=interrupted')
  assert ran.returncode == 75
  assert ran.stderr == 'step 3: checkpoint written\n'


def test_anything_else_is_1_with_its_traceback(command):
  ran = command(TOY, '--gin.toy.note=device')
  assert ran.returncode == 1
  assert 'Traceback' in ran.stderr
  assert 'jax is here' in ran.stderr


def test_main_stays_short():
  lines = (ROOT / 'srpo_jax' / 'main.py').read_text().splitlines()
  assert len(lines) <= 60
