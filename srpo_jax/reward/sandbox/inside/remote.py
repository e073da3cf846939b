# SPDX-License-Identifier: Apache-2.0
"""The submission as the tests see it: functions to call, objects to hold.

Plain data that the program returns is rebuilt here, of exact builtin types,
so comparing it runs no code of the program. All else is a `Handle`. What a
handle decides by itself is fixed: it equals itself alone, its hash is its
own, it is true, it has no order and no arithmetic, `in` looks at what
iterating gives. So to a test it is worth no more than a string that nobody
expects. `len`, `str`, iteration, items, attributes and calls ask the guest,
and get plain data or handles; nothing that a handle is compared with is sent.
"""

import builtins
import collections
import types
from collections.abc import Callable, Mapping
from typing import Any

from .channel import Line
from .codec import Codec, Malformed
from .instances import set_field, state_of

FUNCTIONS = {
  id(value): name
  for name, value in vars(builtins).items()
  if isinstance(value, types.BuiltinFunctionType)
}
# Types whose values a call can change: how to take over the new content.
REPLACE: dict[type, Callable[[Any, Any], Any]] = {
  list: lambda old, new: old.__setitem__(slice(None), new),
  bytearray: lambda old, new: old.__setitem__(slice(None), new),
  **dict.fromkeys(
    (dict, collections.OrderedDict, collections.defaultdict),
    lambda old, new: (old.clear(), old.update(new)),
  ),
  **dict.fromkeys(
    (set, collections.Counter),
    lambda old, new: (old.clear(), old.update(new)),
  ),
  collections.deque: lambda old, new: (old.clear(), old.extend(new)),
}


# What the tests have asked for once a request is none of these.
BEFORE_TESTS = ('load', 'refer', 'prepare')
# They would end a loop of the tests, as if there were no more to compare.
ENDS_OF_LOOPS = ('StopIteration', 'StopAsyncIteration', 'GeneratorExit')


class RemoteError(Exception):
  """The program raised an exception that is no builtin one."""


class Untransferable(BaseException):
  """The tests give the program what only exists on this side.

  A BaseException: no test may take it for a failure of the program.
  """


class Handles(Codec):
  """The host's side: the numbers of the guest become handles."""

  def __init__(self, remote: 'Remote'):
    super().__init__()
    self._remote = remote
    self._handles: dict[int, Handle] = {}

  def handle_of(self, value: Any) -> list:
    """The node of a handle or a builtin function."""
    if type(value) is Handle:
      return ['handle', number_of(value)]
    if id(value) in FUNCTIONS:
      return ['builtin', FUNCTIONS[id(value)]]
    kind = type(value).__name__
    raise Untransferable(f'the tests pass a {kind} to the program')

  def resolve(self, tag: str, *fields: Any) -> 'Handle':
    """The one handle of a number."""
    if tag != 'handle' or len(fields) != 1 or type(fields[0]) is not int:
      raise Malformed('an unknown node')
    if fields[0] not in self._handles:
      self._handles[fields[0]] = Handle(self._remote, fields[0])
    return self._handles[fields[0]]


class Remote:
  """Requests to the submission, with plain values in and out.

  Args:
    line: to the guest.
    case_s: CPU seconds for each call or run, beside the item's.

  Attributes:
    started: whether a program has been sent.
    calls: how often the tests have asked something of the program, be it a
      call or an attribute, answered or not.
  """

  def __init__(self, line: Line, case_s: float | None = None):
    self._line = line
    self._case_s = case_s
    self._codec = Handles(self)
    self._in_place = False
    self.started = False
    self.calls = 0

  def load(
    self,
    program: str,
    prelude: str = '',
    classes: Mapping[str, type] = types.MappingProxyType({}),
    in_place: bool = False,
  ) -> None:
    """Runs the program as a module, the prelude before it.

    Args:
      program: the submission.
      prelude: text that this side has run too.
      classes: those of the prelude, whose instances pass as plain data.
      in_place: take over changes of arguments even from a call that returned
        something.
    """
    self._in_place = in_place
    self._codec.classes = dict(classes)
    self.ask('load', prelude, program, in_place)

  def refer(self, expression: str) -> 'Handle':
    """A handle for a name or expression of the program.

    Raises:
      Exception: what the program raises, NameError for one.
    """
    value = self.ask('refer', expression)
    if type(value) is not Handle:
      raise self._line.lose('to a name is no handle')
    return value

  def call(self, function: Any, args: tuple, kwargs: dict) -> Any:
    """Calls a handle, or what an expression is in the program.

    A call that returns nothing hands back lists and the like as it left them.
    One that returns something does not, unless the tests ask for that:
    `f(x) == reference(x)` must not let f choose what reference sees.
    """
    given = [*args, *kwargs.values()]
    mutable = [each for each in given if self._is_mutable(each)]
    values = self._request('call', function, args, kwargs, mutable)
    if len(values) == 2 and (values[0] is None or self._in_place):
      self._take_over(mutable, values[1])
    return values[0]

  def ask(self, name: str, *operands: Any) -> Any:
    """One request that is no call."""
    return self._request(name, *operands)[0]

  def _request(self, name: str, *operands: Any) -> list:
    """The values of a reply; raises what it says was raised."""
    try:
      request = {'do': name, **self._codec.encode(*operands)}
    except OverflowError as error:
      raise self._overflow(error) from error
    self.started = True
    self.calls += name not in BEFORE_TESTS
    limit_s = self._case_s if name in ('call', 'run') else None
    reply = self._line.ask(request, limit_s)
    if 'error' in reply:
      raise self._error(reply['error'], name)
    try:
      values = self._codec.decode(reply)
    except Malformed as error:
      raise self._line.lose(str(error)) from None
    if not values:
      raise self._line.lose('is empty')
    return values

  def _overflow(self, error: OverflowError) -> BaseException:
    """Whose fault it is: the tests may pass on what the program returned."""
    if self.calls:
      return self._line.lose(f'was passed back: {error}')
    return Untransferable(f'the tests pass {error}')

  def _error(self, error: Any, operation: str) -> BaseException:
    """The exception that a reply tells of."""
    match error:
      case [str() as name, str() as text]:
        if operation != 'next' and name in ENDS_OF_LOOPS:
          return mark(RuntimeError(f'{name}: {text}'))
        return mark(exception_of(name, text))
    return self._line.lose('tells of no exception')

  def _is_mutable(self, value: Any) -> bool:
    return type(value) in REPLACE or self._codec.class_of(value) is not None

  def _take_over(self, old: list, new: Any) -> None:
    """Changes arguments in place as the call has changed its copies."""
    same = type(new) is list and [*map(type, old)] == [*map(type, new)]
    if not same:
      raise self._line.lose('changes the type of an argument')
    for mine, theirs in zip(old, new, strict=True):
      if type(mine) in REPLACE:
        REPLACE[type(mine)](mine, theirs)
      else:
        for name, value in state_of(theirs).items():
          set_field(mine, name, value)


def exception_of(name: str, text: str) -> Exception:
  """The builtin exception of that name, else a RemoteError."""
  kind = getattr(builtins, name, None)
  if isinstance(kind, type) and issubclass(kind, Exception):
    try:
      return kind(text)
    except TypeError:  # UnicodeDecodeError and its like want more.
      return RemoteError(f'{name}: {text}')
  return RemoteError(f'{name}: {text}')


def mark(error: Exception) -> Exception:
  """Notes that the program raised it, not the tests."""
  error.of_the_program = True
  return error


def is_marked(error: BaseException) -> bool:
  """Whether the program raised it."""
  return getattr(error, 'of_the_program', False)


class Handle:
  """An object that lives with the submission."""

  __slots__ = ('__number', '__remote')

  def __init__(self, remote: Remote, number: int):
    object.__setattr__(self, '_Handle__remote', remote)
    object.__setattr__(self, '_Handle__number', number)

  def __bool__(self) -> bool:
    return True

  def __call__(self, *args: Any, **kwargs: Any) -> Any:
    return self.__remote.call(self, args, kwargs)

  def __getattr__(self, name: str) -> Any:
    if name.startswith('__') and name != '__name__':
      raise AttributeError(name)  # Python asks for many of its own accord.
    return self.__remote.ask('getattr', self, name)

  def __setattr__(self, name: str, value: Any) -> None:
    self.__remote.ask('setattr', self, name, value)

  def __getitem__(self, key: Any) -> Any:
    return self.__remote.ask('getitem', self, key)

  def __setitem__(self, key: Any, value: Any) -> None:
    self.__remote.ask('setitem', self, key, value)

  def __iter__(self) -> Any:
    iterator = self.__remote.ask('iter', self)
    # An iterator of plain data cannot be: it would be sent as a handle.
    return iterator if type(iterator) is Handle else iter(())

  def __next__(self) -> Any:
    return self.__remote.ask('next', self)

  def __len__(self) -> int:
    return self.__remote.ask('len', self)

  def __str__(self) -> str:
    return self.__remote.ask('str', self)

  def __repr__(self) -> str:
    return self.__remote.ask('repr', self)

  def __instancecheck__(self, value: Any) -> bool:
    return self.__remote.ask('isinstance', value, self) is True


def number_of(handle: Handle) -> int:
  """The guest's number of a handle."""
  return object.__getattribute__(handle, '_Handle__number')
