# SPDX-License-Identifier: Apache-2.0
"""Gin files as plain statements: read, includes followed, nothing imported.

The first half of the config edge; core/config.py is the second. Everything
that can be known from the text alone is decided here, in milliseconds and
before jax is loaded: which files, which macros, and what is missing.
"""

import dataclasses
import difflib
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import Path

from gin import config_parser

COMMAND_LINE = 'command line'
REQUIRED = '%gin.REQUIRED'


class Stop(Exception):
  """Ends the program with a status and one line, without a traceback.

  `line` holds it. Print that and not `str(error)`: gin appends lines of its
  own to an exception that passes through a configurable.
  """

  status: int

  def __init__(self, line: str):
    self.line = ' '.join(line.split())
    super().__init__(self.line)


class ConfigError(Stop):
  """What was asked is wrong: the line names the place and the remedy."""

  status = 2


@dataclasses.dataclass(frozen=True)
class Reference:
  """`@fn`, `@scope/fn()` or `%MACRO` as written, not looked up."""

  text: str

  def __repr__(self) -> str:
    return self.text


class _AsWritten(config_parser.ParserDelegate):
  """Keeps references as text, so that parsing needs no import."""

  def configurable_reference(self, scoped_selector, evaluate):
    return Reference(f'@{scoped_selector}' + '()' * evaluate)

  def macro(self, name):
    return Reference(f'%{name}')


@dataclasses.dataclass(frozen=True)
class Statement:
  """One binding or import, and where it was written.

  Attributes:
    key: `STEPS` for a macro, `scope/fn.parameter`, or `import`.
    value: a literal with References inside; for an import, its text.
    where: `stage1.gin:12` or `command line`.
  """

  key: str
  value: object
  where: str

  @property
  def is_import(self) -> bool:
    return self.key == 'import'

  @property
  def is_macro(self) -> bool:
    return not self.is_import and '.' not in self.key

  @property
  def text(self) -> str:
    return self.value if self.is_import else f'{self.key} = {self.value!r}'

  @property
  def references(self) -> list[str]:
    """The `@fn` and `%MACRO` inside the value, as written."""
    return [] if self.is_import else list(_references(self.value))


def read(files: Sequence[str], overrides: Sequence[str]) -> list[Statement]:
  """Statements of the files, then of `NAME=value` overrides, in order."""
  statements = []
  for name in files:
    statements += read_file(find(name, Path.cwd(), COMMAND_LINE))
  return statements + [read_override(text) for text in overrides]


def read_file(path: Path, within: tuple[Path, ...] = ()) -> list[Statement]:
  """Statements of a file; an include is read in its place."""
  path, shown = path.resolve(), shown_name(path)
  if path in within:
    raise ConfigError(f'{shown}: includes itself; remove the include')
  try:
    text = path.read_text()
  except UnicodeDecodeError as error:
    raise ConfigError(f'{shown}: not a text file; give a .gin file') from error
  statements = []
  for parsed in _parse(text, shown):
    where = f'{shown}:{parsed.location.line_num}'
    if isinstance(parsed, config_parser.IncludeStatement):
      included = find(parsed.filename, path.parent, where)
      statements += read_file(included, (*within, path))
    elif isinstance(parsed, config_parser.ImportStatement):
      statements.append(Statement('import', parsed.format(), where))
    elif isinstance(parsed, config_parser.BindingStatement):
      statements.append(Statement(_key(parsed), parsed.value, where))
  return statements


def read_override(text: str) -> Statement:
  """`NAME=value` as a statement; text that gin cannot read is a string.

  So `--gin.DATA_DIR=/data/x` and `--gin.REWARD_ADDRESS=10.0.0.1:80` need no
  second pair of quotes. Text that starts as a reference, a quoted string or a
  container is held to gin's grammar, and `true` is not taken for a string.
  """
  key, _, value = text.partition('=')
  value, flag = value.strip(), f'{COMMAND_LINE}: --gin.{text}'
  if not value:
    raise ConfigError(f'{flag} has no value; write --gin.{key}=VALUE')
  proper = value.capitalize()
  if proper in ('True', 'False', 'None') and value != proper:
    raise ConfigError(f'{flag} reads as text; write --gin.{key}={proper}')
  parsed = _one(f'{key} = {value}')
  if not parsed and value[0] not in '@%([{\'"':
    parsed = _one(f'{key} = {value!r}')
  if not parsed:
    raise ConfigError(
      f'{flag} is not one NAME=VALUE; check its name, brackets and quotes'
    )
  return Statement(_key(parsed), parsed.value, COMMAND_LINE)


def _one(text: str) -> config_parser.BindingStatement | None:
  """The binding that the text is, or None where it is anything else."""
  try:
    parsed = list(_parse(text, COMMAND_LINE))
  except ConfigError:
    return None
  binding = config_parser.BindingStatement
  return parsed[0] if [type(p) for p in parsed] == [binding] else None


def read_text(text: str, shown: str) -> dict[str, str]:
  """Bindings of a saved config: key to the text of its value."""
  return {
    _key(parsed): repr(parsed.value)
    for parsed in _parse(text, shown)
    if isinstance(parsed, config_parser.BindingStatement)
  }


def final(statements: Sequence[Statement]) -> dict[str, Statement]:
  """The statement that wins for each key: the last one."""
  return {s.key: s for s in statements if not s.is_import}


def gin_folder() -> Path:
  """The gin files: packaged in a wheel, `gin/` in a checkout.

  The packaged ones first: beside an installed package, `gin` is gin-config.
  """
  package = Path(__file__).resolve().parents[1]
  packaged = package / 'gin_files'
  return packaged if packaged.is_dir() else package.parent / 'gin'


def gin_files() -> list[str]:
  """Names of all our gin files, such as `models/tiny.gin`."""
  folder = gin_folder()
  paths = sorted(folder.rglob('*.gin'))
  return [path.relative_to(folder).as_posix() for path in paths]


def shown_name(path: Path) -> str:
  """A file's name for messages: short if it is one of ours."""
  folder = gin_folder()
  if path.resolve().is_relative_to(folder):
    return path.resolve().relative_to(folder).as_posix()
  return str(path)


def find(name: str, folder: Path, where: str) -> Path:
  """The file of that name in the folder, or else in `gin/`.

  Raises:
    ConfigError: no such file; or, for a name on the command line, both exist
      and are not the same file.
  """
  path = Path(name).expanduser()
  paths = [folder / path, gin_folder() / path]
  found = [path for path in paths if path.is_file()]
  if not found:
    near = nearest(Path(name).with_suffix('.gin').as_posix(), gin_files())
    raise ConfigError(f'{where}: no gin file {name!r}; {near}')
  if where == COMMAND_LINE and not found[0].samefile(found[-1]):
    raise ConfigError(
      f'{where}: --gin_file={name} is both {found[0]} and {found[1]}; '
      'write the path in full'
    )
  return found[0]


def nearest(name: str, known: Sequence[str]) -> str:
  """`did you mean ...?`, or all that is known where nothing is near."""
  tails = {item.split('/')[-1]: item for item in known}
  names = [*known, *tails]
  near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
  if near:
    return f'did you mean {tails.get(near[0], near[0])}?'
  return f'there are: {", ".join(sorted(known)) or "none"}'


def _parse(text: str, shown: str) -> Iterator[tuple]:
  """Gin's own statements, with its syntax errors made one line."""
  try:
    yield from config_parser.ConfigParser(text, _AsWritten())
  except SyntaxError as error:
    raise ConfigError(
      f'{shown}:{error.lineno}: {_plain(error.msg)} in '
      f'{(error.text or "").strip()!r}; text needs quotes'
    ) from error
  except tokenize.TokenError as error:
    message, (line, _) = error.args
    raise ConfigError(
      f'{shown}:{line}: {message}; close the bracket or quote'
    ) from error


def _plain(message: str) -> str:
  """A syntax message without the address of a parser's object."""
  _, found, token = message.partition('Failed to parse token ')
  return f'cannot read {token}' if found else message.rstrip('.')


def _key(parsed: config_parser.BindingStatement) -> str:
  scope = f'{parsed.scope}/' if parsed.scope else ''
  parameter = f'.{parsed.arg_name}' if parsed.arg_name else ''
  return scope + parsed.selector + parameter


def _references(value: object) -> Iterator[str]:
  if isinstance(value, Reference):
    yield value.text
  elif isinstance(value, dict):
    yield from _references([*value.keys(), *value.values()])
  elif isinstance(value, list | tuple):
    for item in value:
      yield from _references(item)
