# SPDX-License-Identifier: Apache-2.0
"""Small real runs: the shipped policy and prompts, short and narrow."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Small enough for seconds, real in every part. Prompts of at most 6 tokens are
# 34 short sums and products: five steps in the first epoch, the last one
# padded; some are always right, so that the filter has something to drop, and
# some are hard, so that something is left. A checkpoint each other step, so
# that a kill loses something.
SMALL = {
  'STEPS': 10,
  'PROMPTS_PER_STEP': 8,
  'GROUP_SIZE': 4,
  'MAX_PROMPT_TOKENS': 6,
  'MAX_NEW_TOKENS': 24,
  'EVAL_EVERY': 3,
  'EVAL_SAMPLES': 1,
  'CHECKPOINT_EVERY': 2,
  'REWARD_WORKERS': 1,
}


def command(workdir: Path, **macros) -> list[str]:
  merged = {**SMALL, **macros}
  overrides = [f'--gin.{name}={value}' for name, value in merged.items()]
  main = [sys.executable, '-m', 'srpo_jax.main', '--gin_file=stage1.gin']
  return [*main, f'--workdir={workdir}', *overrides]


def environment(**more) -> dict[str, str]:
  return {
    **os.environ,
    'JAX_PLATFORMS': 'cpu',
    'PYTHONPATH': str(ROOT),
    'PYTHONUNBUFFERED': '1',
    **more,
  }


class Runner:
  """Starts runs as users do, and waits for what they write."""

  def start(self, workdir: Path, **macros) -> subprocess.Popen:
    return subprocess.Popen(
      command(workdir, **macros),
      env=environment(),
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
    )

  def run(self, workdir: Path, **macros) -> subprocess.CompletedProcess:
    return subprocess.run(
      command(workdir, **macros),
      env=environment(),
      capture_output=True,
      text=True,
      check=False,
    )

  def wait_for_step(self, process, workdir: Path, step: int) -> None:
    """Until metrics.jsonl has that step's line."""
    path = workdir / 'metrics.jsonl'
    while process.poll() is None:
      if path.exists() and f'{{"step": {step},' in path.read_text():
        return
      time.sleep(0.02)
    raise AssertionError(f'ended before step {step}: {process.stdout.read()}')

  def wait_for_file(self, process, path: Path) -> None:
    """Until a file is there."""
    while process.poll() is None:
      if path.exists():
        return
      time.sleep(0.005)
    raise AssertionError(f'ended before {path}: {process.stdout.read()}')

  def kill(self, process) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


@pytest.fixture
def runner() -> Runner:
  return Runner()


@pytest.fixture(scope='session')
def whole_run(tmp_path_factory) -> Path:
  """One uninterrupted run that several tests compare with."""
  workdir = tmp_path_factory.mktemp('whole') / 'run'
  done = Runner().run(workdir)
  assert done.returncode == 0, done.stdout + done.stderr
  return workdir
