# SPDX-License-Identifier: Apache-2.0
"""A folder as the Hub has it, with tokenizer.json: trained, gone on from.

Its chat template is used, and a run's prompts begin and end as that says.
"""

import json
import shutil

import jax
import pyarrow.parquet
import pytest
import tokenizers

from srpo_jax.core import mesh
from srpo_jax.core.config import ConfigError
from srpo_jax.data.tasks.sampling import corpus
from srpo_jax.data.template import Template, question_only
from srpo_jax.data.tokenizer_json import JsonTokenizer
from srpo_jax.jobs import initial
from srpo_jax.policy import huggingface
from srpo_jax.policy.config import DecoderConfig
from srpo_jax.policy.policy import make_policy
from srpo_jax.train.state import init_params

END, TURN, VOCABULARY = 0, 2, 320
SPECIAL = ['<|endoftext|>', '<|im_start|>', '<|im_end|>']
CHAT = (
  "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
  "{{ m['content'] + '<|im_end|>\n' }}{% endfor %}"
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def write_tokenizer(folder):
  """A byte-level BPE, as Qwen2.5 has."""
  level = tokenizers.pre_tokenizers.ByteLevel
  model = tokenizers.Tokenizer(tokenizers.models.BPE())
  model.pre_tokenizer = level(add_prefix_space=False)
  model.decoder = tokenizers.decoders.ByteLevel()
  trainer = tokenizers.trainers.BpeTrainer(
    vocab_size=VOCABULARY,
    special_tokens=SPECIAL,
    initial_alphabet=level.alphabet(),
    show_progress=False,
  )
  model.train_from_iterator([q + s for q, s in corpus(0, 200)], trainer)
  model.save(str(folder / 'tokenizer.json'))
  said = {'eos_token': '<|endoftext|>', 'chat_template': CHAT}
  (folder / 'tokenizer_config.json').write_text(json.dumps(said))


@pytest.fixture(scope='module')
def hub_folder(tmp_path_factory):
  """Qwen2's parts in small: biases, a tied head, more rows than tokens."""
  folder = tmp_path_factory.mktemp('hub')
  config = DecoderConfig(
    VOCABULARY + 8, 32, 2, 4, 2, 8, 64, qkv_bias=True, tied_head=True
  )
  devices = mesh.make_mesh((-1, 1, 1))
  policy = make_policy(config, devices)
  params = init_params(policy, devices, jax.random.key(0))
  huggingface.save_policy(folder, config, params, {'eos_token_id': END})
  write_tokenizer(folder)
  return folder


def test_a_run_goes_on_without_what_it_came_from(tiny, hub_folder, tmp_path):
  source = tmp_path / 'source'
  shutil.copytree(hub_folder, source)
  flags = {'STEPS': 3, 'MAX_PROMPT_TOKENS': 20, 'INIT_FROM': f"'{source}'"}
  whole = tiny('stage1.gin', tmp_path / 'whole', **flags)
  assert whole.returncode == 0, whole.stdout + whole.stderr
  tiny('stage1.gin', tmp_path / 'run', killed=(3, 'before'), **flags)
  shutil.rmtree(source)
  done = tiny('stage1.gin', tmp_path / 'run', **flags)
  assert done.returncode == 0, done.stdout + done.stderr
  one, other = (
    json.loads((tmp_path / name / 'done.json').read_text())['fingerprint']
    for name in ('whole', 'run')
  )
  assert one == other


def test_a_folder_with_tokenizer_json_trains_and_goes_on(
  tiny, hub_folder, tmp_path
):
  flags = {'STEPS': 1, 'MAX_PROMPT_TOKENS': 36, 'TEMPLATE': '@chat_template'}
  for workdir, source in (('one', hub_folder), ('two', tmp_path / 'one')):
    done = tiny(
      'stage1.gin', tmp_path / workdir, **flags, INIT_FROM=f"'{source}'"
    )
    assert done.returncode == 0, done.stdout + done.stderr
  # The second found the tokenizer in the workdir of the first.
  policy = tmp_path / 'two' / 'policy'
  both = [initial.tokenizer(initial.find(str(x))) for x in (hub_folder, policy)]
  # No file of the first names the end of a turn; the template has it.
  assert both[0].end_ids == (END,)
  assert both[1].end_ids == (END, TURN)
  more = dict(both[1].files)
  said = json.loads(more.pop('generation_config.json'))
  assert said == {'pad_token_id': END, 'eos_token_id': [END, TURN]}
  assert both[0].files == more
  (path,) = (tmp_path / 'one' / 'rollouts').glob('*.parquet')
  text = pyarrow.parquet.read_table(path)['prompt_text'][0].as_py()
  assert text.startswith('<|im_start|>user\n')
  assert text.endswith('<|im_end|>\n<|im_start|>assistant\n')


def test_tokenizer_json_is_taken_where_both_are_there(hub_folder, tmp_path):
  shutil.copytree(hub_folder, tmp_path, dirs_exist_ok=True)
  shutil.copy(initial.EMBEDDED / 'tokenizer.model', tmp_path)
  source = initial.find(str(tmp_path))
  found = initial.tokenizer(source)
  assert isinstance(found, JsonTokenizer)
  assert 'tokenizer.model' not in found.files
  (tmp_path / 'tokenizer.json').unlink()
  # Without it the other does not suit the files that are left.
  with pytest.raises(
    ConfigError, match=r"'<\|endoftext\|>', which is no token"
  ):
    initial.tokenizer(source)


@pytest.mark.parametrize(
  ('changes', 'wanted'),
  [
    ({'vocab_size': 319}, r'has 320 tokens, the policy 319; use'),
    ({'start_ids': (321,)}, r'the start token 321 is none of the 320 tokens'),
    ({'end_ids': (0, 330)}, r'the end token 330 is none of the 320 tokens'),
    ({'pad_id': 320}, r'the pad token 320 is none of the 320 tokens'),
  ],
)
def test_a_tokenizer_that_the_policy_does_not_know_is_refused(
  hub_folder, changes, wanted
):
  source = initial.find(str(hub_folder))
  tokenizer = initial.tokenizer(source)
  size = changes.pop('vocab_size', VOCABULARY)
  for name, value in changes.items():
    setattr(tokenizer, name, value)
  with pytest.raises(ConfigError, match=wanted):
    check(source, size, tokenizer)


def check(source, size, tokenizer, template=question_only):
  decoder = DecoderConfig(size, 32, 2, 4, 2, 8, 64)
  return initial.check_vocabulary(source, decoder, tokenizer, template())


def test_a_token_that_only_the_template_writes_must_be_the_policys(
  hub_folder, tmp_path
):
  shutil.copytree(hub_folder, tmp_path, dirs_exist_ok=True)
  path = str(tmp_path / 'tokenizer.json')
  # As Gemma 3 1B has it: a special token more than rows, which nobody uses.
  model = tokenizers.Tokenizer.from_file(path)
  model.add_special_tokens(['<image>'])
  model.save(path)
  source = initial.find(str(tmp_path))
  tokenizer = initial.tokenizer(source)
  assert tokenizer.encode('<image>') == [VOCABULARY]
  assert check(source, VOCABULARY, tokenizer) == ()
  writes = lambda: Template('<image>{question}', opened_think=False)
  with pytest.raises(ConfigError, match='the template token 320 is none of'):
    check(source, VOCABULARY, tokenizer, writes)


def test_a_policy_with_far_more_tokens_is_told(hub_folder):
  source = initial.find(str(hub_folder))
  tokenizer = initial.tokenizer(source)
  assert check(source, VOCABULARY + 16, tokenizer) == ()
  (line,) = check(source, VOCABULARY + 17, tokenizer)
  assert '17 of the 337 tokens that the policy has are none of the' in line
