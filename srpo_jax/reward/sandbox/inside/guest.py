# SPDX-License-Identifier: Apache-2.0
"""The process in which a submission runs; it obeys the host.

Nothing here is to be trusted once the program has run, and nothing here needs
to be: no expected value and no test ever reaches this process, only the
arguments of calls. What it answers is what the program returned, or what the
program wants us to believe that it returned, which is the same to a test.
"""

import _sitebuiltins
import builtins
import operator
import os
import socket
from collections.abc import Callable
from typing import Any, NoReturn

from . import modules, stdio
from .channel import frame, most_bytes, receive
from .codec import Codec
from .instances import own_classes

MAX_TEXT = 300

Seal = Callable[[], None]


def serve(
  sock: socket.socket, limits: dict, seal: Seal = lambda: None
) -> NoReturn:
  """Answers requests until the host hangs up.

  Args:
    sock: our end of the channel; the process is confined already.
    limits: all of them; docs/reward.md.
    seal: to call right before code of the submission runs in a process.
  """
  # Else `site` brings them, which -S leaves out.
  for name in ('exit', 'quit'):
    setattr(builtins, name, _sitebuiltins.Quitter(name, 'Ctrl-D (i.e. EOF)'))
  guest = Guest(sock, limits, seal)
  while (request := receive(sock)) is not None:
    sock.sendall(guest.reply(request))
  os._exit(0)


class Kept:
  """Marks a value that goes as a handle, whatever it is."""

  def __init__(self, value: Any):
    self.value = value


class Objects(Codec):
  """The guest's side: what is no plain data stays here, under a number."""

  def __init__(self):
    super().__init__()
    self._objects: list[Any] = []
    self._numbers: dict[int, int] = {}

  def handle_of(self, value: Any) -> list:
    """The node of an object that stays here."""
    if type(value) is Kept:
      value = value.value
    if id(value) not in self._numbers:
      self._numbers[id(value)] = len(self._objects)
      self._objects.append(value)
    return ['handle', self._numbers[id(value)]]

  def resolve(self, tag: str, *fields: Any) -> Any:
    """The object of a number, or a builtin function."""
    if tag == 'builtin':
      return getattr(builtins, fields[0])
    return self._objects[fields[0]]

  def class_of(self, value: Any) -> str | None:
    """By name: a program may define the prelude's ListNode once more."""
    kind = type(value)
    same = kind.__name__ in self.classes and kind.__module__ == modules.NAME
    plain = same and not isinstance(value, type)
    return kind.__name__ if plain else None


class Guest:
  """The submission and the objects that it has handed out."""

  def __init__(self, sock: socket.socket, limits: dict, seal: Seal):
    self._sock = sock
    self._limits = limits
    self._seal = seal
    self._codec = Objects()
    self._module = modules.create()
    self._program = ''
    self._in_place = False

  def reply(self, request: dict) -> bytes:
    """The frame that answers a request, whatever happens on the way."""
    number = {'n': request['n']}
    try:
      values = self._do(request['do'], self._codec.decode(request))
      data = frame({**number, **self._codec.encode(*values)})
      if len(data) <= most_bytes(self._limits):
        return data
      error = ['OverflowError', f'a value of {len(data) >> 20} MiB']
    except BaseException as caught:
      error = describe_error(caught)
    return frame({**number, 'error': error})

  def _do(self, name: str, operands: list) -> list:
    """What a request asks for: one value, and changed arguments."""
    if name in OPERATIONS:
      return [OPERATIONS[name](*operands)]
    return getattr(self, f'do_{name}')(*operands)

  def do_load(self, prelude: str, program: str, in_place: bool) -> list:
    """Runs a program as a module; main guards do not run."""
    self._in_place = in_place
    self._seal()
    modules.execute(prelude, self._module, 'prelude')
    self._codec.classes = own_classes(self._module)
    modules.execute(program, self._module, 'program')
    return [None]

  def do_refer(self, expression: str) -> list:
    """A handle for what an expression is, even if it is plain data."""
    return [Kept(self._evaluate(expression))]

  def do_call(
    self, function: Any, args: tuple, kwargs: dict, mutable: list
  ) -> list:
    """Calls a function, or what a string evaluates to.

    Args:
      function: a function, or an expression that is one.
      args: of the call, and so are `kwargs`.
      mutable: those of them that can be changed in place.

    Returns:
      The result, then, if there is none or the tests say so, `mutable`.
    """
    if type(function) is str:
      function = self._evaluate(function)
    value = function(*args, **kwargs)
    if value is None or self._in_place:
      return [value, mutable]
    return [value]

  def do_prepare(self, program: str) -> list:
    """Takes a program that `do_run` runs, again for each case."""
    compile(program, '<program>', 'exec', dont_inherit=True)
    self._program = program
    return [None]

  def do_run(self, text: str) -> list:
    """Runs the program once, as a script: its output, how it ended."""
    run = stdio.Run(self._program, self._limits, self._seal, self._sock)
    return [run.run(text.encode('utf-8', 'surrogatepass'))]

  def _evaluate(self, expression: str) -> Any:
    return eval(expression, vars(self._module))


def set_attribute(target: Any, name: str, value: Any) -> None:
  """setattr, as an operation."""
  setattr(target, name, value)


OPERATIONS: dict[str, Callable[..., Any]] = {
  'getattr': getattr,
  'setattr': set_attribute,
  'getitem': operator.getitem,
  'setitem': operator.setitem,
  'iter': iter,
  'next': next,
  'len': len,
  'str': str,
  'repr': repr,
  'isinstance': isinstance,
}


def describe_error(error: BaseException) -> list[str]:
  """Name and message of an exception; its own methods may fail."""
  try:
    text = str(error)[:MAX_TEXT]
    name = type(error).__name__
    return [str(name), text if type(text) is str else '']
  except BaseException:
    return ['Exception', 'one that cannot be described']
