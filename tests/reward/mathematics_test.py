# SPDX-License-Identifier: Apache-2.0
"""Numbers, words and equivalence, by hand."""

from fractions import Fraction

import pytest

from srpo_jax.reward import mathematics
from srpo_jax.reward.mathematics import parse_number


@pytest.mark.parametrize(
  ('text', 'expected'),
  [
    ('5', Fraction(5)),
    (' -5 ', Fraction(-5)),
    ('+05.50', Fraction(11, 2)),
    ('\N{MINUS SIGN}3', Fraction(-3)),
    ('.5', Fraction(1, 2)),
    ('7.', Fraction(7)),
    ('1,234,567.5', Fraction(2469135, 2)),
    ('1e-3', Fraction(1, 1000)),
    ('6/8', Fraction(3, 4)),
    ('-1 / 3', Fraction(-1, 3)),
    ('$\\frac{1}{3}$', Fraction(1, 3)),
    ('-\\dfrac{10}{4}', Fraction(-5, 2)),
    ('$12$', Fraction(12)),
    ('', None),
    ('five', None),
    ('5 apples', None),
    ('1,23', None),
    ('1234,567', None),
    ('1/0', None),
    ('1/2/3', None),
    ('--5', None),
    ('1_000', None),
    ('0x10', None),
    ('nan', None),
    ('inf', None),
    ('٣', None),
    ('2+3', None),
    ('__import__("os")', None),
    ('1e999999999', None),
    ('9' * 100_000, None),
  ],
)
def test_parse_number(text, expected):
  assert parse_number(text) == expected


def test_a_third_is_not_its_digits():
  assert parse_number('1/3') != parse_number('0.3333333333')
  assert parse_number('1/4') == parse_number('0.25')


def test_same_text():
  assert mathematics.same_text(' a  b\n', 'a b')
  assert not mathematics.same_text('A b', 'a b')


@pytest.mark.parametrize(
  ('text', 'expected'),
  [
    ('abc', True),
    ('no', True),
    ('\\text{Monday}', True),
    ('red, green', True),
    ('All real numbers.', True),
    ('день', True),
    ('A', False),
    ('x, y', False),
    ('3 apples', False),
    ('x+y', False),
    ('ad-bc', False),
    ('\\pi', False),
    ('\\sin x', False),
    ('x=5', False),
  ],
)
def test_is_words(text, expected):
  assert mathematics.is_words(text) is expected


def test_same_words():
  assert mathematics.same_words('\\text{ Monday }.', 'monday')
  assert not mathematics.same_words('yadnom', 'monday')


@pytest.mark.parametrize(
  ('answer', 'gold', 'expected'),
  [
    ('\\frac{1}{2}', '0.5', True),
    ('\\frac12', '\\frac{2}{4}', True),
    ('\\sqrt{12}', '2\\sqrt{3}', True),
    ('\\frac{1}{\\sqrt{2}}', '\\frac{\\sqrt{2}}{2}', True),
    ('(x+1)^2', 'x^2+2x+1', True),
    ('yx', 'xy+0', True),
    ('2,1', '\\{1,2\\}', True),
    ('5', 'x=5', True),
    ('2+3', '5', True),
    ('36 \\text{ cm}', '36', True),
    ('3', '3 apples', True),
    ('3 \\text{ apple}', '3 apples', True),
    ('bc-ad', 'ad-bc', False),
    ('\\frac{1}{3}', '\\frac{1}{2}', False),
    ('x+1', 'x+2', False),
    ('\\frac{', '1', False),
    ('', '1', False),
    # Letters in a word commute for math-verify, and must not here.
    ('god-tac', 'dog-cat', False),
    ('cba+1', 'abc+1', False),
    ('c b a + 1', 'abc+1', False),
    ('abc+1', 'abc+1', True),
    ('1+\\frac{abc}{4R}', '\\frac{abc}{4R}+1', True),
  ],
)
def test_equivalent(answer, gold, expected):
  assert mathematics.check_golds([gold]) == ''
  assert mathematics.equivalent(answer, True, [gold]) is expected


def test_several_golds():
  assert mathematics.equivalent('2+2', True, ['3x', '4'])
  assert not mathematics.equivalent('2+3', True, ['3x', '4'])


def test_a_text_that_was_not_boxed_is_one_expression():
  assert mathematics.equivalent('2+2', False, ['4'])
  assert mathematics.equivalent('it is $2+2$', False, ['4'])
  assert not mathematics.equivalent('it is 4', False, ['4'])


@pytest.mark.parametrize('gold', ['\\frac{', '???', '\\foo', '\\infty-'])
def test_gold_that_is_no_mathematics(gold):
  assert 'cannot be read' in mathematics.check_golds(['1+x', gold])


@pytest.mark.parametrize('gold', ['\\frac{1}{2}', 'x^2', '(1,2)', '50\\%'])
def test_gold_that_is_mathematics(gold):
  assert mathematics.check_golds([gold]) == ''
