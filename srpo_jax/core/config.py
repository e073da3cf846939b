# SPDX-License-Identifier: Apache-2.0
"""The config edge: gin is parsed once, here, before any device is touched.

  text = load(['stage1.gin'], ['STEPS=12'])   # or one ConfigError
  guard_workdir(workdir, text)                # writes or compares config.gin
  run(workdir)                                # calls the job bound to run.job

A job file binds `run.job = @train` and imports the job's module. What a job
was given it checks with `integer`, `number` and `check`, so that a refusal
names the macro, the file that set it and the remedy. Gin's config is one per
process, and so is the record here of where each value came from.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import gin

from srpo_jax.core import gin_checks, gin_text
from srpo_jax.core.gin_text import ConfigError, Stop

# Where each macro and parameter was set, for messages; filled by `load`.
_WHERE: dict[str, str] = {}

# Macros that cannot change the result, only where things are and run.
FREE = (
  'REWARD_ADDRESS',
  'REWARD_HOSTS',
  'REWARD_DEADLINE',
  'REWARD_WORKERS',
  'PROFILE',
  'REWARD_SANDBOXES',
  'CHECKPOINT_EVERY',
  'CHECKPOINTS_KEPT',
  'EXPORT',
  'EXPORT_DTYPE',
  'MESH',
  'ROLLOUT_MESH',
  'DATA_DIR',
  'CURATE_WORKERS',
)


class Interrupted(Stop):
  """A job stopped early with its checkpoint written: start it again."""

  status = 75


@gin.configurable
def run(workdir: Path, *, job: Callable[[Path], None] = gin.REQUIRED) -> None:
  """Runs the job that the gin files bind to `run.job`."""
  job(workdir)


def load(gin_files: Sequence[str], macro_overrides: Sequence[str] = ()) -> str:
  """Parses files, then `NAME=value` overrides, into gin's config.

  Later files and overrides win. A bare name is found in `gin/`; an include is
  relative to the file it stands in, and failing that found in `gin/`.

  Returns:
    The resolved config as gin text: the same for the same config.

  Raises:
    ConfigError: an unknown file, name or macro, or a value that is missing.
  """
  gin.clear_config()
  _WHERE.clear()
  if not gin_files:
    raise ConfigError(f'no --gin_file given; {gin_checks.jobs()}')
  statements = gin_text.read(gin_files, macro_overrides)
  _WHERE.update({s.key: s.where for s in statements})
  gin_checks.check_text(statements)
  for statement in statements:
    gin_checks.bind(statement)
  gin_checks.check_parameters(gin_text.final(statements))
  gin.finalize()
  return gin.config_str()


def check(ok: bool, macro: str, value: object, need: str, remedy: str) -> None:
  """Refuses a value: `FILE:LINE: MACRO = value, but it must NEED; REMEDY`.

  Raises:
    ConfigError: unless ok.
  """
  if not ok:
    where = _WHERE.get(macro, 'default')
    raise ConfigError(
      f'{where}: {macro} = {value!r}, but it must {need}; {remedy}'
    )


def integer(
  macro: str, value: object, low: int, high: int | None = None
) -> int:
  """The value, if it is an int (no bool, no 8.0) in [low, high]."""
  ok = isinstance(value, int) and not isinstance(value, bool)
  ok = ok and value >= low and (high is None or value <= high)
  need = f'be an integer{_range(low, high)}'
  check(ok, macro, value, need, f'try --gin.{macro}={low}')
  return value


def number(
  macro: str,
  value: object,
  low: float | None = None,
  high: float | None = None,
) -> float:
  """The value as a float, if it is a finite number in [low, high]."""
  ok = isinstance(value, int | float) and not isinstance(value, bool)
  ok = ok and abs(value) < float('inf')
  ok = ok and (low is None or value >= low) and (high is None or value <= high)
  need = f'be a number{_range(low, high)}'
  hint = low if low is not None else high if high is not None else 1.0
  check(ok, macro, value, need, f'try --gin.{macro}={hint}')
  return float(value)


def choice(macro: str, value: object, options: Sequence[object]) -> object:
  """The value, if it is one of the options."""
  listed = ', '.join(map(repr, options))
  remedy = f'try --gin.{macro}={options[0]}'
  check(value in options, macro, value, f'be one of {listed}', remedy)
  return value


def guard_workdir(workdir: Path, text: str, free: Sequence[str] = FREE) -> None:
  """Writes config.gin the first time; later only compares it.

  A config.gin with nothing beside it is overwritten: that start was refused
  before it did anything, and its correction must not be refused in turn.

  Raises:
    ConfigError: the workdir was started with another config; the difference
      is in the message. Macros in `free` may differ.
  """
  path = Path(workdir) / 'config.gin'
  started = path.exists() and any(p != path for p in path.parent.iterdir())
  if not started:
    _write(path, text)
    return
  there = gin_text.read_text(path.read_text(), str(path))
  here = gin_text.read_text(text, 'this config')
  keys = [k for k in {**there, **here} if k not in free]
  lines = [
    f'{k} = {there.get(k, "(not set)")} there, {here.get(k, "(not set)")} here'
    for k in keys
    if there.get(k) != here.get(k)
  ]
  if lines:
    more = f' and {len(lines) - 6} more' if len(lines) > 6 else ''
    raise ConfigError(
      f'{path}: this workdir was started with another config: '
      f'{"; ".join(lines[:6])}{more}; give the same config or a new --workdir'
    )


def save_operative(workdir: Path) -> None:
  """Writes operative.gin: what was used so far, defaults included."""
  _write(Path(workdir) / 'operative.gin', gin.operative_config_str())


def _range(low: float | None, high: float | None) -> str:
  """The words for [low, high], either end open."""
  if low is not None and high is not None:
    return f' from {low} to {high}'
  if low is not None:
    return f', at least {low}'
  return '' if high is None else f', at most {high}'


def _write(path: Path, text: str) -> None:
  """Writes in one step: a reader, or another host, sees all or nothing."""
  path.parent.mkdir(parents=True, exist_ok=True)
  partial = path.with_name(f'.{path.name}.{os.getpid()}')
  partial.write_text(text)
  partial.replace(path)
