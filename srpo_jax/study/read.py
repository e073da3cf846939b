# SPDX-License-Identifier: Apache-2.0
"""Reads a workdir into plain columns: name -> numpy array.

The first step of a report. A run may be going on or may have been killed: half
a last line of metrics is left out, and whatever is not there yet is empty.
"""

import dataclasses
import json
import pathlib
import re
from collections.abc import Sequence

import numpy as np
import pyarrow.parquet as pq

from srpo_jax.core import config, gin_text

Columns = dict[str, np.ndarray]

_EVAL_FILE = re.compile(r'(.+)_step_(\d+)\.parquet')
_ROLLOUT_FILE = re.compile(r'step_(\d+)\.parquet')
_LEDGER_FILE = re.compile(r'epoch_(\d+)_(\d+)\.parquet')


@dataclasses.dataclass(frozen=True)
class Run:
  """One workdir.

  Attributes:
    path: the folder.
    name: what figures call it; unique among the runs of a report.
    metrics: name -> [steps] float64, NaN where a step does not have it.
    config: the config's bindings and the text of their values.
    done: what done.json says; empty while the run is not finished.
    stage_names: number of a stage -> its name, where the run wrote it.
    ledger: (stage, epoch, rows) of each epoch that ended, in order.
  """

  path: pathlib.Path
  name: str
  metrics: Columns
  config: dict[str, str]
  done: dict
  stage_names: dict[int, str]
  ledger: list[tuple[int, int, Columns]]

  @property
  def steps(self) -> np.ndarray:
    """The steps that have a line, [steps] int."""
    return self.metrics['step'].astype(int)

  @property
  def macros(self) -> dict[str, str]:
    """The config's macros: SEED, STEPS, ..."""
    return {k: v for k, v in self.config.items() if '.' not in k}


def read_runs(workdirs: list[pathlib.Path]) -> list[Run]:
  """The runs, named by their folders, or by their paths where two agree.

  Raises:
    ConfigError: one of the paths is no workdir, or a file in it is damaged.
  """
  names = [path.resolve().name for path in workdirs]
  if len(set(names)) < len(names):
    names = [str(path) for path in workdirs]
  return [
    read_run(path, name) for path, name in zip(workdirs, names, strict=True)
  ]


def read_run(workdir: pathlib.Path, name: str) -> Run:
  """One run; see `read_runs`."""
  check_workdir(workdir)
  done, rows = workdir / 'done.json', read_lines(workdir)
  return Run(
    path=workdir,
    name=name,
    metrics=to_columns(rows),
    config=read_config(workdir),
    done=json.loads(done.read_text()) if done.exists() else {},
    stage_names=stage_names(rows),
    ledger=read_ledger(workdir),
  )


def check_workdir(workdir: pathlib.Path) -> None:
  """Refuses a path where no run has been."""
  if not workdir.is_dir():
    raise config.ConfigError(
      f'{workdir}: there is no such folder; give the --workdir of a run'
    )
  if not any((workdir / x).exists() for x in ('metrics.jsonl', 'config.gin')):
    raise config.ConfigError(
      f'{workdir}: neither metrics.jsonl nor config.gin in it; give the '
      '--workdir of a run'
    )


def read_lines(workdir: pathlib.Path) -> list[dict]:
  """The lines of metrics.jsonl in order of step; none if there is no file.

  Should a step have two lines, their names are merged and the later one wins.

  Raises:
    ConfigError: a line other than the last one is damaged.
  """
  path = workdir / 'metrics.jsonl'
  lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
  rows = {}
  for number, line in enumerate(lines, start=1):
    row = _parse_line(line)
    if row is not None:
      rows.setdefault(int(row['step']), {}).update(row)
    elif number < len(lines):
      raise config.ConfigError(
        f'{path}, line {number}: not a line of metrics: {line[:60]!r}; delete '
        'the line'
      )
  return [rows[step] for step in sorted(rows)]


def to_columns(rows: list[dict]) -> Columns:
  """The numbers of the lines as columns; 'step' is always there."""
  texts = {k for row in rows for k, v in row.items() if isinstance(v, str)}
  names = dict.fromkeys(['step', *(name for row in rows for name in row)])
  return {
    name: np.array([row.get(name) for row in rows], np.float64)
    for name in names
    if name not in texts
  }


def stage_names(rows: list[dict]) -> dict[int, str]:
  """Number of a stage -> name; a run of an older version names none."""
  return {
    int(row['stage']): row['stage_name']
    for row in rows
    if 'stage' in row and isinstance(row.get('stage_name'), str)
  }


def read_config(workdir: pathlib.Path) -> dict[str, str]:
  """The bindings of config.gin: SEED, adamw.b1, ... and each value's text."""
  path = workdir / 'config.gin'
  if not path.exists():
    return {}
  return gin_text.read_text(path.read_text(), str(path))


def rollout_steps(workdir: pathlib.Path) -> list[int]:
  """The steps whose rollouts were written, in order."""
  matches = _matches(workdir / 'rollouts', _ROLLOUT_FILE)
  return sorted(int(match[1]) for match in matches)


def read_rollouts(workdir: pathlib.Path, step: int) -> Columns:
  """The rollouts of a step, one row a sample."""
  return read_parquet(rollout_path(workdir, step))


def rollout_path(workdir: pathlib.Path, step: int) -> pathlib.Path:
  """Where the rollouts of a step are."""
  return workdir / 'rollouts' / f'step_{step:06d}.parquet'


def rollout_count(workdir: pathlib.Path, step: int) -> int:
  """How many rollouts a step has, from the end of the file alone."""
  with open(rollout_path(workdir, step), 'rb') as file:
    return pq.read_metadata(file).num_rows


def eval_steps(workdir: pathlib.Path) -> dict[str, list[int]]:
  """Name of each held-out set -> the steps at which it was evaluated."""
  matches = _matches(workdir / 'evals', _EVAL_FILE)
  found = sorted((match[1], int(match[2])) for match in matches)
  steps = {}
  for set_name, step in found:
    steps.setdefault(set_name, []).append(step)
  return steps


def read_evals(
  workdir: pathlib.Path,
  set_name: str,
  step: int,
  columns: Sequence[str] | None = None,
) -> Columns:
  """An evaluation of a held-out set, one row a sample."""
  name = f'{set_name}_step_{step:06d}.parquet'
  return read_parquet(workdir / 'evals' / name, columns)


def read_ledger(workdir: pathlib.Path) -> list[tuple[int, int, Columns]]:
  """(stage, epoch, rows) of each epoch, in order."""
  matches = _matches(workdir / 'ledger', _LEDGER_FILE)
  found = sorted((int(match[1]), int(match[2])) for match in matches)
  return [
    (
      stage,
      epoch,
      read_parquet(workdir / 'ledger' / f'epoch_{stage}_{epoch}.parquet'),
    )
    for stage, epoch in found
  ]


def read_parquet(
  path: pathlib.Path, columns: Sequence[str] | None = None
) -> Columns:
  """A parquet file as numpy columns; null becomes NaN or None.

  Args:
    path: the file.
    columns: those wanted, all by default; one that is not there is left out.
  """
  # Opened by us: given a path, pyarrow would take `x=1` folders for columns.
  with open(path, 'rb') as file:
    table = pq.ParquetFile(file).read(columns=columns and list(columns))
  return {
    name: table[name].to_numpy(zero_copy_only=False)
    for name in table.column_names
  }


def _matches(folder: pathlib.Path, pattern: re.Pattern) -> list[re.Match]:
  """The files of a folder whose name the pattern knows."""
  names = [path.name for path in folder.glob('*.parquet')]
  return [match for name in names if (match := pattern.fullmatch(name))]


def _parse_line(line: bytes) -> dict | None:
  """The numbers of a line, None for half a line or something else."""
  try:
    row = json.loads(line)
  except ValueError:
    return None
  return row if isinstance(row, dict) and 'step' in row else None
