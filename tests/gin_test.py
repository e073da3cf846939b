# SPDX-License-Identifier: Apache-2.0
"""Every gin file resolves, and says what the documents say it says."""

from pathlib import Path

import gin
import pytest

from srpo_jax import main
from srpo_jax.core import config
from srpo_jax.data.builders import sets
from srpo_jax.data.builders.published import PUBLISHED
from srpo_jax.jobs import bench_shapes, gguf_policy

GIN = Path(__file__).resolve().parents[1] / 'gin'
# A file that includes a job is one; these are for adding to one.
PARTS = ('base.gin', 'chat.gin', 'lora.gin', 'sampler.gin', 'verify.gin')
JOBS = sorted(p.name for p in GIN.glob('*.gin') if p.name not in PARTS)

EVALS = sorted(
  p.stem for p in (GIN / 'evals').glob('*.gin') if p.stem != 'sets'
)
BASELINES = sorted(p.stem for p in (GIN / 'baselines').glob('*.gin'))

PROMPTS = sorted(p.stem for p in (GIN / 'prompts').glob('*.gin'))
MESHES = sorted(p.stem for p in (GIN / 'mesh').glob('*.gin'))
MODELS = sorted(p.stem for p in (GIN / 'models').glob('*.gin'))

# DESIGN.md section 6: macros that every training job understands.
PROMISED = (
  'SEED', 'STEPS', 'EPOCHS', 'PROMPTS_PER_STEP', 'GROUP_SIZE',
  'MAX_NEW_TOKENS', 'TEMPERATURE', 'LEARNING_RATE', 'UPDATES_PER_ROLLOUT',
  'HISTORY', 'INIT_FROM', 'REWARD_ADDRESS', 'DATA_DIR',
)  # fmt: skip


def test_there_are_jobs():
  wanted = {'stage1.gin', 'stage2.gin', 'pretrain.gin', 'evaluate.gin'}
  assert wanted <= set(JOBS)


@pytest.mark.parametrize('name', JOBS)
def test_every_job_resolves(name, capsys):
  assert main.main([f'--gin_file={name}', '--dry_run']) == 0
  assert 'run.job' in capsys.readouterr().out


@pytest.mark.parametrize('job', ['stage1.gin', 'stage2.gin', 'srpo.gin'])
@pytest.mark.parametrize('macro', PROMISED)
def test_training_understands_every_promised_macro(macro, job):
  value = {'HISTORY': '@keep_all', 'EPOCHS': '2', 'TEMPERATURE': '0.5'}
  text = config.load([job], [f'{macro}={value.get(macro, "3")}'])
  assert f'{macro} = {value.get(macro, "3")}' in text


@pytest.mark.parametrize('job', ['stage1.gin', 'srpo.gin'])
@pytest.mark.parametrize('name', BASELINES)
def test_every_baseline_resolves_and_says_its_source(name, job, capsys):
  path = f'baselines/{name}.gin'
  flags = [f'--gin_file={job}', f'--gin_file={path}', '--dry_run']
  assert main.main(flags) == 0
  assert 'run.job' in capsys.readouterr().out
  comment = (GIN / path).read_text().split('\n\n')[0]
  assert comment.startswith('# ')
  assert 'arXiv:' in comment or "paper's" in comment


@pytest.mark.parametrize('job', ['stage1.gin', 'srpo.gin'])
@pytest.mark.parametrize('name', MODELS)
def test_every_model_resolves_and_names_its_package(name, job, capsys):
  flags = [f'--gin_file={job}', f'--gin_file=models/{name}.gin', '--dry_run']
  assert main.main(flags) == 0
  assert 'INIT_FROM = ' in capsys.readouterr().out
  if gin.query_parameter('%INIT_FROM') in bench_shapes.KNOWN:  # from the Hub
    return
  package = gin.query_parameter('%INIT_FROM').split(':')[1].split('/')[0]
  comment = (GIN / 'models' / f'{name}.gin').read_text().split('\n\n')[0]
  assert gguf_policy.INSTALL[package] in comment


@pytest.mark.parametrize('job', ['stage1.gin', 'rehearse.gin'])
@pytest.mark.parametrize('name', MESHES)
def test_every_mesh_goes_with_training_and_rehearsal(name, job, capsys):
  model = '--gin_file=models/qwen2_5_7b.gin'
  flags = [f'--gin_file={job}', model, f'--gin_file=mesh/{name}.gin']
  assert main.main([*flags, '--dry_run']) == 0
  assert 'MESH = (1, ' in capsys.readouterr().out


@pytest.mark.parametrize('name', PROMPTS)
def test_every_prompt_set_is_the_mixture_of_a_stage(name, tmp_path, capsys):
  table = tmp_path / 'mine.csv'
  table.write_text('question,answer\nq,1\n')
  path = f'prompts/{name}.gin'
  text = (GIN / path).read_text()
  job = 'stage2' if 'stage2/' in text else 'stage1'
  flags = [f'--gin_file={job}.gin', f'--gin_file={path}', '--dry_run']
  if name == 'table':
    flags.append(f"--gin.TABLE='{table}'")
  assert main.main(flags) == 0
  assert 'run.job' in capsys.readouterr().out
  with gin.config_scope(job):
    stage = gin.get_configurable('Stage')(name=job, until=None)
  for set_name in (*stage.mixture, *stage.heldout):
    file_set, split = sets.describe(set_name)
    assert file_set is None or split in file_set.splits
  # Nothing is trained on that is there to be evaluated on.
  assert {n.split('/')[1] for n in stage.mixture} == {'train'}
  assert f'{name}/train' in stage.mixture or name == 'table'


def test_every_set_to_train_on_has_a_file():
  trained = {n for n, entry in PUBLISHED.items() if 'train' in entry.splits}
  assert set(PROMPTS) == trained | {'gym', 'table'}


def test_the_promised_models_are_there():
  qwen = {f'qwen2_5_{size}' for size in ('1_5b', '7b', '32b')}
  assert {'smollm2_135m', 'gemma3_270m', *qwen} <= set(MODELS)
  assert {'v6e_1', 'v6e_4x4', 'v6e_16x16', 'v5p_4x4x8'} <= set(MESHES)


# Macros that say how each set is asked.
ASKED = (
  'SETS', 'TEMPLATE', 'EVAL_SAMPLES', 'TEMPERATURE', 'PASS_AT',
  'MAX_PROMPT_TOKENS', 'MAX_NEW_TOKENS', 'EVAL_ROWS',
)  # fmt: skip


@pytest.mark.parametrize('name', EVALS)
def test_every_set_resolves_and_says_how_it_is_asked(name, capsys):
  path = f'evals/{name}.gin'
  files = ['--gin_file=evaluate.gin', f'--gin_file={path}']
  assert main.main([*files, '--gin.EVAL_LIMIT=50', '--dry_run']) == 0
  assert 'EVAL_LIMIT = 50' in capsys.readouterr().out
  text = (GIN / path).read_text()
  assert 'our choice' in text.replace('\n# ', ' ')
  if name != 'paper':  # it takes them over
    assert {m for m in ASKED if f'\n{m} = ' not in text} == set()


def test_the_promised_sets_are_there():
  assert {
    'paper', 'gsm8k', 'math500', 'aime24', 'aime25', 'amc23', 'humaneval',
    'mbpp', 'livecodebench', 'minerva', 'olympiadbench',
  } <= set(EVALS)  # fmt: skip


def test_the_paper_is_evaluated_as_its_card_says():
  config.load(['evaluate.gin', 'evals/paper.gin'])
  assert gin.query_parameter('EVAL_SAMPLES/gin.macro.value') == 32
  window = gin.query_parameter('livecodebench/EvalSet.window')
  assert window == ('2024-08-01', '2025-01-31')


def test_the_promised_baselines_are_there():
  assert {
    'grpo', 'dynamic_sampling', 'dapo', 'dr_grpo', 'gspo', 'cispo', 'mixed',
    'math_only', 'code_only', 'threshold', 'review', 'greso', 'mopps', 'dps',
  } <= set(BASELINES)  # fmt: skip


@pytest.mark.parametrize('name', ['mixed', 'math_only', 'code_only'])
def test_regimes_are_as_long_as_both_stages(name):
  files = ['srpo.gin', f'baselines/{name}.gin']
  text = config.load(files, ['STEPS=7'])
  for line in ('STAGE1_STEPS = %STEPS', 'STAGE2_STEPS = %STEPS'):
    assert line in text
  # Nothing ends either of them before.
  assert 'PLATEAU = None' in text.splitlines()
  assert 'STAGE2_PLATEAU = None' in text.splitlines()
  one, two = (gin.query_parameter(f'stage{s}/Stage.mixture') for s in (1, 2))
  assert one == two
  sets = {'mixed': {'math', 'code'}}.get(name, {name.split('_')[0]})
  assert {m.split('/')[0] for m in one} == {f'embedded_{s}' for s in sets}


def test_job_files_are_short():
  for name in JOBS:
    lines = (GIN / name).read_text().splitlines()
    assert len(lines) <= 60, f'{name}: let it include and say what differs'
