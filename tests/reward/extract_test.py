# SPDX-License-Identifier: Apache-2.0
"""Final answers, by hand."""

import pytest

from srpo_jax.reward.extract import Final, Tags, final_answer, last_box


def boxed(text: str) -> Final:
  return Final(text, True)


def bare(text: str) -> Final:
  return Final(text, False)


@pytest.mark.parametrize(
  ('response', 'expected'),
  [
    ('<think>a</think><answer> 5 </answer>', bare('5')),
    ('<think>a</think><answer>it is \\boxed{5}</answer>', boxed('5')),
    ('<answer>\\boxed{1} or \\boxed{2}.</answer>', boxed('2')),
    ('<answer>\\boxed{\\frac{1}{\\sqrt{2}}}</answer>', None),
    ('<answer>5</answer>', bare('5')),
    ('<answer>1</answer> no, <answer>2</answer>', bare('2')),
    ('<answer>1</answer> then <answer>2', bare('1')),
    ('<answer>a <answer>b</answer>', bare('b')),
    # An unbalanced box is none.
    ('<answer>\\boxed{1} or \\boxed{2</answer>', boxed('1')),
    ('<answer>\\boxed{2</answer>', bare('\\boxed{2')),
    # A thought is no answer, closed or cut off.
    ('<think><answer>5</answer></think>', None),
    ('<think>so <answer>5</answer> or', None),
    ('<think><answer>4</answer></think><answer>5</answer>', bare('5')),
    ('a</think><answer>5</answer>', bare('5')),
    ('5', None),
    ('\\boxed{5}', None),
    ('<answer>5', None),
    ('5</answer>', None),
    ('</answer>5<answer>', None),
    ('<answer>  \n</answer>', None),
    ('<answer>\\boxed{ }</answer>', None),
    ('', None),
  ],
)
def test_final_answer(response, expected):
  if 'frac' in response:
    expected = boxed('\\frac{1}{\\sqrt{2}}')
  assert final_answer(response) == expected


def test_opened_think():
  cut_off = 'so <answer>4</answer>'
  assert final_answer(cut_off) == bare('4')
  assert final_answer(cut_off, opened_think=True) is None
  closed = 'so <answer>4</answer></think><answer>5</answer>'
  assert final_answer(closed, opened_think=True) == bare('5')


def test_other_tags():
  tags = Tags(think='reason', answer='final')
  response = '<reason><final>1</final></reason><final>2</final>'
  assert final_answer(response, tags) == bare('2')
  assert final_answer(response) is None


@pytest.mark.parametrize(
  ('text', 'expected'),
  [
    ('\\boxed{a{b}{c{d}}}', 'a{b}{c{d}}'),
    ('\\boxed {5}', '5'),
    ('\\boxed{\\boxed{5}}', '5'),
    ('\\boxed{\\{1, 2\\}}', '\\{1, 2\\}'),
    ('\\boxed{\\left\\{ x \\right.}', '\\left\\{ x \\right.'),
    ('\\boxed{1}} \\boxed{2}', '2'),
    ('\\boxed{}', ''),
    ('\\fbox{5}', None),
    ('boxed{5}', None),
  ],
)
def test_last_box(text, expected):
  assert last_box(text) == expected


def test_is_linear_in_degenerate_text():
  # A loop that a policy falls into; quadratic code would not come back.
  for piece in ('\\boxed{', '<think>', '<answer>', '{', '\\boxed '):
    final_answer('<answer>' + piece * 100_000 + '</answer>')
