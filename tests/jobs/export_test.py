# SPDX-License-Identifier: Apache-2.0
"""Out: a run's policy as a folder that starts another run, bit for bit."""

import json
import shutil

import jax
import numpy as np
import pytest

from srpo_jax import main
from srpo_jax.jobs import export as export_lib
from srpo_jax.jobs import initial, parts
from srpo_jax.train.state import fingerprint


def same(one: str, other: str) -> bool:
  """Whether two sources hold the same weights."""
  params = [
    initial.params(source, initial.decoder_config(source))
    for source in map(initial.find, (one, other))
  ]
  equal = jax.tree.map(np.array_equal, *params)
  return all(jax.tree.leaves(equal))


def export(workdir, **macros) -> int:
  flags = [f'--gin.{name}={value}' for name, value in macros.items()]
  return main.main(['--gin_file=export.gin', f'--workdir={workdir}', *flags])


@pytest.fixture(scope='module')
def trained(tmp_path_factory, tiny):
  workdir = tmp_path_factory.mktemp('export') / 'run'
  flags = {'STEPS': 1, 'MAX_PROMPT_TOKENS': 12, 'EXPORT': True}
  done = tiny('stage1.gin', workdir, **flags)
  assert done.returncode == 0, done.stdout + done.stderr
  return workdir


def test_a_run_and_the_job_export_the_same_policy(trained, tmp_path):
  at_its_end = trained / 'hugging_face'
  assert same(str(trained), str(at_its_end))
  assert not same(str(at_its_end), None)
  assert export(tmp_path / 'a', INIT_FROM=f"'{trained}'") == 0
  folder = tmp_path / 'a' / 'hugging_face'
  for path in at_its_end.iterdir():
    assert (folder / path.name).read_bytes() == path.read_bytes(), path.name
  # A second time it is left alone; a folder can be exported again.
  assert export(tmp_path / 'a', INIT_FROM=f"'{trained}'") == 0
  assert export(tmp_path / 'b', INIT_FROM=f"'{folder}'") == 0
  assert same(str(folder), str(tmp_path / 'b' / 'hugging_face'))
  fingerprints = {
    json.loads((trained / 'done.json').read_text())['fingerprint']
  }
  source = initial.find(str(folder))
  params = initial.params(source, initial.decoder_config(source))
  assert fingerprints == {fingerprint(params)}


def test_a_finished_run_exports_when_asked_again(trained, tiny):
  folder = trained / 'hugging_face'
  wanted = {path.name: path.read_bytes() for path in folder.iterdir()}
  for path in folder.iterdir():
    path.unlink()
  flags = {'STEPS': 1, 'MAX_PROMPT_TOKENS': 12, 'EXPORT': True}
  assert tiny('stage1.gin', trained, **flags).returncode == 0
  assert {p.name: p.read_bytes() for p in folder.iterdir()} == wanted


def test_a_folder_says_what_it_said(trained):
  raw, ours = (
    json.loads((folder / 'config.json').read_text())
    for folder in (initial.EMBEDDED, trained / 'hugging_face')
  )
  assert raw == ours
  ends = json.loads(
    (trained / 'hugging_face' / 'generation_config.json').read_text()
  )
  assert ends['eos_token_id'] == ours['eos_token_id']
  assert (trained / 'hugging_face' / 'tokenizer.model').exists()


def test_the_dtype_is_that_asked_for(tmp_path):
  assert export(tmp_path, EXPORT_DTYPE="'bfloat16'") == 0
  raw = json.loads((tmp_path / 'hugging_face' / 'config.json').read_text())
  assert raw['torch_dtype'] == 'bfloat16'
  sizes = [
    (folder / 'model.safetensors').stat().st_size
    for folder in (initial.EMBEDDED, tmp_path / 'hugging_face')
  ]
  assert sizes[1] < 0.55 * sizes[0]


@pytest.fixture
def came_in(tmp_path):
  """Makes a folder of the embedded policy that says another dtype."""

  def make(dtype) -> str:
    folder = tmp_path / 'came'
    shutil.copytree(initial.EMBEDDED, folder)
    path = folder / 'config.json'
    raw = {**json.loads(path.read_text()), 'torch_dtype': dtype}
    path.write_text(json.dumps(raw))
    return str(folder)

  return make


def test_torchs_own_name_of_a_dtype_is_understood(came_in, tmp_path):
  assert export(tmp_path / 'a', INIT_FROM=came_in('torch.bfloat16')) == 0
  path = tmp_path / 'a' / 'hugging_face' / 'config.json'
  assert json.loads(path.read_text())['torch_dtype'] == 'bfloat16'


@pytest.mark.parametrize(
  'dtype', ['auto', 'int8', 'torch.int8', 5, ['float32']]
)
@pytest.mark.parametrize('job', ['export.gin', 'stage1.gin'])
def test_a_dtype_that_cannot_be_written_is_refused_at_the_start(
  came_in, tmp_path, capsys, monkeypatch, job, dtype
):
  def no_device_work(*_, **__):
    raise AssertionError('a device was used before the refusal')

  for module in (export_lib, parts):
    monkeypatch.setattr(module, 'device_mesh', no_device_work)
  flags = [f'--gin.INIT_FROM={came_in(dtype)}', f'--workdir={tmp_path}/a']
  more = [] if job == 'export.gin' else ['--gin.EXPORT=True']
  assert main.main([f'--gin_file={job}', *flags, *more]) == 2
  said = capsys.readouterr().err.strip()
  assert len(said.splitlines()) == 1
  assert 'came/config.json: the policy came in' in said
  assert 'try --gin.EXPORT_DTYPE=float32' in said


def test_a_dtype_of_ones_own_helps(came_in, tmp_path):
  source = came_in('auto')
  assert export(tmp_path, INIT_FROM=source, EXPORT_DTYPE='float32') == 0
  assert same(str(tmp_path / 'hugging_face'), None)


def test_another_dtype_in_the_same_workdir_is_refused(tmp_path, capsys):
  assert export(tmp_path) == 0
  path = tmp_path / 'hugging_face' / 'model.safetensors'
  was = path.read_bytes()
  capsys.readouterr()
  assert export(tmp_path, EXPORT_DTYPE='bfloat16') == 2
  said = capsys.readouterr().err.strip()
  assert len(said.splitlines()) == 1
  assert "EXPORT_DTYPE = 'bfloat16', but" in said
  assert 'was written in float32; remove' in said
  assert path.read_bytes() == was
  # The same dtype, and no wish, are no other one.
  for wish in ('float32', None):
    assert export(tmp_path, EXPORT_DTYPE=wish) == 0
    assert 'already done, in float32' in capsys.readouterr().out


@pytest.mark.parametrize(
  ('macro', 'value'),
  [
    ('EXPORT_DTYPE', "'int4'"),
    ('MESH', '(3, 1, 1)'),
    ('MESH', 5),
    ('INIT_FROM', "'nowhere'"),
  ],
)
def test_what_makes_no_sense_is_refused(macro, value, tmp_path, capsys):
  assert export(tmp_path, **{macro: value}) == 2
  said = capsys.readouterr().err.strip()
  assert f'{macro} = ' in said
  assert len(said.splitlines()) == 1
