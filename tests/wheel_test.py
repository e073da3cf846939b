# SPDX-License-Identifier: Apache-2.0
"""The wheel alone is enough: gin files and assets travel inside it."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ('setup.py', 'pyproject.toml', 'MANIFEST.in', 'LICENSE')


def pip(*arguments: str) -> None:
  command = [sys.executable, '-m', 'pip', *arguments, '--no-deps', '--quiet']
  ran = subprocess.run(command, capture_output=True, text=True)
  assert ran.returncode == 0, ran.stderr


def files(folder: Path, inside: str) -> set[str]:
  """Names as they should stand in the wheel, with `folder` as `inside`."""
  return {
    f'{inside}/{path.relative_to(folder).as_posix()}'
    for path in folder.rglob('*')
    if path.is_file() and '__pycache__' not in path.parts
  }


@pytest.fixture(scope='module')
def wheel(tmp_path_factory) -> Path:
  """Built from a copy, so that no old build/ or egg-info takes part."""
  copy = tmp_path_factory.mktemp('checkout')
  for name in SOURCES:
    shutil.copy(ROOT / name, copy)
  for name in ('srpo_jax', 'gin', 'launch', 'notebooks'):
    if (ROOT / name).is_dir():
      shutil.copytree(ROOT / name, copy / name)
  out = copy / 'dist'
  pip('wheel', str(copy), '--no-build-isolation', '--wheel-dir', str(out))
  (built,) = out.glob('srpo_jax-*.whl')
  return built


@pytest.fixture(scope='module')
def installed(wheel, tmp_path_factory) -> Path:
  """A folder with the package out of the wheel, far from the checkout."""
  folder = tmp_path_factory.mktemp('site')
  pip('install', str(wheel), '--target', str(folder))
  return folder


def python(installed: Path, cwd: Path, *arguments: str) -> str:
  """Output of a process that sees the installed package, not the checkout."""
  ran = subprocess.run(
    [sys.executable, '-P', *arguments],
    cwd=cwd,
    env={**os.environ, 'PYTHONPATH': str(installed)},
    capture_output=True,
    text=True,
  )
  assert ran.returncode == 0, ran.stderr
  return ran.stdout


def test_the_wheel_holds_every_file_of_the_package_and_gin(wheel):
  wanted = files(ROOT / 'srpo_jax', 'srpo_jax')
  wanted |= files(ROOT / 'gin', 'srpo_jax/gin_files')
  held = set(zipfile.ZipFile(wheel).namelist())
  assert wanted - held == set()
  beside = {name.split('/')[0] for name in held - wanted}
  assert {name.split('-')[0] for name in beside} == {'srpo_jax'}


def test_the_wheel_resolves_every_gin_file_without_the_checkout(
  installed, tmp_path
):
  code = (
    'import srpo_jax\n'
    'from srpo_jax.core import gin_text\n'
    'print(srpo_jax.__file__)\n'
    'for name in gin_text.gin_files():\n'
    '  gin_text.read([name], [])\n'
    '  print(name)\n'
  )
  package, *names = python(installed, tmp_path, '-c', code).split()
  assert Path(package).is_relative_to(installed)
  paths = (ROOT / 'gin').rglob('*.gin')
  ours = {path.relative_to(ROOT / 'gin').as_posix() for path in paths}
  assert set(names) == ours


def test_the_wheel_runs_a_job_from_another_folder(installed, tmp_path):
  main = ('-m', 'srpo_jax.main', '--gin_file=stage1.gin', '--dry_run')
  assert 'run.job = ' in python(installed, tmp_path, *main)


def test_gin_has_no_init_file():
  """With one, `import gin` in the checkout would find it, not gin-config."""
  assert not (ROOT / 'gin' / '__init__.py').exists()


def test_the_wheel_runs_stage_1_without_the_checkout(installed, tmp_path):
  macros = ('STEPS=1', 'PROMPTS_PER_STEP=2', 'GROUP_SIZE=2', 'EVAL_SAMPLES=1')
  flags = [f'--gin.{macro}' for macro in (*macros, 'MAX_NEW_TOKENS=8')]
  job = ('-m', 'srpo_jax.main', '--gin_file=stage1.gin', '--workdir=run')
  said = python(installed, tmp_path, *job, *flags)
  assert 'report: run/report.html' in said
  assert (tmp_path / 'run' / 'done.json').exists()
