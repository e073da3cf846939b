# SPDX-License-Identifier: Apache-2.0
"""The macros of the chat templates reach all three of them, in every job."""

import gin
import pytest

from srpo_jax.core import config
from srpo_jax.core.config import ConfigError
from srpo_jax.data import chat, template
from srpo_jax.data.tokenizer_json import JsonTokenizer

JOBS = ('stage1.gin', 'stage2.gin', 'srpo.gin', 'evaluate.gin')
TEMPLATES = ('chat_template', 'chat_think_template', 'chat_boxed_template')


@pytest.fixture(scope='module')
def llama3(families):
  return JsonTokenizer(families['llama3'])


def made(job: str, name: str, tokenizer, *overrides: str):
  """The template that a job makes of its config."""
  config.load([job], [f'TEMPLATE=@{name}', *overrides])
  bound = gin.query_parameter('TEMPLATE/gin.macro.value')
  return template.make(bound.scoped_configurable_fn, tokenizer)


@pytest.mark.parametrize('name', TEMPLATES)
@pytest.mark.parametrize('job', JOBS)
def test_each_template_gets_what_the_macros_say(llama3, job, name):
  text = made(job, name, llama3, 'CHAT_TODAY=2025-01-31').render('1+1')
  assert 'Today: 31 Jan 2025\n' in text
  more = "CHAT_VARIABLES={'date_string': 'some day'}"
  assert 'Today: some day\n' in made(job, name, llama3, more).render('1+1')
  system = made(job, name, llama3, 'SYSTEM_PROMPT=Be brief.').render('1+1')
  assert 'Be brief.<|eot_id|>' in system


@pytest.mark.parametrize('name', TEMPLATES)
@pytest.mark.parametrize(
  ('override', 'need'),
  [
    ('CHAT_TODAY=tomorrow', "CHAT_TODAY = 'tomorrow', but it must be a day"),
    ('CHAT_TODAY=7', 'CHAT_TODAY = 7, but it must be a day, YYYY-MM-DD; try'),
    ('CHAT_VARIABLES=7', 'CHAT_VARIABLES = 7, but it must be a dictionary'),
  ],
)
def test_a_refusal_names_the_macro_and_who_set_it(llama3, name, override, need):
  with pytest.raises(ConfigError) as caught:
    made('stage1.gin', name, llama3, override)
  assert caught.value.line.startswith(f'command line: {need}')


def test_the_day_of_the_jobs_is_that_of_the_library(llama3):
  for job in JOBS:
    made(job, TEMPLATES[0], llama3)
    assert gin.query_parameter('CHAT_TODAY/gin.macro.value') == chat.TODAY
