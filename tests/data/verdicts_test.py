# SPDX-License-Identifier: Apache-2.0
"""The reward service accepts every shipped answer and refuses near misses."""

import re

import pytest

from srpo_jax.core.records import Prompt
from srpo_jax.data import prompts
from srpo_jax.reward.client import RewardClient
from srpo_jax.reward.launch import launch_service


def item(prompt: Prompt, answer: str) -> dict:
  return {
    'id': str(prompt.id),
    'domain': prompt.domain,
    'response': f'x</think><answer>{answer}</answer>',
    'answer': list(prompt.answer),
    'match': prompt.match,
    'opened_think': True,
  } | ({'tests': prompt.tests} if prompt.tests else {})


def near_miss(answer: str) -> str:
  """The last number one larger; of words, the last letter in front."""
  number = re.search(r'\d+$', answer)
  if number:
    return answer[: number.start()] + str(int(number[0]) + 1)
  return answer[-1] + answer[:-1]


def test_near_misses():
  assert near_miss('5/6') == '5/7'
  assert near_miss('3 4 9') == '3 4 10'
  assert near_miss('abc') == 'cab'


@pytest.fixture(scope='module')
def client():
  with (
    launch_service(workers=1) as service,
    RewardClient(service.address) as client,
  ):
    yield client


def test_every_answer_is_right_and_its_near_miss_wrong(client):
  loaded = prompts.load(['embedded_math/train', 'embedded_math/test'])
  asked = list(loaded.by_id.values())
  right = client.submit([item(p, p.answer[0]) for p in asked])
  wrong = client.submit([item(p, near_miss(p.answer[0])) for p in asked])
  for prompt, yes, no in zip(
    asked, right.result(), wrong.result(), strict=True
  ):
    assert yes['status'] == 'correct', (prompt, yes)
    assert no['status'] == 'wrong', (prompt, no)


def test_a_pair_may_come_in_either_order(client):
  loaded = prompts.load('embedded_math/train').by_id.values()
  pairs = [p for p in loaded if p.level == 'pair']
  assert pairs
  swapped = [','.join(p.answer[0].split(',')[::-1]) for p in pairs]
  results = client.submit(list(map(item, pairs, swapped))).result()
  assert {r['status'] for r in results} == {'correct'}
