# SPDX-License-Identifier: Apache-2.0
"""Reads a workdir into plain columns: name -> numpy array.

The first step of a report. A run may be going on or may have been killed: half
a last line of metrics is left out, and whatever is not there yet is empty.
"""

import dataclasses
import json
import pathlib
import re

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
    macros: the config's macros and the text of their values.
    done: what done.json says; empty while the run is not finished.
  """

  path: pathlib.Path
  name: str
  metrics: Columns
  macros: dict[str, str]
  done: dict

  @property
  def steps(self) -> np.ndarray:
    """The steps that have a line, [steps] int."""
    return self.metrics['step'].astype(int)


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
  done = workdir / 'done.json'
  return Run(
    path=workdir,
    name=name,
    metrics=read_metrics(workdir),
    macros=read_macros(workdir),
    done=json.loads(done.read_text()) if done.exists() else {},
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


def read_metrics(workdir: pathlib.Path) -> Columns:
  """metrics.jsonl as columns in order of step; 'step' is always there.

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
  ordered = [rows[step] for step in sorted(rows)]
  names = dict.fromkeys(['step', *(name for row in ordered for name in row)])
  return {
    name: np.array([row.get(name) for row in ordered], np.float64)
    for name in names
  }


def read_macros(workdir: pathlib.Path) -> dict[str, str]:
  """The macros of config.gin: SEED, STEPS, ... and the text of each value."""
  path = workdir / 'config.gin'
  if not path.exists():
    return {}
  bindings = gin_text.read_text(path.read_text(), str(path))
  return {key: value for key, value in bindings.items() if '.' not in key}


def rollout_steps(workdir: pathlib.Path) -> list[int]:
  """The steps whose rollouts were written, in order."""
  matches = _matches(workdir / 'rollouts', _ROLLOUT_FILE)
  return sorted(int(match[1]) for match in matches)


def read_rollouts(workdir: pathlib.Path, step: int) -> Columns:
  """The rollouts of a step, one row a sample."""
  return read_parquet(workdir / 'rollouts' / f'step_{step:06d}.parquet')


def eval_steps(workdir: pathlib.Path) -> dict[str, list[int]]:
  """Name of each held-out set -> the steps at which it was evaluated."""
  matches = _matches(workdir / 'evals', _EVAL_FILE)
  found = sorted((match[1], int(match[2])) for match in matches)
  steps = {}
  for set_name, step in found:
    steps.setdefault(set_name, []).append(step)
  return steps


def read_evals(workdir: pathlib.Path, set_name: str, step: int) -> Columns:
  """An evaluation of a held-out set, one row a sample."""
  return read_parquet(workdir / 'evals' / f'{set_name}_step_{step:06d}.parquet')


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


def read_parquet(path: pathlib.Path) -> Columns:
  """A parquet file as numpy columns; null becomes NaN or None."""
  # Opened by us: given a path, pyarrow would take `x=1` folders for columns.
  with open(path, 'rb') as file:
    table = pq.read_table(file)
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
