# SPDX-License-Identifier: Apache-2.0
"""The config edge in process: order, includes, overrides, checks, workdirs."""

import contextlib
import dataclasses
from pathlib import Path

import gin
import pytest

from srpo_jax.core import config, gin_text
from srpo_jax.core.config import ConfigError

SEEN = {}


@gin.configurable(module='config_test')
def toy_filter(share=gin.REQUIRED):
  return share


@dataclasses.dataclass(frozen=True)
class ToyConfig:
  width: int = 8
  depth: int = gin.REQUIRED


gin.external_configurable(ToyConfig, module='config_test')


@gin.configurable(module='config_test')
def toy_job(
  workdir, *, steps=gin.REQUIRED, size=8, keep=None, note=None, address=None
):
  SEEN.update(workdir=workdir, steps=steps, size=size, keep=keep, note=note)
  SEEN.update(address=address)
  config.integer('SIZE', size, 2)


TOY = """
run.job = @toy_job
STEPS = 3
SIZE = 8
REWARD_ADDRESS = None
toy_job.steps = %STEPS
toy_job.size = %SIZE
toy_job.address = %REWARD_ADDRESS
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
  """A folder with toy.gin, which is also where the test stands."""
  (tmp_path / 'toy.gin').write_text(TOY)
  monkeypatch.chdir(tmp_path)
  return tmp_path


def value(name: str):
  return gin.query_parameter(f'{name}/gin.macro.value')


def refused(*overrides: str, files=('toy.gin',)) -> str:
  """The line of the refusal."""
  with pytest.raises(ConfigError) as caught:
    config.load(files, overrides)
  assert '\n' not in caught.value.line
  return caught.value.line


def test_load_binds_and_run_calls_the_job(folder):
  config.load(['toy.gin'])
  config.run(folder / 'run')
  assert SEEN['workdir'] == folder / 'run'
  assert (SEEN['steps'], SEEN['size']) == (3, 8)


def test_the_config_is_locked_until_the_next_load(folder):
  config.load(['toy.gin'])
  with pytest.raises(RuntimeError, match='locked'):
    gin.bind_parameter('toy_job.steps', 4)
  config.load(['toy.gin'])


def test_later_files_win_and_overrides_win_over_files(folder):
  Path('more.gin').write_text('STEPS = 4\nSIZE = 16')
  config.load(['toy.gin', 'more.gin'], ['SIZE=32', 'SIZE=64'])
  assert (value('STEPS'), value('SIZE')) == (4, 64)


def test_load_forgets_what_was_loaded_before(folder):
  config.load(['toy.gin'], ['toy_job.note="first"'])
  config.load(['toy.gin'])
  config.run(folder)
  assert SEEN['note'] is None


def test_an_include_is_relative_to_its_file(folder):
  # deep/a.gin -> deep/er/b.gin -> toy.gin, and none is seen from the root.
  (folder / 'deep' / 'er').mkdir(parents=True)
  a, b = folder / 'deep' / 'a.gin', folder / 'deep' / 'er' / 'b.gin'
  a.write_text("include 'er/b.gin'\nSTEPS = 5")
  b.write_text("include '../../toy.gin'\nSTEPS = 4\nSIZE = 4")
  with contextlib.chdir('/'):
    config.load([str(a)])
  assert (value('STEPS'), value('SIZE')) == (5, 4)


def test_a_bare_name_is_found_in_the_gin_folder(folder, monkeypatch):
  (folder / 'gin').mkdir()
  (folder / 'gin' / 'ours.gin').write_text(TOY)
  monkeypatch.setattr(gin_text, 'gin_folder', lambda: folder / 'gin')
  Path('mine.gin').write_text("include 'ours.gin'\nSTEPS = 6")
  config.load(['mine.gin'])
  assert value('STEPS') == 6
  config.load(['ours.gin'])
  assert value('STEPS') == 3


def test_a_name_with_two_meanings_is_refused(folder, monkeypatch):
  (folder / 'gin').mkdir()
  (folder / 'gin' / 'toy.gin').write_text(TOY)
  monkeypatch.setattr(gin_text, 'gin_folder', lambda: folder / 'gin')
  assert 'write the path in full' in refused()


def test_a_file_that_includes_itself_is_refused(folder):
  Path('a.gin').write_text("include 'b.gin'")
  Path('b.gin').write_text("include 'a.gin'")
  assert 'a.gin: includes itself' in refused(files=['a.gin'])


@pytest.mark.parametrize(
  ('text', 'expected'),
  [
    ('12', 12),
    ('-1e-3', -1e-3),
    ('True', True),
    ('None', None),
    ('(1, 4, 2)', (1, 4, 2)),
    ('"quoted"', 'quoted'),
    ("'12'", '12'),
    ('runs/a b', 'runs/a b'),
    ('gs://bucket/x', 'gs://bucket/x'),
    ('127.0.0.1:8000', '127.0.0.1:8000'),
    ('2024-01-01', '2024-01-01'),
    ('1O', '1O'),
    ('3\nSIZE=4', '3\nSIZE=4'),
  ],
)
def test_an_override_is_gin_or_else_text(folder, text, expected):
  config.load(['toy.gin'], [f'REWARD_ADDRESS={text}'])
  assert value('REWARD_ADDRESS') == expected
  assert type(value('REWARD_ADDRESS')) is type(expected)


def test_an_override_may_be_a_reference_or_a_parameter(folder):
  config.load(
    ['toy.gin'], ['toy_job.keep=@toy_filter', 'a/toy_filter.share=0.5']
  )
  config.run(folder)
  with gin.config_scope('a'):
    assert SEEN['keep']() == 0.5


@pytest.mark.parametrize(
  ('override', 'part'),
  [
    ('STEPS', 'write --gin.STEPS=VALUE'),
    ('STEPS=', 'write --gin.STEPS=VALUE'),
    ('STEPS=true', 'write --gin.STEPS=True'),
    ('STEPS=[1, 2', 'is not one NAME=VALUE'),
    ('two words=3', 'is not one NAME=VALUE'),
    ('include=x', 'nothing uses a macro include'),
    ('STPES=4', 'STPES; did you mean STEPS?'),
    ('UTTERLY=4', 'UTTERLY; there are: REWARD_ADDRESS, SIZE, STEPS'),
    ('toy_job.stepz=4', "named 'stepz'; did you mean steps?"),
    ('toy_jop.steps=4', "'toy_jop'; did you mean toy_job?"),
    ('ToyConfig.widht=4', "named 'widht'; did you mean width?"),
    ('toy_job.keep=@ToyConfig()', 'give --gin.ToyConfig.depth=...'),
    ('toy_job.keep=@toy_filtre', "'@toy_filtre'; did you mean toy_filter?"),
    ('toy_job.steps=%STEPZ', 'required but not set: STEPZ (command line)'),
    ('STEPS=%gin.REQUIRED', 'give --gin.STEPS=...'),
    ('toy_job.keep=@toy_filter', 'give --gin.toy_filter.share=...'),
  ],
)
def test_a_bad_override_is_refused(folder, override, part):
  line = refused(override)
  assert part in line
  assert 'command line' in line or 'required' in line


@pytest.mark.parametrize(
  ('text', 'part'),
  [
    ('STPES = 4', 'toy2.gin:2: STPES = 4, but nothing uses a macro STPES'),
    ('toy_job.stepz = 4', 'toy2.gin:2: toy_job.stepz = 4: '),
    ('STEPS = forty', "toy2.gin:2: cannot read 'forty'"),
    ('STEPS = [1', 'toy2.gin:'),
    ('STEPS 4', 'toy2.gin:2: '),
    ("include 'toi.gin'", "toy2.gin:2: no gin file 'toi.gin'; "),
    ('import srpo_jax.jobs.trian', 'toy2.gin:2: import srpo_jax.jobs.trian'),
  ],
)
def test_a_bad_line_in_a_file_is_named(folder, text, part):
  Path('toy2.gin').write_text(f"include 'toy.gin'\n{text}\n")
  assert part in refused(files=['toy2.gin'])


def test_all_that_is_missing_is_said_at_once(folder):
  Path('more.gin').write_text('SIZE = %gin.REQUIRED\ntoy_job.note = %NOTE')
  line = refused('STEPS=%gin.REQUIRED', files=['toy.gin', 'more.gin'])
  assert 'STEPS (command line)' in line
  assert 'more.gin:1' in line
  assert line.endswith('give --gin.STEPS=... --gin.SIZE=... --gin.NOTE=...')


def test_a_missing_dependency_is_no_config_error(folder):
  """A module that is there but cannot import another fails loudly."""
  Path('broken_job.py').write_text('import not_installed_anywhere')
  Path('toy2.gin').write_text("include 'toy.gin'\nimport broken_job")
  with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(folder)
    with pytest.raises(ModuleNotFoundError, match='not_installed_anywhere'):
      config.load(['toy2.gin'])


def test_a_macro_that_an_override_displaces_is_still_known(folder):
  config.load(['toy.gin'], ['toy_job.steps=9'])
  assert 'nothing uses a macro STEPS' in refused('toy_job.steps=9', 'STEPS=4')


def test_no_job_and_no_file_list_the_jobs(folder, monkeypatch):
  (folder / 'gin').mkdir()
  (folder / 'gin' / 'stage9.gin').write_text(TOY)
  (folder / 'gin' / 'part.gin').write_text('STEPS = 1')
  monkeypatch.setattr(gin_text, 'gin_folder', lambda: folder / 'gin')
  assert 'the jobs are: stage9.gin;' in refused(files=[])
  assert 'the jobs are: stage9.gin;' in refused(files=['part.gin'])


@pytest.mark.parametrize('name', ['stage8.gin', 'stage9', './stage9.gim'])
def test_an_unknown_file_suggests_a_near_one(folder, monkeypatch, name):
  (folder / 'gin').mkdir()
  (folder / 'gin' / 'stage9.gin').write_text(TOY)
  monkeypatch.setattr(gin_text, 'gin_folder', lambda: folder / 'gin')
  line = refused(files=[name])
  assert line.endswith(f'no gin file {name!r}; did you mean stage9.gin?')


def test_the_text_is_canonical_and_can_be_loaded_again(folder):
  long = ' '.join(['a template of many words'] * 9)
  text = config.load(['toy.gin'], [f'toy_job.note={long!r}', 'STEPS=0x10'])
  Path('saved.gin').write_text(text)
  assert config.load(['saved.gin']) == text
  assert config.load(['toy.gin'], ['STEPS=16', f'toy_job.note={long}']) == text
  assert 'STEPS = 16' in text


@pytest.mark.parametrize('bad', [1, True, 8.0, '8', None])
def test_integer_refuses_what_is_none(folder, bad):
  config.load(['toy.gin'], ['SIZE=1'])
  with pytest.raises(ConfigError) as caught:
    config.integer('SIZE', bad, 2)
  assert caught.value.line == (
    f'command line: SIZE = {bad!r}, but it must be an integer, at least 2; '
    'try --gin.SIZE=2'
  )


def test_true_is_no_integer_and_infinity_no_number():
  with pytest.raises(ConfigError, match='SIZE = True, but it must be an int'):
    config.integer('SIZE', True, 0)
  with pytest.raises(ConfigError, match='RATE = inf, but it must be a number'):
    config.number('RATE', float('inf'), 0)


@pytest.mark.parametrize('bad', [-0.1, 1.5, True, '1', float('nan'), None])
def test_number_refuses_what_is_none(bad):
  with pytest.raises(ConfigError, match=r'a number from 0 to 1; try'):
    config.number('SHARE', bad, 0, 1)


def test_good_values_pass(folder):
  assert config.integer('SIZE', 8, 2, 8) == 8
  assert config.number('SHARE', 1, 0, 1) == 1.0
  assert config.choice('KIND', 'b', ['a', 'b']) == 'b'
  with pytest.raises(ConfigError, match="must be one of 'a', 'b'; try"):
    config.choice('KIND', 'c', ['a', 'b'])


def test_a_check_names_the_file_that_set_the_macro(folder):
  config.load(['toy.gin'])
  need = 'be at least 9, because of a test'
  with pytest.raises(
    ConfigError, match=r'toy\.gin:4: SIZE = 8, but it must be'
  ):
    config.check(False, 'SIZE', 8, need, 'try --gin.SIZE=9')


def test_a_refusal_inside_the_job_is_still_one_line(folder):
  config.load(['toy.gin'], ['SIZE=1'])
  with pytest.raises(ConfigError) as caught:
    config.run(folder)
  assert caught.value.line.endswith('try --gin.SIZE=2')
  assert caught.value.status == 2


def start(workdir: Path, *overrides: str) -> None:
  """Loads the toy, claims the workdir, and leaves a trace of a run."""
  config.guard_workdir(workdir, config.load(['toy.gin'], overrides))
  (workdir / 'metrics.jsonl').touch()


def test_the_same_config_may_come_back(folder):
  start(folder / 'run', 'STEPS=4')
  before = (folder / 'run' / 'config.gin').read_text()
  start(folder / 'run', 'STEPS=4', 'REWARD_ADDRESS=10.0.0.1:80')
  assert (folder / 'run' / 'config.gin').read_text() == before


def test_another_config_is_refused_with_the_difference(folder):
  start(folder / 'run', 'STEPS=4')
  with pytest.raises(ConfigError) as caught:
    start(folder / 'run', 'STEPS=5', 'toy_job.note=x', 'REWARD_ADDRESS=y:1')
  line = caught.value.line
  assert 'STEPS = 4 there, 5 here' in line
  assert "toy_job.note = (not set) there, 'x' here" in line
  assert 'REWARD_ADDRESS' not in line
  assert '--workdir' in line


def test_a_start_that_was_refused_does_not_claim_the_workdir(folder):
  workdir = folder / 'run'
  config.guard_workdir(workdir, config.load(['toy.gin'], ['SIZE=1']))
  start(workdir, 'SIZE=4')
  assert 'SIZE = 4' in (workdir / 'config.gin').read_text()


def test_operative_gin_holds_what_was_used_with_defaults(folder):
  config.load(['toy.gin'])
  config.run(folder)
  config.save_operative(folder)
  text = (folder / 'operative.gin').read_text()
  assert 'toy_job.note = None' in text
  assert 'toy_filter' not in text
