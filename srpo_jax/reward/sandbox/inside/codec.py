# SPDX-License-Identifier: Apache-2.0
"""Messages of plain data: a flat table of nodes, and back.

`{"nodes": [...], "roots": [...]}`. Being flat, the depth of what a program
returns costs no recursion, and two names for one list stay that. A namedtuple
arrives as the tuple that it is; an instance of a class of the tests' prelude
as an instance of this side's own class, with the same attributes. All else
becomes a handle, a number that only the guest can resolve; `Handles` in
`remote` and `Objects` in `guest` say how.

What arrives may be forged to hurt whoever reads it, so the time, the depth
and the unfolded size of what is rebuilt are limited.
"""

import contextlib
import gc
import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from .instances import set_field, state_of
from .plain import (
  CONSTANT_NAMES,
  DESCRIBE,
  REBUILD,
  Ref,
  has_plain_zone,
  is_scalar,
  mapping,
  sequence,
)

# CPU seconds for rebuilding one message: a forged one can hold integers with
# equal hashes, whose set takes quadratic time.
REBUILD_S = 5.0
# Lists, tuples and so on in one message; each costs the host half a KiB.
MAX_NODES = 250_000
# hash() of nested tuples recurses in C, without a check.
MAX_DEPTH = 5000
# Freeing nested ones recurses in C, without a check. Their number is limited,
# as it is no smaller than the depth, whatever cycles and lists lie between.
MAX_RECURSIVE = 5000
RECURSIVE = ('deque', 'default')
# Values, each counted as often as it is reached: [x, x] of [y, y] of ... is
# short, and comparing two of them takes for ever.
MAX_UNFOLDED = 20_000_000

# Text of one number whose making takes more than linear time (a gcd).
MAX_DIGITS = 5000
COSTLY = ('ratio', 'decimal')

# Cannot be changed once made, so they wait for what they hold.
FROZEN = {'tuple': tuple, 'frozenset': frozenset, 'slice': lambda v: slice(*v)}
SEQUENCES = ('list', 'deque')
SETS = ('set',)
MAPPINGS = ('dict', 'counter', 'ordered', 'default')
FAULTS = (
  *(ArithmeticError, AttributeError, LookupError, MemoryError),
  *(RecursionError, TypeError, ValueError),
)


class Malformed(Exception):
  """A message that no honest peer sends."""


class Codec:
  """Both directions of one side of the channel.

  Attributes:
    classes: name -> class of the tests' prelude, this side's own.
  """

  def __init__(self):
    self.classes: dict[str, type] = {}

  def handle_of(self, value: Any) -> list:
    """The node of a value that is no plain data."""
    raise TypeError(f'cannot pass a {type(value).__name__} to a program')

  def resolve(self, tag: str, *fields: Any) -> Any:
    """The value of a node that `handle_of` has made on the other side."""
    raise Malformed(f'unknown tag {ascii(tag)[:40]}')

  def class_of(self, value: Any) -> str | None:
    """Name of the value's class if it is one of the prelude."""
    kind = type(value)
    return kind.__name__ if kind in self.classes.values() else None

  def encode(self, *roots: Any) -> dict:
    """The message fields that hold some values."""
    nodes: list[Any] = []
    todo: list[tuple[int, Any]] = []
    known: dict[int, list[int]] = {}
    # Keeps temporary values alive, so that no number of theirs is reused.
    alive: list[Any] = []

    def ref(value: Any) -> Any:
      if is_scalar(value):
        return value
      if id(value) not in known:
        if len(nodes) >= MAX_NODES:
          raise OverflowError(f'over {MAX_NODES} lists, tuples and so on')
        known[id(value)] = [len(nodes)]
        todo.append((len(nodes), value))
        nodes.append(None)
        alive.append(value)
      return known[id(value)]

    references = [ref(root) for root in roots]
    with no_collection():
      while todo:
        number, value = todo.pop()
        nodes[number] = self._describe(value, ref)
    return {'nodes': nodes, 'roots': references}

  def _describe(self, value: Any, ref: Ref) -> list:
    """The node of one value."""
    describe = DESCRIBE.get(type(value))
    if describe is not None and has_plain_zone(value):
      return describe(value, ref)
    if id(value) in CONSTANT_NAMES:
      return ['constant', CONSTANT_NAMES[id(value)]]
    if isinstance(value, tuple) and hasattr(type(value), '_fields'):
      return sequence('tuple')(tuple.__iter__(value), ref)
    name = self.class_of(value)
    if name is None:
      return self.handle_of(value)
    state = state_of(value)
    return ['object', *mapping('')(state, ref)[1:], name]

  def decode(self, message: dict) -> list:
    """The values of a message.

    Raises:
      Malformed: it is none that `encode` makes, or takes too long.
    """
    try:
      if len(message['nodes']) > MAX_NODES:
        raise Malformed('holds too much')
      with no_collection():
        return Table(self, message['nodes']).values(message['roots'])
    except FAULTS as error:
      kind = type(error).__name__
      raise Malformed(f'cannot be rebuilt: {kind}') from error


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
  """Without the garbage collector, which would look at each new list."""
  was_on = gc.isenabled()
  gc.disable()
  try:
    yield
  finally:
    if was_on:
      gc.enable()


class Table:
  """The nodes of one message while they become values."""

  def __init__(self, codec: Codec, nodes: list):
    self._codec = codec
    self._nodes = nodes
    self._values: list[Any] = [None] * len(nodes)
    # The nodes that each container holds, by its number.
    self._held: list[Sequence[int]] = []
    self._deadline = time.thread_time() + REBUILD_S

  def values(self, roots: list) -> list:
    """The values of some references."""
    for number, node in self._paced(enumerate(self._nodes)):
      self._values[number] = self._begin(*node)
      self._held.append(held_by(references_of(*node)))
    recursive = sum(node[0] in RECURSIVE for node in self._nodes)
    if recursive > MAX_RECURSIVE:
      raise Malformed('holds too many deques')
    if self._is_more_than_a_tree():
      self._freeze(self._inside_out())
    # What is hashed must be whole, so what hashes is filled last.
    for step in (self._fill, self._fill_hashed):
      for number, node in self._paced(enumerate(self._nodes)):
        step(self._values[number], *node)
    held_by(roots)
    return self._get(roots)

  def _paced(self, values: Iterable) -> Iterator:
    """The values, as long as there is time."""
    for count, value in enumerate(values):
      if not count % 1024 and time.thread_time() > self._deadline:
        raise Malformed('takes too long to rebuild')
      yield value

  def _begin(self, tag: str, *fields: Any) -> Any:
    """A leaf, an empty container, or None for what cannot be empty yet."""
    if tag in COSTLY and any(len(field) > MAX_DIGITS for field in fields):
      raise Malformed('a number is too long')
    if tag in REBUILD:
      return REBUILD[tag](*fields)
    if tag in FROZEN:
      return None
    if tag == 'object':
      held_by(fields[1])
      return object.__new__(self._codec.classes[fields[2]])
    return self._codec.resolve(tag, *fields)

  def _is_more_than_a_tree(self) -> bool:
    """Whether order or size matters: tuples, or nodes reached twice."""
    count = sum(map(len, self._held))
    shared = count > len(set(itertools.chain.from_iterable(self._held)))
    return shared or any(node[0] in FROZEN for node in self._nodes)

  def _inside_out(self) -> Iterator[int]:
    """The containers, each after those that it holds; cycles are cut.

    Raises:
      Malformed: tuples too deep, or in a cycle of their own; too large.
    """
    size: dict[int, int] = {}
    depth: dict[int, int] = {}
    for first in self._paced(range(len(self._nodes))):
      todo = [first]
      while todo:
        number = todo[-1]
        if number in depth:
          todo.pop()
          continue
        held = self._held[number]
        if number not in size:
          # Open: whoever reaches it again from inside closes a cycle.
          size[number] = 1 + len(references_of(*self._nodes[number]))
          todo += [each for each in held if each not in size]
          continue
        depth[number] = self._depth(number, depth)
        size[number] += sum(size[each] for each in held)
        if size[number] > MAX_UNFOLDED:
          raise Malformed('unfolds to too much')
        yield todo.pop()

  def _depth(self, number: int, depth: dict[int, int]) -> int:
    """How many tuples and their like are nested; 0 for the others."""
    if self._nodes[number][0] not in FROZEN:
      return 0
    # A KeyError is a tuple that holds itself.
    inside = [
      depth[each]
      for each in self._held[number]
      if self._nodes[each][0] in FROZEN
    ]
    deepest = 1 + max(inside, default=0)
    if deepest > MAX_DEPTH:
      raise Malformed('tuples are nested too deeply')
    return deepest

  def _freeze(self, numbers: Iterable[int]) -> None:
    """Makes the tuples and their like among these, what they hold first."""
    for number in numbers:
      node = self._nodes[number]
      if node[0] in FROZEN:
        held = self._get(references_of(*node))
        if node[0] == 'frozenset':
          held = self._add(set(), held)
        self._values[number] = FROZEN[node[0]](held)

  def _get(self, references: Sequence) -> list:
    """The values of references that `held_by` has passed."""
    values = self._values
    return [
      values[each[0]] if type(each) is list else each for each in references
    ]

  def _add(self, value: set, held: list) -> set:
    """Adds values to a set, as long as there is time."""
    for each in self._paced(held):
      value.add(each)
    return value

  def _fill(self, value: Any, tag: str, *fields: Any) -> None:
    """Fills what does not hash what it holds."""
    if tag in SEQUENCES:
      value.extend(self._get(fields[0]))
    elif tag == 'object':
      for name, each in zip(fields[0], self._get(fields[1]), strict=True):
        set_field(value, name, each)

  def _fill_hashed(self, value: Any, tag: str, *fields: Any) -> None:
    """Fills sets and mappings, whose every step can be slow."""
    if tag in SETS:
      self._add(value, self._get(fields[0]))
    elif tag in MAPPINGS:
      keys, held = map(self._get, fields[:2])
      for key, each in zip(self._paced(keys), held, strict=True):
        value[key] = each


def references_of(tag: str, *fields: Any) -> Sequence:
  """What a container holds; nothing for all others."""
  if tag in SEQUENCES or tag in SETS or tag in FROZEN:
    return fields if tag == 'slice' else fields[0]
  return [*fields[0], *fields[1]] if tag in MAPPINGS else ()


def held_by(references: Sequence) -> Sequence[int]:
  """The nodes among some references.

  Raises:
    Malformed: a reference is none.
  """
  kinds = set(map(type, references))
  if dict in kinds:
    raise Malformed('an object where a value belongs')
  if list not in kinds:
    return ()
  return [number_of(each) for each in references if type(each) is list]


def number_of(reference: list) -> int:
  """The node that a reference names."""
  (number,) = reference
  if type(number) is not int or number < 0:
    raise Malformed('a reference to nothing')
  return number
