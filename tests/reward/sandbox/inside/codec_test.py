# SPDX-License-Identifier: Apache-2.0
"""Plain data survives the way over JSON; nothing else is ever rebuilt."""

import json
import math
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import pytest

from srpo_jax.reward.sandbox.inside import codec
from srpo_jax.reward.sandbox.inside.codec import Codec, Malformed

Pair = namedtuple('Pair', 'a b')


class Node:
  """A class of a prelude."""

  kind = 'node'

  def __init__(self, val, rest=None):
    self.val = val
    self.rest = rest

  def same(self, other):
    return self.val == other.val


class Slotted:
  __slots__ = ('x', 'y')


class Ours(Codec):
  """A codec that knows the two classes."""

  def __init__(self):
    super().__init__()
    self.classes = {'Node': Node, 'Slotted': Slotted}


def there_and_back(*values):
  message = json.loads(json.dumps(Ours().encode(*values)))
  return Ours().decode(message)


@pytest.mark.parametrize(
  'value',
  [
    *(None, True, False, 0, -1, 2**63 - 1, 2**63, -(2**64), 10**5000),
    *(0.5, -0.0, 1e300, math.inf, -math.inf, 1 + 2j, complex(0.0, -0.0)),
    *('', 'é\n\0', '\ud83d', '\ud83d\ude00', '\U0001f600'),
    *(b'', b'\xff\0', bytearray(b'abc'), range(3), range(9, 2**70, -2)),
    *([], (), {}, set(), frozenset(), [[1, (2, [3])], 'x'], (1,), ((),)),
    {1: 'a', 'b': [2], (3, (4,)): {5}, None: {True: ()}, 2.5: {}},
    {frozenset({1, (2, 3)}), 'x', 2**80, b'y'},
    *(Fraction(-(2**70), 3), Decimal('1.50'), Decimal('0E-5')),
    *(date(2024, 2, 29), time(1, 2, 3, 4), timedelta(-1, 2, 3)),
    *(datetime(2024, 1, 2, 3, 4, 5, 6), datetime(2024, 1, 1, tzinfo=UTC)),
    *(time(1, tzinfo=timezone(timedelta(hours=-3))), UTC),
    *(Counter('aab'), OrderedDict([(2, 1), (1, 2)]), deque([1, 2], 5)),
    *(int, list, type(None), ..., NotImplemented, slice(1, None, (2,))),
  ],
  ids=lambda value: type(value).__name__,
)
def test_round_trip(value):
  (back,) = there_and_back(value)
  assert type(back) is type(value)
  assert back == value
  if isinstance(value, float | tuple | list | str):
    assert repr(back) == repr(value)


def test_nan_and_order():
  (nan, decimal, mapping) = there_and_back(
    math.nan, Decimal('sNaN'), {'b': 1, 'a': 2}
  )
  assert math.isnan(nan)
  assert decimal.is_snan()
  assert list(mapping) == ['b', 'a']


def test_default_factories():
  ints, ours = there_and_back(
    defaultdict(int, a=1), defaultdict(lambda: 5, b=2)
  )
  assert ints == {'a': 1}
  assert ints['new'] == 0
  assert type(ours) is defaultdict
  assert ours.default_factory is None


def test_a_namedtuple_arrives_as_a_tuple():
  (back,) = there_and_back(Pair(1, [2]))
  assert type(back) is tuple
  assert back == (1, [2])


def test_sharing_and_cycles():
  inner = [1]
  cycle = [inner, inner]
  cycle.append(({'me': cycle},))
  first, second = there_and_back(cycle, inner)
  assert first[0] is first[1] is second
  assert first[2][0]['me'] is first


def test_depth_costs_no_recursion():
  deep = []
  for _ in range(10**5):
    deep = [deep]
  (back,) = there_and_back(deep)
  for _ in range(10**5):
    (back,) = back
  assert back == []


def test_instances_of_the_prelude():
  slotted = Slotted()
  slotted.y = 5
  head = Node(1, Node([2], slotted))
  head.rest.loop = head
  (back,) = there_and_back(head)
  assert type(back) is Node
  assert back.rest.val == [2]
  assert back.rest.loop is back
  assert back.rest.rest.y == 5
  assert not hasattr(back.rest.rest, 'x')


@pytest.mark.parametrize(
  'value', [lambda: 1, Codec(), iter([]), {}.keys(), [object()], math]
)
def test_all_else_is_not_plain(value):
  with pytest.raises(TypeError, match='cannot pass'):
    Codec().encode(value)


def test_subclasses_are_not_plain():
  for kind in (int, str, list, dict, set, float, bytes):
    value = type('Evil', (kind,), {'__eq__': lambda *_: True})()
    with pytest.raises(TypeError, match='cannot pass a Evil'):
      Codec().encode(value)


def chain(length, last):
  """Nodes of tuples inside each other."""
  return [['tuple', [[n + 1]]] for n in range(length)] + [last]


@pytest.mark.parametrize(
  'message',
  [
    {},
    {'nodes': []},
    {'nodes': 5, 'roots': []},
    {'nodes': [], 'roots': [[0]]},
    {'nodes': [['list', []]], 'roots': [[-1]]},
    {'nodes': [['list', []]], 'roots': [[True, 0]]},
    {'nodes': [['list', []]], 'roots': [['0']]},
    {'nodes': [], 'roots': [{'a': 1}]},
    {'nodes': [[]], 'roots': []},
    {'nodes': [5], 'roots': []},
    {'nodes': [[['list'], []]], 'roots': []},
    {'nodes': [['list']], 'roots': []},
    {'nodes': [['list', 5]], 'roots': []},
    {'nodes': [['pickle', 'cos\nsystem']], 'roots': []},
    {'nodes': [['constant', 'eval']], 'roots': []},
    {'nodes': [['int', 'x']], 'roots': []},
    {'nodes': [['str', '/w==']], 'roots': []},
    {'nodes': [['ratio', 'AQ==', 'AA==']], 'roots': []},
    {'nodes': [['decimal', 'one']], 'roots': []},
    {'nodes': [['decimal', '1' * 5001]], 'roots': []},
    {'nodes': [['ratio', 'AQ==', 'AQ' * 2501]], 'roots': []},
    {'nodes': [['date', 0, 0, 0]], 'roots': []},
    {'nodes': [['datetime', [1, 1, 1], [5, 0, 0], 0]], 'roots': []},
    {'nodes': [['deque', [], 10**30]], 'roots': []},
    {'nodes': [['default', [], [], 'eval']], 'roots': []},
    {'nodes': [['dict', [1], []]], 'roots': []},
    {'nodes': [['set', [[1]]], ['list', []]], 'roots': []},
    {'nodes': [['tuple', [[0]]]], 'roots': []},
    {'nodes': [['tuple', [[1]]], ['frozenset', [[0]]]], 'roots': []},
    {'nodes': [['object', [], [], 'Unknown']], 'roots': []},
    {'nodes': [['object', ['a'], [], 'Node']], 'roots': []},
    {'nodes': [['object', [5], [5], 'Node']], 'roots': []},
    {'nodes': [['object', ['__class__'], [5], 'Node']], 'roots': []},
    {'nodes': [['object', ['same'], [5], 'Node']], 'roots': []},
    {'nodes': chain(10**5, ['list', []]), 'roots': []},
    {'nodes': [['set', [[1]]], *chain(10**5, ['tuple', []])[1:]], 'roots': []},
  ],
  ids=lambda message: str(message)[:50],
)
def test_malformed_messages(message):
  with pytest.raises(Malformed):
    Ours().decode(message)


def test_class_attributes_may_be_set():
  message = {'nodes': [['object', ['kind'], ['leaf'], 'Node']], 'roots': [[0]]}
  (node,) = Ours().decode(message)
  assert node.kind == 'leaf'


@pytest.mark.parametrize('tag', ['list', 'tuple'])
def test_what_unfolds_without_end_is_refused(tag):
  # [[x, x], [x, x]] and so on: 60 nodes, 2^60 comparisons.
  nodes = [[tag, [[n + 1], [n + 1]]] for n in range(60)] + [[tag, []]]
  with pytest.raises(Malformed, match='unfolds'):
    Codec().decode({'nodes': nodes, 'roots': [[0]]})


def test_many_references_to_one_list_are_cheap():
  nodes = [['list', [[1]] * 2000], ['list', [0] * 2000]]
  (back,) = Codec().decode({'nodes': nodes, 'roots': [[0]]})
  assert len(back) == 2000


def test_equal_hashes_do_not_hang(monkeypatch):
  monkeypatch.setattr(codec, 'REBUILD_S', 0.2)
  keys = [n * (2**61 - 1) for n in range(1, 30_000)]
  message = Codec().encode(keys)
  message['nodes'][0][0] = 'set'
  with pytest.raises(Malformed, match='too long'):
    Codec().decode(message)


def test_a_message_holds_so_much(monkeypatch):
  monkeypatch.setattr(codec, 'MAX_NODES', 10)
  fits = [[] for _ in range(9)]
  assert there_and_back(fits) == [fits]
  with pytest.raises(OverflowError, match='over 10'):
    Codec().encode([*fits, []])
  with pytest.raises(Malformed, match='too much'):
    Codec().decode({'nodes': [['list', []]] * 11, 'roots': []})


@pytest.mark.parametrize('between', [['list'], []])
@pytest.mark.parametrize('tag', ['deque', 'default'])
def test_nesting_that_is_not_safe_to_free_is_limited(tag, between):
  tags = [tag, *between] * 10_000
  nodes = [[each, [[n + 1]]] for n, each in enumerate(tags)]
  for node in nodes:
    if node[0] == 'deque':
      node.append(None)
    elif node[0] == 'default':
      node[1:] = [[0], node[1], None]
  nodes.append(['list', []])
  with pytest.raises(Malformed, match='deques'):
    Codec().decode({'nodes': nodes, 'roots': [[0]]})
