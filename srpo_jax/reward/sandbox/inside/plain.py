# SPDX-License-Identifier: Apache-2.0
"""Which values are plain data, and how each is written down in JSON.

A value is a JSON scalar, or `[number]`: a reference to a node, for what can be
nested, shared or cyclic, and for scalars that JSON does not have. A node is a
tag with its fields; `codec` makes and reads the table that holds them. Never
pickle: what rebuilds a value here calls nothing but the constructors below.

Carried as themselves: the builtin data types (exactly these; a subclass is
another type), Fraction, Decimal, the types of datetime, Counter, OrderedDict,
defaultdict and deque, and builtin types such as `int`.
"""

import binascii
import collections
import datetime
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

# JSON carries integers below this as they are.
SMALL = 1 << 63
SURROGATES = re.compile('[\ud800-\udfff]')

FACTORIES = {
  each.__name__: each
  for each in (int, float, str, bool, list, tuple, dict, set)
}
TYPES = {
  each.__name__: each
  for each in (*FACTORIES.values(), bytes, bytearray, complex, frozenset)
} | {
  each.__name__: each
  for each in (range, object, type, type(None), type(...), type(NotImplemented))
}
CONSTANTS = {'Ellipsis': ..., 'NotImplemented': NotImplemented, **TYPES}
CONSTANT_NAMES = {id(value): name for name, value in CONSTANTS.items()}

Ref = Callable[[Any], Any]


def sequence(tag: str) -> Callable[[Any, Ref], list]:
  """How a list, tuple or set is described."""
  return lambda value, ref: [tag, [ref(each) for each in value]]


def mapping(tag: str) -> Callable[[Any, Ref], list]:
  """How a dict, Counter or OrderedDict is described."""
  return lambda value, ref: [
    tag,
    [ref(key) for key in value],
    [ref(each) for each in value.values()],
  ]


def describe_default(value: collections.defaultdict, ref: Ref) -> list:
  """A defaultdict; a factory that is no builtin type is left out."""
  factory = value.default_factory
  name = factory.__name__ if factory in FACTORIES.values() else None
  return ['default', *mapping('')(value, ref)[1:], name]


def describe_moment(value: datetime.datetime | datetime.time) -> list:
  """The fields of a time, then its offset."""
  zone = value.tzinfo
  names = ['hour', 'minute', 'second', 'microsecond']
  if type(value) is datetime.datetime:
    names = ['year', 'month', 'day', *names]
  offset = None if zone is None else span(zone.utcoffset(None))
  return [[getattr(value, name) for name in names], offset, value.fold]


def span(value: datetime.timedelta) -> list[int]:
  """The three fields of a timedelta."""
  return [value.days, value.seconds, value.microseconds]


def base64(data: bytes) -> str:
  """Bytes as text."""
  return binascii.b2a_base64(data, newline=False).decode()


def integer(value: int) -> str:
  """An integer as text, in linear time; decimals cost quadratic time."""
  size = value.bit_length() // 8 + 1
  return base64(value.to_bytes(size, 'little', signed=True))


DESCRIBE: dict[type, Callable[[Any, Ref], list]] = {
  int: lambda v, ref: ['int', integer(v)],
  str: lambda v, ref: ['str', base64(v.encode('utf-8', 'surrogatepass'))],
  complex: lambda v, ref: ['complex', v.real, v.imag],
  bytes: lambda v, ref: ['bytes', base64(v)],
  bytearray: lambda v, ref: ['bytearray', base64(v)],
  range: lambda v, ref: ['range', *map(integer, (v.start, v.stop, v.step))],
  slice: lambda v, ref: ['slice', ref(v.start), ref(v.stop), ref(v.step)],
  list: sequence('list'),
  tuple: sequence('tuple'),
  set: sequence('set'),
  frozenset: sequence('frozenset'),
  dict: mapping('dict'),
  collections.Counter: mapping('counter'),
  collections.OrderedDict: mapping('ordered'),
  collections.defaultdict: describe_default,
  collections.deque: lambda v, ref: [*sequence('deque')(v, ref), v.maxlen],
  Fraction: lambda v, ref: ['ratio', *map(integer, v.as_integer_ratio())],
  Decimal: lambda v, ref: ['decimal', str(v)],
  datetime.date: lambda v, ref: ['date', v.year, v.month, v.day],
  datetime.datetime: lambda v, ref: ['datetime', *describe_moment(v)],
  datetime.time: lambda v, ref: ['time', *describe_moment(v)],
  datetime.timedelta: lambda v, ref: ['span', *span(v)],
  datetime.timezone: lambda v, ref: ['zone', *span(v.utcoffset(None))],
}


def whole(data: str) -> int:
  """The inverse of `integer`."""
  return int.from_bytes(binascii.a2b_base64(data), 'little', signed=True)


def zone_of(offset: list[int] | None) -> datetime.timezone | None:
  """The zone of an offset, as `span` has it."""
  if offset is None:
    return None
  return datetime.timezone(datetime.timedelta(*offset))


def text_of(data: str) -> str:
  """The inverse of a string's description."""
  return binascii.a2b_base64(data).decode('utf-8', 'surrogatepass')


# Nodes that refer to no others, or that start empty and are filled later.
REBUILD: dict[str, Callable[..., Any]] = {
  'int': whole,
  'str': text_of,
  'complex': complex,
  'bytes': lambda data: binascii.a2b_base64(data),
  'bytearray': lambda data: bytearray(binascii.a2b_base64(data)),
  'range': lambda *bounds: range(*map(whole, bounds)),
  'list': lambda values: [],
  'set': lambda values: set(),
  'dict': lambda keys, values: {},
  'counter': lambda keys, values: collections.Counter(),
  'ordered': lambda keys, values: collections.OrderedDict(),
  'default': lambda keys, values, name: collections.defaultdict(
    None if name is None else FACTORIES[name]
  ),
  'deque': lambda values, maxlen: collections.deque(maxlen=maxlen),
  'ratio': lambda top, bottom: Fraction(whole(top), whole(bottom)),
  'decimal': Decimal,
  'date': datetime.date,
  'datetime': lambda fields, offset, fold: datetime.datetime(
    *fields, tzinfo=zone_of(offset), fold=fold
  ),
  'time': lambda fields, offset, fold: datetime.time(
    *fields, tzinfo=zone_of(offset), fold=fold
  ),
  'span': datetime.timedelta,
  'zone': lambda *offset: zone_of(offset),
  'constant': lambda name: CONSTANTS[name],
}
# Cannot be changed once made, so they wait for what they hold.
FROZEN = {'tuple': tuple, 'frozenset': frozenset, 'slice': lambda v: slice(*v)}


def is_scalar(value: Any) -> bool:
  """Whether JSON carries the value as it is."""
  kind = type(value)
  if kind is int:
    return -SMALL < value < SMALL
  if kind is str:
    return value.isascii() or SURROGATES.search(value) is None
  return value is None or kind is float or kind is bool


def has_plain_zone(value: Any) -> bool:
  """Whether the value has no time zone, or one with a fixed offset."""
  zone = getattr(value, 'tzinfo', None)
  return zone is None or type(zone) is datetime.timezone
