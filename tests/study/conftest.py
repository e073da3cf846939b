# SPDX-License-Identifier: Apache-2.0
"""Workdirs to read: see synthetic.py."""

import pathlib
import runpy

import pytest

_FILE = pathlib.Path(__file__).with_name('synthetic.py')
make_run = runpy.run_path(str(_FILE))['make_run']


@pytest.fixture(scope='session')
def finished_run(tmp_path_factory):
  """A finished run; read it only."""
  return make_run(tmp_path_factory.mktemp('runs') / 'quickstart')


@pytest.fixture(scope='session')
def two_stages(tmp_path_factory):
  """A run of two stages, dropped prompts coming back in the second."""
  workdir = tmp_path_factory.mktemp('runs') / 'srpo'
  return make_run(workdir, steps=40, stage2_at=24)


@pytest.fixture
def new_run(tmp_path):
  """Makes a run of one's own: new_run('name', seed=1, steps=12)."""
  return lambda name, **settings: make_run(tmp_path / name, **settings)
