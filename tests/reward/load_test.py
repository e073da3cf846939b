# SPDX-License-Identifier: Apache-2.0
"""A small run of the load benchmark: nothing lost, no verdict changed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from srpo_jax.reward.environment import child_environment

BENCHMARK = Path(__file__).parents[2] / 'benchmarks' / 'reward_load.py'


def test_under_load_every_item_is_answered_once_and_as_alone(tmp_path):
  path = tmp_path / 'report.json'
  flags = ['--requests=60', '--in_flight=24', '--hostile=0.1']
  done = subprocess.run(
    [sys.executable, BENCHMARK, *flags, f'--json={path}'],
    capture_output=True,
    text=True,
    env=child_environment(),
  )
  assert path.exists(), done.stderr
  report = json.loads(path.read_text())
  if report['sandbox'].startswith('no sandbox'):
    pytest.skip(report['sandbox'])
  assert done.returncode == 0, done.stdout
  assert report['items'] == sum(report['statuses'].values()) == 60
  assert report['answered_once']
  assert report['surprises'] == report['differences'] == []
  assert {'correct', 'wrong', 'timeout'} <= set(report['statuses'])
  assert report['memory']['own_mib']
