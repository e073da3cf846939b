# SPDX-License-Identifier: Apache-2.0
"""Numbers, words and equivalence, by hand."""

import subprocess
import sys
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
    ('\\$36', Fraction(36)),
    ('-$36.50', Fraction(-73, 2)),
    ('$-36', Fraction(-36)),
    ('1\\,234', Fraction(1234)),
    ('1{,}234', Fraction(1234)),
    ('2\\frac{1}{2}', Fraction(5, 2)),
    ('-2 1/2', Fraction(-5, 2)),
    ('2\\frac{3}{2}', None),
    ('\\frac34', Fraction(3, 4)),
    ('\\frac{-3}{-4}', Fraction(3, 4)),
    ('1.5 \\times 10^{-3}', Fraction(3, 2000)),
    ('0.1\\overline{6}', Fraction(1, 6)),
    ('0.333...', Fraction(1, 3)),
    ('3.14...', None),
    ('36\\%', None),
    ('25_7', None),
    ('1 2', None),
    ('\\frac{1}{0}', None),
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
    ('All even numbers.', True),
    ('All real numbers.', False),
    ('Five', False),
    ('no solution', False),
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
    ('36', '\\$36', True),
    ('(-\\infty,3)', 'x<3', True),
    ('25_8', '25_7', False),
    # Figures side by side are no product.
    ('1 2 3', '6', False),
    ('2 3', '6', False),
    ('0.3333333333', '\\frac{1}{3}', False),
    ('\\$36', '36', True),
    ('x<3', '(-\\infty,3)', True),
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


def test_decimals_are_exact_unless_the_item_says_else():
  third = ['\\frac{1}{3}']
  assert not mathematics.equivalent('0.333', True, third)
  assert mathematics.equivalent('0.333', True, third, 'rounded')
  assert mathematics.equivalent('1.732', True, ['\\sqrt{3}'], 'rounded')
  assert not mathematics.equivalent('1.733', True, ['\\sqrt{3}'], 'rounded')
  assert mathematics.same_number('0.333', '1/3', rounded=True)
  assert not mathematics.same_number('0.333', '1/3', rounded=False)


@pytest.mark.parametrize(
  ('answer', 'gold', 'expected'),
  [
    ('5', '5.0', True),
    ('6', '5', False),
    ('\\$1,234', '1234', True),
    ('5 cm', '5 km', False),
    ('5 cm', '5 hours', False),
    ('5 apples', '5 oranges', False),
    ('10000\\text{ cm}^2', '1\\text{ m}^2', True),
    ('100\\text{ cm}^2', '1\\text{ m}^2', False),
    ('50\\%', '0.5', True),
    ('five', '5', True),
    ('(B)', 'B', True),
    ('C', 'B', False),
    ('Monday', 'monday', True),
    ('0.33', '1/3', False),
    # The base was asked for.
    ('19', '25_7', False),
    ('10_2', '10', False),
    # Only a worker can tell.
    ('2+3', '5', None),
    ('1, 2', '5', None),
    ('\\sqrt{25}', '5', None),
    ('9^{9^{9^9}}', '1', None),
    ('5', 'x', None),
  ],
)
def test_at_a_glance(answer, gold, expected):
  assert mathematics.at_a_glance(answer, True, gold) is expected


@pytest.mark.parametrize(
  ('gold', 'expected'),
  [
    ('5', True),
    ('\\$5', True),
    ('5 cm', True),
    ('B', True),
    ('red', True),
    ('x', False),
    ('1+1', False),
    ('1, 2', False),
    ('\\frac{1}{0}', False),
    ('9' * 1000, False),
  ],
)
def test_golds_that_need_no_check(gold, expected):
  assert mathematics.is_plain(gold) is expected


def test_a_glance_is_linear_in_degenerate_text():
  # A loop that a policy falls into; quadratic code would not come back.
  pieces = ['\\text{', '\\text', '9', 'a ', '(A) ', '$', ' ', '{', ',', '\\,']
  for piece in pieces:
    text = piece * 100_000
    mathematics.is_plain(text)
    for gold in ('5', 'red', 'B', 'x'):
      mathematics.at_a_glance(text, False, gold)


def test_nothing_at_a_glance_loads_sympy():
  program = (
    'import sys; from srpo_jax.reward import mathematics as m;'
    "m.at_a_glance('\\\\sqrt{2}', True, '50\\\\%'); m.is_plain('x^2');"
    "assert not {'sympy', 'math_verify'} & set(sys.modules)"
  )
  subprocess.run([sys.executable, '-c', program], check=True)
