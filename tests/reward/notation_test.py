# SPDX-License-Identifier: Apache-2.0
"""Notation, units and shapes: the examples in their docstrings, and more."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srpo_jax.reward import notation, quantities, shapes, units
from srpo_jax.reward.notation import exact, numeral, tidy
from srpo_jax.reward.shapes import same_shape, shape_of
from srpo_jax.reward.units import parse_unit, split_unit


@pytest.mark.parametrize('module', [notation, quantities, shapes, units])
def test_examples_of_the_docstrings(module):
  failed, tried = doctest.testmod(module)
  assert tried > 0
  assert failed == 0


@pytest.mark.parametrize(
  ('text', 'expected'),
  [
    ('\\left( 1, 2 \\right)', '( 1, 2 )'),
    ('\\dfrac{1}{2}', '\\frac{1}{2}'),
    ('\\mathbf{5}', '5'),
    ('x \\leqslant 3', 'x \\le 3'),
    ('45°', '45^\\circ'),
    ('2sqrt(3)', '2\\sqrt{3}'),
    ('12 345', '12345'),
    ('1 2', '1 2'),
    ('3 million', '3 \\cdot 10^{6}'),
    ('\\[x\\]', 'x'),
    ('$5', '$5'),
    ('\\frac12', '\\frac{1}{2}'),
    ('\\frac{a}2', '\\frac{a}{2}'),
    ('\\leftarrow', '\\leftarrow'),
  ],
)
def test_tidy(text, expected):
  assert tidy(text).replace('  ', ' ') == expected


@given(st.text(alphabet='0159.,-+/(){}[]\\$%^_ xabπ√½°<=', max_size=40))
def test_tidy_reads_what_it_wrote(text):
  once = tidy(text)
  # Marks may only come to the edge once what stood there is gone.
  for _ in range(20):
    if tidy(once) == once:
      break
    once = tidy(once)
  assert tidy(once) == once
  exact(once)
  shape_of(once)
  split_unit(once)
  numeral(once)


@pytest.mark.parametrize(
  ('text', 'expected'),
  [
    ('25_7', ('25', 7)),
    ('\\text{A3}_{16}', ('A3', 16)),
    ('A3_{16}', ('A3', 16)),
    ('1010_{\\text{two}}', ('1010', 2)),
    ('0101_2', ('101', 2)),
    ('29_7', None),
    ('5_1', None),
    ('A_1', None),
    ('x_2', None),
    ('25', None),
  ],
)
def test_numeral(text, expected):
  assert numeral(text) == expected


@pytest.mark.parametrize(
  ('text', 'rest'),
  [
    ('36 cm', '36'),
    ('36cm', '36'),
    ('36\\text{ cm}^2', '36'),
    ('60 \\text{ miles per hour}', '60'),
    ('\\$5', '5'),
    ('-\\$5', '-5'),
    ('50\\%', '50'),
    ('45^\\circ', '45'),
    ('25^\\circ\\text{C}', '25'),
    # Letters, functions and sentences are no units.
    ('2ab', None),
    ('5m', None),
    ('x cm', None),
    ('5 \\sin x', None),
    ('\\sin 30^\\circ', None),
    ('5 or six', None),
    ('5 \\text{ is wrong}', None),
    ('\\text{cm}', None),
    ('5\\text{x}', None),
    ('5\\text{ dozen}', None),
    ('5\\text{ m}', '5'),
  ],
)
def test_split_unit(text, rest):
  quantity = split_unit(text)
  assert quantity.text == (text if rest is None else rest)
  assert (quantity.unit is None) is (rest is None)


@pytest.mark.parametrize(
  ('one', 'other', 'same'),
  [
    ('cm', 'centimeters', True),
    ('square feet', 'ft^2', True),
    ('sq. ft', 'square foot', True),
    ('km/h', 'kilometers per hour', True),
    ('mph', 'miles per hour', True),
    ('cm', 'mm', False),
    ('cm^2', 'cm', False),
    ('hours', 'minutes', False),
    ('apples', 'oranges', False),
    ('apples', 'apple', True),
  ],
)
def test_units(one, other, same):
  assert (parse_unit(one) == parse_unit(other)) is same


@pytest.mark.parametrize(
  ('text', 'kind', 'parts'),
  [
    ('(1,2)', '()', ['1', '2']),
    ('(1,2]', '(]', ['1', '2']),
    ('\\{1, 2\\}', 'set', ['1', '2']),
    ('1, (2,3)', 'list', ['1', '(2,3)']),
    ('1 \\text{ or } 2', 'list', ['1', '2']),
    ('x<1 or x>2', 'relations', ['x<1', 'x>2']),
    ('\\pm 2', 'list', ['+ 2', '- 2']),
    ('3:4', 'ratio', ['3', '4']),
    ('(5)', '', []),
    ('(1,2)+(3,4)', '', []),
    ('(1,2)\\cup(3,4)', '', []),
    ('f(1,2)', '', []),
    ('x \\in [1,2]', '[]', ['1', '2']),
    ('(x,y)=(1,2)', '()', ['1', '2']),
    ('(y,x)=(1,2)', '', []),
    ('(1,2', 'list', None),
  ],
)
def test_shapes(text, kind, parts):
  shape = shape_of(text)
  if parts is None:
    assert shape.kind == ''
  else:
    assert shape.kind == kind
    assert [part.text for part in shape.parts] == parts


@pytest.mark.parametrize(
  ('gold', 'answer', 'expected'),
  [
    ('(1,2)', 'y=2, x=1', True),
    ('(2,1)', 'y=2, x=1', False),
    ('(1,2)', '1,2', True),
    ('(1,2)', '2,1', False),
    ('(1,2)', '[1,2]', False),
    ('\\{1,2\\}', '2,1', True),
    ('\\{1,2\\}', '(1,2)', False),
    ('1,2', '1,2,2', False),
    ('\\{1,2\\}', '\\{1,2,2\\}', True),
    ('1', '1,2', False),
    ('3:4', '6:8', True),
    ('3:4', '8:6', False),
  ],
)
def test_same_shape(gold, answer, expected):
  shapes_of_both = (shape_of(gold), shape_of(answer))
  assert same_shape(*shapes_of_both, lambda x, y: x == y) is expected


def test_linear_in_degenerate_text():
  # What a worker is asked is short, but gold answers may be long.
  for piece in ('(', '1,', '\\text{a}', '1 ', '\\frac', 'or ', '{', '1.', '$'):
    text = tidy(piece * 20_000)
    exact(text)
    shape_of(text)
    split_unit(text)
