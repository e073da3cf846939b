# SPDX-License-Identifier: Apache-2.0
"""Tests that are code with `assert` in it: the kinds 'assert' and 'check'.

The code runs here, in the trusted process, with real builtins. Each `assert`
is rewritten so that it is recorded and the rest goes on; Python's -O and
a program's tricks with AssertionError change nothing. Names that the tests use
and nobody here defines are the program's.
"""

import ast
import builtins
import importlib
import symtable
import sys
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from . import modules
from .instances import own_classes
from .remote import Remote, is_marked
from .tally import Invalid, Tally, describe, whose_fault

RECORD, RAISED = '__record_assert__', '__record_exception__'
# What an assert becomes. Ended is no Exception and goes through.
TEMPLATE = f"""
try:
  {RECORD}(0, 0)
except __Exception__:
  {RAISED}(0)
"""


class Recorder(ast.NodeTransformer):
  """Replaces each assert by what records it.

  Attributes:
    sources: text of each condition.
    to_reach: how many of them are no constant, such as False.
  """

  def __init__(self):
    self.sources: list[str] = []
    self.to_reach = 0

  def visit_Assert(self, node: ast.Assert) -> ast.stmt:
    """A constant that is true judges nothing and is not counted."""
    if isinstance(node.test, ast.Constant) and node.test.value:
      return ast.copy_location(ast.Pass(), node)
    self.to_reach += not isinstance(node.test, ast.Constant)
    number = ast.Constant(len(self.sources))
    self.sources.append(ast.unparse(node.test))
    (new,) = ast.parse(TEMPLATE).body
    new.body[0].value.args = [node.test, number]
    new.handlers[0].body[0].value.args = [number]
    return ast.copy_location(new, node)


class Suite:
  """Test code that runs piece by piece in one module.

  Args:
    pieces: the texts, in order.
    prelude: text that program and tests share.

  Attributes:
    module: the namespace of the tests.
    classes: those of the prelude.
    tally: where the asserts of the running piece are recorded.
  """

  def __init__(self, pieces: Iterable[str], prelude: str):
    self._recorder = Recorder()
    self._pieces = [self._compile(piece) for piece in pieces]
    self.prelude = prelude
    self.module = modules.create()
    self.tally = Tally()
    with whose_fault('the prelude'):
      modules.execute(prelude, self.module, 'prelude')
    self.classes = own_classes(self.module)
    names = {RECORD: self._record, RAISED: self._raised}
    vars(self.module).update(names, __Exception__=Exception)

  def _compile(self, piece: str) -> tuple[Any, int, int]:
    """The code of a piece, how many asserts it holds, how many to reach."""
    recorder = self._recorder
    with whose_fault('the test code'):
      before, to_reach = len(recorder.sources), recorder.to_reach
      tree = recorder.visit(ast.parse(piece))
      code = compile(ast.fix_missing_locations(tree), '<tests>', 'exec')
      count = len(recorder.sources) - before
      return code, count, recorder.to_reach - to_reach

  def counts(self) -> list[int]:
    """How many asserts stand in each piece."""
    return [count for _, count, _ in self._pieces]

  def is_right_if_silent(self, number: int) -> bool:
    """Whether a piece only says where it must not get: `assert False`."""
    _, count, to_reach = self._pieces[number]
    return count > 0 and not to_reach

  def run(self, number: int) -> None:
    """Runs one piece; asserts are recorded, other exceptions are raised."""
    exec(self._pieces[number][0], vars(self.module))

  def _record(self, value: Any, number: int) -> None:
    """Called with the value of each condition."""
    self.tally.judge(bool(value), self._recorder.sources[number])

  def _raised(self, number: int) -> None:
    """Called where computing a condition raised."""
    status, detail = blame(sys.exception())
    self.tally.fails(status, f'{self._recorder.sources[number]}: {detail}')


def blame(error: BaseException) -> tuple[str, str]:
  """Status and detail of a test that an exception has ended."""
  detail = describe(error)
  if not is_marked(error):
    return 'wrong', detail
  memory = isinstance(error, MemoryError)
  return 'memory' if memory else 'runtime_error', f'it raised {detail}'


def free_names(source: str) -> set[str]:
  """Global names that a text reads and does not set."""
  top = symtable.symtable(source, '<tests>', 'exec')
  own = {s.get_name() for s in top.get_symbols() if is_set(s)}
  own |= {
    symbol.get_name()
    for table in tables(top)
    for symbol in table.get_symbols()
    if symbol.is_declared_global() and is_set(symbol)
  }
  return {
    symbol.get_name()
    for table in tables(top)
    for symbol in table.get_symbols()
    if symbol.is_referenced() and (symbol.is_global() or table is top)
  } - own


def is_set(symbol: symtable.Symbol) -> bool:
  """Whether the scope gives the name a value."""
  return symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()


def tables(top: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
  """A scope and all inside it."""
  yield top
  for child in top.get_children():
    yield from tables(child)


def only_attributes(source: str) -> set[str]:
  """Names that are used for nothing but `name.attribute`."""
  nodes = list(ast.walk(ast.parse(source)))
  names = [node.id for node in nodes if isinstance(node, ast.Name)]
  bases = [
    node.value.id
    for node in nodes
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
  ]
  return {name for name in names if names.count(name) == bases.count(name)}


def import_modules(source: str, module: ModuleType) -> None:
  """Imports modules of the standard library that the tests forgot to.

  Else they would ask the program what sys.getsizeof is, for one.
  """
  names = unknown_names(source, module) & sys.stdlib_module_names
  for name in only_attributes(source) & names:
    setattr(module, name, importlib.import_module(name))


def unknown_names(source: str, module: ModuleType) -> set[str]:
  """Names that a text reads and that nothing on this side defines."""
  return free_names(source) - set(vars(module)) - set(vars(builtins))


def judge_asserts(job: dict, remote: Remote, tally: Tally) -> None:
  """Kind 'assert': each text is one test; setup comes before all."""
  tests = job['tests']
  texts = [*tests['asserts'], *(tests.get('challenge') or [])]
  setup = tests.get('setup') or ''
  suite = Suite([setup, *texts], tests.get('prelude') or '')
  cases = [n for n, count in enumerate(suite.counts()) if n and count]
  tally.total = len(cases)
  if not cases:
    raise Invalid('the tests assert nothing')
  names = names_to_take('\n'.join([setup, *texts]), tests, suite)
  if not load(job, suite, remote, tally, names):
    return
  if not run_setup(suite, remote, tally):
    return
  for number in range(1, len(texts) + 1):
    run_case(suite, number, number in cases, tally)
  if not remote.calls:
    raise Invalid('the tests never call the program')


def names_to_take(source: str, tests: dict, suite: Suite) -> set[str]:
  """The entry point, though it be a builtin's name, and unknown names."""
  entry = tests.get('entry_point')
  own = {entry} if entry else set()
  with whose_fault('the test code'):
    import_modules(source, suite.module)
    return own | unknown_names(source, suite.module)


def run_setup(suite: Suite, remote: Remote, tally: Tally) -> bool:
  """Runs the setup; False if the program made it fail."""
  try:
    suite.run(0)
  except Exception as error:
    if not remote.calls:
      raise Invalid(f'the setup raised {describe(error)}') from error
    tally.ends(*blame(error))
    return False
  return True


def run_case(suite: Suite, number: int, counts: bool, tally: Tally) -> None:
  """Runs one text, which passes if all that it asserts holds."""
  suite.tally = case = Tally()
  try:
    suite.run(number)
  except Exception as error:
    case.ends(*blame(error))
  else:
    if not case.run and suite.is_right_if_silent(number):
      case.passes()
  report = case.report()
  if counts and report['status'] == 'correct':
    tally.passes()
  elif counts:
    tally.fails(report['status'], report['detail'])


def load(
  job: dict, suite: Suite, remote: Remote, tally: Tally, names: Iterable[str]
) -> bool:
  """Runs the program and takes names from it; False if it fails."""
  tests = job['tests']
  try:
    remote.load(
      job['program'],
      suite.prelude,
      suite.classes,
      tests.get('in_place') is True,
    )
    for name in sorted(names):
      setattr(suite.module, name, remote.refer(name))
  except Exception as error:
    tally.ends(*blame(error))
    return False
  return True
