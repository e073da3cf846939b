# SPDX-License-Identifier: Apache-2.0
"""What is wrong is one clear line and exit status 2, before any compiling."""

import concurrent.futures
import json
import shutil

import jax
import pytest

from srpo_jax import main
from srpo_jax.data.builders import sets
from srpo_jax.jobs import parts, scoring


@pytest.fixture
def refuse(tmp_path, capsys, monkeypatch):
  """Runs stage 1 in this process; it must end with 2 and one line."""

  def no_device_work(*_, **__):
    raise AssertionError('a device was used before the refusal')

  monkeypatch.setattr(parts, 'make_state', no_device_work)
  monkeypatch.setattr(scoring, 'launch_service', no_device_work)

  def run(*overrides: str, gin_file: str = 'stage1.gin') -> str:
    flags = [f'--gin.{o}' for o in overrides]
    workdir = f'--workdir={tmp_path}/run'
    status = main.main([f'--gin_file={gin_file}', workdir, *flags])
    said = capsys.readouterr()
    assert status == 2, said.err
    lines = said.err.strip().splitlines()
    assert len(lines) == 1, said.err
    return lines[0]

  return run


@pytest.mark.parametrize(
  ('override', 'wanted'),
  [
    ('STEPS=0', 'STEPS = 0, but it must be an integer, at least 1'),
    ('STEPS=2.5', 'STEPS = 2.5, but it must be an integer'),
    ('STEPS=many', "STEPS = 'many', but it must be an integer"),
    ('STEPS=None', 'be set if EPOCHS is not'),
    ('EPOCHS=0', 'EPOCHS = 0, but it must be an integer, at least 1'),
    ('GROUP_SIZE=1', 'GROUP_SIZE = 1, but it must be at least 2'),
    ('GROUP_SIZE=True', 'GROUP_SIZE = True, but it must be an integer'),
    ('MAX_NEW_TOKENS=0', 'MAX_NEW_TOKENS = 0, but it must be an integer'),
    ('PROMPTS_PER_STEP=1000', 'be at most 320, the prompts of embedded_math'),
    ('ROW_TOKENS=100', 'ROW_TOKENS = 100, but it must be at least MAX_PROMPT'),
    ('ROW_TOKENS=long', "ROW_TOKENS = 'long', but it must be an integer"),
    ('MICRO_BATCH_TOKENS=111', 'MICRO_BATCH_TOKENS = 111, but it must be at'),
    ('SLOTS=0', 'SLOTS = 0, but it must be an integer'),
    ('CACHE_DTYPE=int4', "CACHE_DTYPE = 'int4', but it must be one of"),
    ('SAMPLER=3', 'SAMPLER = 3, but it must be a function'),
    ('PROFILE=0', 'PROFILE = 0, but it must be an integer'),
    ('MICRO_BATCHES=7', 'but nothing uses a macro MICRO_BATCHES'),
    ('REMAT=all', "REMAT = 'all', but it must be one of"),
    ('TEMPERATURE=0', 'TEMPERATURE = 0, but it must be above 0'),
    ('TEMPERATURE=hot', "TEMPERATURE = 'hot', but it must be a number"),
    ('TOP_P=1.5', 'TOP_P = 1.5, but it must be a number from 0 to 1'),
    ('COMPUTE_DTYPE=float8', "COMPUTE_DTYPE = 'float8', but it must be one"),
    ('MOMENT_DTYPE=float16', "MOMENT_DTYPE = 'float16', but it must be one"),
    ('HISTORY=3', 'HISTORY = 3, but it must be a function'),
    ('REFILL=3', 'REFILL = 3, but it must be a function'),
    ('TEMPLATE=3', 'TEMPLATE = 3, but it must be a function'),
    ('TEMPLATE=@keep_all', "TEMPLATE = '@keep_all', but it must take one arg"),
    ('TEMPLATE=@chat_template', "tokenizer_config.json: no 'chat_template'"),
    ('TEMPLATE=@chat_think_template', 'try --gin.TEMPLATE=@r1_zero_template'),
    ('LOSS=3', 'LOSS = 3, but it must be a function'),
    ('ADVANTAGE=mean', "ADVANTAGE = 'mean', but it must be a function"),
    ('CANDIDATES=0', 'CANDIDATES = 0, but it must be an integer, at least 1'),
    ('REFILL_ROUNDS=-1', 'REFILL_ROUNDS = -1, but it must be an integer'),
    ('PLATEAU=5', 'PLATEAU = 5, but it must be a Plateau or None'),
    (
      "CODE_LIMITS={'cpu_s': 0}",
      "CODE_LIMITS = {'cpu_s': 0}, but it must be limits of a program (CODE",
    ),
    ('CODE_LIMITS=2', 'CODE_LIMITS = 2, but it must be limits of a program'),
    ('REWARD_SANDBOXES=0', 'REWARD_SANDBOXES = 0, but it must be an integer'),
    ('MESH=(3,1,1)', 'MESH = (3, 1, 1) does not fit the'),
    ('MESH=(1,1)', 'MESH = (1, 1), but it must be three counts'),
    ('OVERLAP=3', 'OVERLAP = 3, but it must be a function'),
    ('ROLLOUT_MESH=(4,1,1)', 'ROLLOUT_MESH = (4, 1, 1), but it must be None'),
    ('INIT_FROM=5', 'INIT_FROM = 5, but it must be a name or None'),
    ('INIT_FROM=True', 'INIT_FROM = True, but it must be a name or None'),
    ("INIT_FROM=('a', 'b')", "INIT_FROM = ('a', 'b'), but it must be a name"),
    ('INIT_FROM=nowhere', "INIT_FROM = 'nowhere': neither a Hugging Face"),
    ('REWARD_ADDRESS=10.0.0.1:80', "REWARD_ADDRESS = '10.0.0.1:80', but it"),
    ('REWARD_ADDRESS=http://a:1,b', 'or several with commas between'),
    ('REWARD_ADDRESS=unix:run', 'REWARD_ADDRESS'),
    ('TOP_P=0', 'TOP_P = 0, but it must be above 0'),
    ('REWARD_DEADLINE=0', 'REWARD_DEADLINE = 0, but it must be above 0'),
    ('CHECKPOINTS_KEPT=1', 'CHECKPOINTS_KEPT = 1, but it must be an integer'),
    ('SEED=-1', 'SEED = -1, but it must be an integer'),
    ('EVAL_EVERY=0', 'EVAL_EVERY = 0, but it must be an integer'),
    ('DATA_DIR=nowhere', 'DATA_DIR nowhere: no such folder'),
    ("stage1/Stage.mixture=('gsm9k/train',)", 'gsm9k/train: no such prompt'),
    (
      "stage1/Stage.mixture=('embedded_math/test',)",
      'its prompts are trained on',
    ),
    (
      "stage1/Stage.heldout=('embedded_math/test','embedded_math/train')",
      'name one split of each',
    ),
    ('MAX_PROMPT_TOKENS=2', 'none of 320 prompts has at most 2 tokens'),
  ],
)
def test_a_wrong_value_names_itself_and_the_remedy(refuse, override, wanted):
  line = refuse(override)
  assert wanted in line
  if ' = ' in wanted and 'must' in wanted:
    assert 'command line' in line
    assert '--gin.' in line


def test_a_decay_that_moments_in_bfloat16_would_lose(refuse):
  line = refuse('MOMENT_DTYPE=bfloat16', 'adamw.b2=0.999')
  assert 'adamw.b2 = 0.999, but it must be at most 0.99609375' in line


def test_a_buffer_longer_than_the_responses(refuse):
  line = refuse('LENGTH_PENALTY=@soft_overlong', 'MAX_NEW_TOKENS=8')
  assert 'OVERLONG_BUFFER = 14, but it must be a number of tokens' in line


@pytest.mark.parametrize('targets', ['None', '()', '[]', "'q'", '7'])
def test_adapters_of_nothing(refuse, targets):
  adapters = ('LORA=@Lora()', 'Lora.rank=4', 'Lora.alpha=8.0')
  line = refuse(*adapters, f'Lora.targets={targets}')
  assert f'Lora.targets = {targets}, but it must name the projec' in line


@pytest.mark.parametrize(
  ('override', 'wanted'),
  [
    ('STAGE2_PLATEAU=5', 'STAGE2_PLATEAU = 5, but it must be a Plateau or'),
    ('PLATEAU=5', 'PLATEAU = 5, but it must be a Plateau or None'),
    ('STAGE1_STEPS=0', 'STAGE1_STEPS = 0, but it must be an integer, at'),
    ('STAGE2_STEPS=0', 'STAGE2_STEPS = 0, but it must be an integer, at'),
  ],
)
def test_a_stage_names_its_own_macro(refuse, override, wanted):
  line = refuse(override, gin_file='srpo.gin')
  assert wanted in line
  assert f'--gin.{override.partition("=")[0]}' in line


def test_a_corrupt_data_file(refuse, tmp_path, monkeypatch):
  copied = tmp_path / 'prompts'
  shutil.copytree(sets.ASSETS, copied)
  monkeypatch.setattr(sets, 'ASSETS', copied)
  (path,) = (copied / 'embedded_math').glob('*train*')
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 1
  path.write_bytes(data)
  line = refuse()
  assert path.name in line
  assert 'rebuild' in line


def test_a_policy_without_weights(refuse, tmp_path):
  shutil.copytree(parts.initial.EMBEDDED, tmp_path / 'policy')
  (tmp_path / 'policy' / 'model.safetensors').unlink()
  assert 'model.safetensors: cannot be read' in refuse(
    f'INIT_FROM={tmp_path}/policy'
  )


@pytest.mark.parametrize(
  ('changes', 'wanted'),
  [
    ({'vocab_size': 400}, 'the tokenizer has 411 tokens, the policy 400; use'),
    ({'eos_token_id': [1, 411]}, 'eos_token_id is 411, but tokens go from 0'),
  ],
)
def test_a_tokenizer_of_another_policy(refuse, tmp_path, changes, wanted):
  folder = tmp_path / 'policy'
  shutil.copytree(parts.initial.EMBEDDED, folder)
  config = json.loads((folder / 'config.json').read_text())
  (folder / 'config.json').write_text(json.dumps({**config, **changes}))
  line = refuse(f'INIT_FROM={folder}')
  assert wanted in line
  assert str(folder) in line


class NoSandbox:
  """A reward service without a sandbox, and its client."""

  address, restart = 'http://127.0.0.1:9', None

  def __init__(self, *_, **__):
    self.asked = []

  def __enter__(self):
    return self

  def __exit__(self, *_):
    pass

  def submit(self, items):
    assert [item['domain'] for item in items] == ['code']
    future = concurrent.futures.Future()
    future.set_result([{'status': 'sandbox_error', 'detail': 'no bwrap here'}])
    return future


@pytest.mark.parametrize('gin_file', ['stage2.gin', 'srpo.gin'])
def test_code_without_a_sandbox(refuse, monkeypatch, gin_file):
  monkeypatch.setattr(scoring, 'launch_service', NoSandbox)
  monkeypatch.setattr(scoring, 'RewardClient', NoSandbox)
  line = refuse(gin_file=gin_file)
  assert 'cannot run programs: sandbox_error (no bwrap here)' in line
  assert '--gin.REWARD_ADDRESS' in line


def test_a_refused_start_may_be_corrected(refuse, tmp_path):
  refuse('PROMPTS_PER_STEP=1000')
  assert 'must be at least 2' in refuse('GROUP_SIZE=1')


def test_a_mesh_must_divide_the_prompts(refuse, monkeypatch):
  device = jax.devices()[0]
  monkeypatch.setattr(jax, 'device_count', lambda: 8)
  monkeypatch.setattr(jax, 'devices', lambda: [device] * 8)
  line = refuse('PROMPTS_PER_STEP=4')
  assert 'divide over data * fsdp = 8 shards' in line


OFF = ('OVERLAP=@one_step_off', 'ROLLOUT_MESH=(4,1,1)')


def test_rollouts_of_an_older_policy_want_devices_and_weights(refuse):
  wanted = 'ROLLOUT_MESH = None, but it must be three counts'
  assert wanted in refuse('OVERLAP=@one_step_off')
  wanted = 'no_weights, but it must weigh rollouts that are an update old'
  assert wanted in refuse(*OFF).replace("'", '')


def test_rollouts_leave_devices_to_the_update(refuse, monkeypatch):
  weighed = (*OFF, 'IMPORTANCE=@truncated_weights')
  assert 'but it must leave some of the 1 devices of' in refuse(*weighed)
  device = jax.devices()[0]
  monkeypatch.setattr(jax, 'devices', lambda: [device] * 8)
  line = refuse(*weighed, 'MESH=(8,1,1)')
  assert 'MESH = (8, 1, 1) does not fit the 4 devices that are left by' in line
  assert 'shards of MESH' in refuse(*weighed, 'PROMPTS_PER_STEP=6')
  line = refuse(*weighed, 'PROMPTS_PER_STEP=6', 'MESH=(1,1,-1)')
  assert 'divide over data * fsdp = 4 shards of ROLLOUT_MESH' in line
