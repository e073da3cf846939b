# SPDX-License-Identifier: Apache-2.0
"""The reward service installs alone, and its manifests are what they say."""

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[1]
LAUNCH = ROOT / 'launch' / 'reward'


def copied_by_the_container_file(folder: Path) -> Path:
  """A folder with what the container file copies, and nothing else."""
  text = (LAUNCH / 'Dockerfile').read_text().replace('\\\n', ' ')
  for line in re.findall(r'^COPY (.+)$', text, re.M):
    *sources, target = line.split()
    place = folder / target.removeprefix('/src').strip('/')
    for source in sources:
      if (ROOT / source).is_dir():
        ignore = shutil.ignore_patterns('__pycache__')
        shutil.copytree(ROOT / source, place, ignore=ignore)
      else:
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / source, place)
  return folder


def pip(python: Path, *arguments: str) -> None:
  """Installs; skips the test where no registry can be reached."""
  done = subprocess.run(
    [python, '-m', 'pip', '--disable-pip-version-check', *arguments],
    capture_output=True,
    text=True,
  )
  no_registry = ('Could not find a version', 'Connection', 'Max retries')
  if done.returncode and any(words in done.stderr for words in no_registry):
    probe = [python, '-m', 'pip', 'download', '--no-deps', 'h11']
    if subprocess.run(probe, capture_output=True).returncode:
      pytest.skip(f'no registry to install from: {done.stderr[-300:]}')
  assert done.returncode == 0, done.stderr


@pytest.fixture(scope='module')
def alone(tmp_path_factory) -> Path:
  """The Python of a virtual environment with the service alone."""
  folder = tmp_path_factory.mktemp('alone')
  source = copied_by_the_container_file(folder / 'src')
  venv.create(folder / 'venv', with_pip=True)
  python = folder / 'venv' / 'bin' / 'python'
  pins = source / 'constraints' / f'py3{sys.version_info.minor}.txt'
  pinned = ['--constraint', str(pins)] if pins.exists() else []
  pip(
    python, *('install', '-q', '-r', str(source / 'requirements.txt')), *pinned
  )
  pip(python, 'install', '-q', '--no-deps', str(source))
  return python


@pytest.fixture
def plain_environment():
  return {k: v for k, v in os.environ.items() if not k.startswith('PYTHON')}


def test_it_judges_without_jax(alone, plain_environment, tmp_path):
  process = subprocess.Popen(
    [alone, '-m', 'srpo_jax.reward.service', '--port=0', '--exit_with_parent'],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
    cwd=tmp_path,
    env=plain_environment,
  )
  try:
    address = process.stdout.readline().strip()
    while httpx.get(f'{address}/readyz', timeout=60).status_code != 200:
      continue
    item = {'id': 'a', 'domain': 'math', 'response': '<answer>1+x</answer>'}
    body = {'items': [item | {'answer': 'x+1'}]}
    reply = httpx.post(f'{address}/v1/score', json=body, timeout=60)
    assert reply.json()['results'][0]['status'] == 'correct'
  finally:
    process.kill()
    process.communicate()
  done = subprocess.run(
    [alone, '-c', 'import jax'],
    capture_output=True,
    text=True,
    cwd=tmp_path,
    env=plain_environment,
  )
  assert "No module named 'jax'" in done.stderr


@pytest.fixture(scope='module')
def manifests() -> dict[str, dict]:
  """Kind -> manifest."""
  yaml = pytest.importorskip('yaml')
  text = (LAUNCH / 'kubernetes.yaml').read_text()
  return {each['kind']: each for each in yaml.safe_load_all(text)}


def test_the_manifests_fit_the_schemas_of_kubernetes(manifests):
  validate = pytest.importorskip('kubernetes_validate').validate
  for manifest in manifests.values():
    validate(manifest, '1.33', strict=True)


def test_the_manifests_fit_each_other_and_the_service(manifests):
  from srpo_jax.reward.flags import parse_flags
  from srpo_jax.reward.service import DRAIN_S, GOODBYE_S

  pod = manifests['Deployment']['spec']['template']
  labels = pod['metadata']['labels']
  assert manifests['Service']['spec']['selector'] == labels
  for kind, field in (
    ('Deployment', 'selector'),
    ('PodDisruptionBudget', 'selector'),
    ('NetworkPolicy', 'podSelector'),
  ):
    assert manifests[kind]['spec'][field] == {'matchLabels': labels}
  assert manifests['NetworkPolicy']['spec']['egress'] == []
  (container,) = pod['spec']['containers']
  flags = parse_flags(container['args'])
  assert container['ports'][0]['containerPort'] == flags.port
  (mount,) = (m for m in container['volumeMounts'] if m['name'] == 'token')
  assert flags.token_file == f'{mount["mountPath"]}/token'
  grace = pod['spec']['terminationGracePeriodSeconds']
  pause = container['lifecycle']['preStop']['sleep']['seconds']
  assert grace > pause + DRAIN_S + GOODBYE_S
  paths = {
    container[probe]['httpGet']['path']
    for probe in ('startupProbe', 'readinessProbe', 'livenessProbe')
  }
  assert paths == {'/readyz', '/healthz'}


def test_the_container_starts_the_service_with_flags_that_it_has():
  from srpo_jax.reward.flags import parse_flags

  text = (LAUNCH / 'Dockerfile').read_text()
  (words,) = re.findall(r'^CMD \[(.+)\]$', text, re.M)
  flags = parse_flags([word.strip(' "') for word in words.split(',')])
  assert f'EXPOSE {flags.port}' in text
  assert 'USER 10001' in text
