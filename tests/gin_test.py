# SPDX-License-Identifier: Apache-2.0
"""Every gin file resolves, and says what the documents say it says."""

from pathlib import Path

import pytest

from srpo_jax import main
from srpo_jax.core import config

GIN = Path(__file__).resolve().parents[1] / 'gin'
JOBS = sorted(p.name for p in GIN.glob('*.gin') if 'run.job' in p.read_text())

# DESIGN.md section 6: macros that every training job understands.
PROMISED = (
  'SEED', 'STEPS', 'EPOCHS', 'PROMPTS_PER_STEP', 'GROUP_SIZE',
  'MAX_NEW_TOKENS', 'TEMPERATURE', 'LEARNING_RATE', 'UPDATES_PER_ROLLOUT',
  'HISTORY', 'INIT_FROM', 'REWARD_ADDRESS', 'DATA_DIR',
)  # fmt: skip


def test_there_are_jobs():
  assert {'stage1.gin', 'pretrain.gin'} <= set(JOBS)


@pytest.mark.parametrize('name', JOBS)
def test_every_job_resolves(name, capsys):
  assert main.main([f'--gin_file={name}', '--dry_run']) == 0
  assert 'run.job' in capsys.readouterr().out


@pytest.mark.parametrize('macro', PROMISED)
def test_training_understands_every_promised_macro(macro):
  value = {'HISTORY': '@keep_all', 'EPOCHS': '2', 'TEMPERATURE': '0.5'}
  text = config.load(['stage1.gin'], [f'{macro}={value.get(macro, "3")}'])
  assert f'{macro} = {value.get(macro, "3")}' in text


def test_job_files_are_short():
  for name in JOBS:
    lines = (GIN / name).read_text().splitlines()
    assert len(lines) <= 60, f'{name}: let it include and say what differs'
