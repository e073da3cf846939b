# SPDX-License-Identifier: Apache-2.0
"""Sets, tuples, intervals, lists, ratios: the parts of an answer.

Reads what `notation.tidy` wrote. Parts are compared one by one by whoever
asks, so that (1, 2) is no {2, 1}, and one part too many is one too many.
"""

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterator

from srpo_jax.reward.quantities import parse_number

ORDERED = ('()', '(]', '[)', '[]', 'ratio')
UNORDERED = ('list', 'set')


@dataclasses.dataclass(frozen=True)
class Shape:
  """An answer and its parts.

  Attributes:
    kind: one of ORDERED or UNORDERED; 'relations': inequalities joined by
      'or' or 'and'; '' for what has no parts.
    text: the whole.
    parts: of the text.
    joint: between the parts: ',', 'or' or 'and'.
  """

  kind: str
  text: str
  parts: tuple['Shape', ...] = ()
  joint: str = ','


TOKEN = re.compile(
  r'\\text\{\s*,?\s*(?P<joint>or|and)\s*\}'
  r'|(?<![A-Za-z\\])(?P<word>or|and)(?![A-Za-z])'
  r'|(?P<open>\\\{|\\begin(?![A-Za-z])|[(\[{])'
  r'|(?P<close>\\\}|\\end(?![A-Za-z])|[)\]}])'
  r'|\\[A-Za-z]+|\\.|(?P<mark>[,;:])'
)
SET_BUILDER = re.compile(
  r'\\\{\s*[A-Za-z]\s*(?:\\in\s*\\mathbb\{R\}\s*)?(?:\\mid|\\colon|\||:)(.*)\\\}'
)
MEMBER = re.compile(r'[A-Za-z]\s*\\in\s*(.*)')
NAMED = re.compile(r'\(\s*([A-Za-z](?:\s*,\s*[A-Za-z])+)\s*\)\s*=\s*(\(.*\))')
RELATION = re.compile(r'[<>]|\\(?:le|ge|ne|lt|gt)(?![A-Za-z])')
ASSIGNMENT = re.compile(r'\s*([A-Za-z](?:_\{?\w+\}?)?)\s*=(.*)', re.DOTALL)
TURNED = re.compile(r'([^=<>]+)=\s*([A-Za-z])\s*')
# 1,234 in a list of other marks, or anywhere with a group that is no number.
THOUSANDS = re.compile(r'(?<![0-9.,])[0-9]{1,3}(?:,[0-9]{3})+(?![0-9]|,[0-9])')
BRACKETS = re.compile(r'[(\[]|\\\{')


def without_thousands(text: str) -> str:
  """`2 \\times 1,000` as `2 \\times 1000`; (100,200) stays two numbers.

  >>> without_thousands('(1,000,2)'), without_thousands('(1,234, 5)')
  ('(1,000,2)', '(1234, 5)')
  """
  within = BRACKETS.search(text) and ', ' not in text
  keep = (lambda number: ',0' not in number) if within else (lambda _: False)
  return THOUSANDS.sub(
    lambda match: match[0] if keep(match[0]) else match[0].replace(',', ''),
    text,
  )


def shape_of(text: str) -> Shape:
  """The parts of a tidy text.

  >>> [part.text for part in shape_of('(1, (2,3)]').parts]
  ['1', '(2,3)']
  >>> shape_of('2').kind, shape_of('1 or 2').kind, shape_of('x<1').kind
  ('', 'list', '')
  """
  return _shape(without_thousands(text), 0)


def _shape(text: str, depth: int) -> Shape:
  text = text.strip()
  if depth > 60:
    return Shape('', text)
  if match := SET_BUILDER.fullmatch(text) or MEMBER.fullmatch(text):
    return _shape(match[1], depth + 1)
  if match := NAMED.fullmatch(text):
    names = [name.strip() for name in match[1].split(',')]
    return _shape(match[2] if names == sorted(names) else text, depth + 1)
  pieces, joint = split(text, ',;')
  if len(pieces) > 1:
    return listed('list', text, pieces, joint, depth)
  if (edges := brackets_of(text)) is not None:
    return bracketed(text, edges, depth)
  pieces, _ = split(text, ':')
  if len(pieces) > 1:
    return listed('ratio', text, pieces, ':', depth)
  if '\\pm' in text:
    pieces = [re.sub(r'\\pm', sign, text) for sign in '+-']
    return listed('list', text, pieces, ',', depth)
  match = TURNED.fullmatch(text)
  if match and not re.fullmatch(r'\s*[A-Za-z]\w*\s*', match[1]):
    text = f'{match[2]}={match[1].strip()}'
  return Shape('', text)


def listed(
  kind: str, text: str, pieces: list[str], joint: str, depth: int
) -> Shape:
  """Pieces as a shape; those of lists within a list are its own."""
  parts = [_shape(piece, depth + 1) for piece in pieces]
  if kind in UNORDERED:
    flat = [part.parts if part.kind == 'list' else (part,) for part in parts]
    parts = [part for group in flat for part in group]
    if joint != ',' and all(RELATION.search(part.text) for part in parts):
      kind = 'relations'
  return Shape(kind, text, tuple(parts), joint)


def bracketed(text: str, edges: tuple[str, str], depth: int) -> Shape:
  """What stands in one pair of brackets."""
  first, last = edges
  inner = text[len(first) : len(text) - len(last)]
  pieces, joint = split(inner, ',;')
  if first == '\\{':
    return listed('set', text, [p for p in pieces if p.strip()], joint, depth)
  if len(pieces) == 1:
    alone = first == '(' and last == ')'
    return _shape(inner, depth + 1) if alone else Shape('', text)
  return listed(first + last, text, pieces, joint, depth)


def tokens_at_depth(text: str) -> Iterator[tuple[re.Match, int]]:
  """Each token and how many brackets are open around it."""
  depth = 0
  for match in TOKEN.finditer(text):
    if match['close']:
      depth -= 1
    yield match, depth
    if match['open']:
      depth += 1


def split(text: str, marks: str) -> tuple[list[str], str]:
  """The pieces between marks outside brackets, and what joins them.

  >>> split('1, (2,3) and 4', ',')
  (['1', '(2,3)', '4'], 'and')
  """
  pieces, joint, start = [], ',', 0
  for match, depth in tokens_at_depth(text):
    word = match['joint'] or match['word']
    is_mark = match['mark'] is not None and match['mark'] in marks
    if depth == 0 and (is_mark or (word and marks != ':')):
      pieces.append(text[start : match.start()].strip())
      start = match.end()
      joint = word or joint
  pieces.append(text[start:].strip())
  # `1, and 2` has nothing between its comma and its word.
  kept = [piece for piece in pieces if piece]
  return (kept if joint != ',' else pieces), joint


def brackets_of(text: str) -> tuple[str, str] | None:
  """The brackets around all of the text; None if there are none.

  >>> brackets_of('(1,2]'), brackets_of('(1,2)+(3,4)')
  (('(', ']'), None)
  """
  first = None
  for match, depth in tokens_at_depth(text):
    if first is None:
      if match.start() or match['open'] not in ('(', '[', '\\{'):
        return None
      first = match['open']
    elif match['close'] and depth == 0:
      if match.end() < len(text):
        return None
      last = match['close']
      pairs = (first in '([') == (last in ')]')
      return (first, last) if pairs else None
  return None


Same = Callable[[str, str], bool]


def same_shape(gold: Shape, answer: Shape, same: Same) -> bool:
  """Whether an answer has the gold's parts.

  Args:
    gold: the accepted answer.
    answer: the final answer.
    same: whether (gold text, answer text) of two parts are equal.
  """
  if gold.kind == answer.kind == 'ratio' and in_proportion(gold, answer):
    return True
  if gold.kind in ORDERED and gold.kind == answer.kind:
    return same_order(gold, answer, same)
  if gold.kind in UNORDERED and answer.kind in UNORDERED:
    return same_members(gold, answer, same)
  if gold.kind in UNORDERED and len(gold.parts) == 1:
    return same_shape(gold.parts[0], answer, same)
  if answer.kind in UNORDERED and len(answer.parts) == 1:
    return same_shape(gold, answer.parts[0], same)
  if {gold.kind, answer.kind} == {'()', 'list'}:
    return same_order(by_name(gold), by_name(answer), same)
  if gold.kind in UNORDERED or answer.kind in UNORDERED:
    # What has no parts may still be a set: \\emptyset, a union, x^2 < 4.
    whole = {gold.kind, answer.kind} - set(UNORDERED)
    return (
      whole == {''}
      and not all(x.parts for x in (gold, answer))
      and (same(gold.text, answer.text))
    )
  if {gold.kind, answer.kind} <= {*ORDERED} - {'ratio'}:
    return False
  return same(gold.text, answer.text)


def same_order(gold: Shape, answer: Shape, same: Same) -> bool:
  """As many parts, and equal one by one."""
  if len(gold.parts) != len(answer.parts):
    return False
  pairs = zip(gold.parts, answer.parts, strict=True)
  return all(same_shape(wanted, given, same) for wanted, given in pairs)


def in_proportion(gold: Shape, answer: Shape) -> bool:
  """True for ratios of numbers such as 3:4 and 6:8."""
  wanted = [parse_number(part.text) for part in gold.parts]
  given = [parse_number(part.text) for part in answer.parts]
  if None in (*wanted, *given) or len(wanted) != len(given) or not any(given):
    return False
  return all(
    a * d == b * c
    for (a, b), (c, d) in itertools.combinations(
      zip(wanted, given, strict=True), 2
    )
  )


def same_members(gold: Shape, answer: Shape, same: Same) -> bool:
  """Each part has its equal on the other side; lists are as long."""
  lists = gold.kind == answer.kind == 'list'
  if lists and len(gold.parts) != len(answer.parts):
    return False
  found = [
    [same_shape(wanted, given, same) for given in answer.parts]
    for wanted in gold.parts
  ]
  return all(map(any, found)) and all(
    any(row[i] for row in found) for i in range(len(answer.parts))
  )


def by_name(shape: Shape) -> Shape:
  """`y=2, x=1` as (1, 2); what is no list of assignments stays as it is."""
  matches = [ASSIGNMENT.fullmatch(part.text) for part in shape.parts]
  if not all(matches) or len({match[1] for match in matches}) < len(matches):
    return shape
  ordered = sorted(matches, key=lambda match: match[1])
  parts = tuple(shape_of(match[2]) for match in ordered)
  return dataclasses.replace(shape, parts=parts)
