# SPDX-License-Identifier: Apache-2.0
"""Writes report.html, which needs nothing beside it, and the numbers as CSV.

The last step: runs are read, evaluated, drawn and put on one page. The trainer
calls `write_report` at the end of a run; `python -m srpo_jax.study` any time,
and it writes the figures as files too.
"""

import os
import pathlib
from collections.abc import Sequence

from srpo_jax.study import (
  comparison,
  derived,
  explorer,
  facts,
  outcome,
  outcome_page,
  read,
  single,
)
from srpo_jax.study.gallery import Gallery
from srpo_jax.study.groups import Group, group
from srpo_jax.study.single import evaluation_sentence

__all__ = ['evaluation_sentence', 'write_report']


def write_report(
  workdirs: Sequence[str | os.PathLike],
  out: str | os.PathLike,
  *,
  labels: Sequence[str] = (),
  files: bool = False,
) -> pathlib.Path:
  """Writes the report on one run, or a comparison of several.

  Args:
    workdirs: folders of the runs, finished or not.
    out: the HTML file; the numbers go beside it under the same name, as .csv.
    labels: of the runs or groups of a comparison; see `groups.group`.
    files: True to write each figure and table into the folder `figures`.

  Returns: the HTML file.

  Raises:
    ConfigError: a path is no workdir, a file in it is damaged, or the labels
      fit neither the runs nor their groups.
  """
  runs = read.read_runs([pathlib.Path(workdir) for workdir in workdirs])
  groups = group(runs, labels)
  # What takes seconds comes after what can be refused.
  groups = [
    Group(x.label, tuple(map(derived.enrich, x.runs)), x.differs)
    for x in groups
  ]
  out, gallery = pathlib.Path(out), Gallery()
  numbers, folder = out.with_suffix('.csv'), out.with_name('figures')
  out.parent.mkdir(parents=True, exist_ok=True)
  gone = explorer.collect(groups)
  if len(runs) == 1:
    run = groups[0].runs[0]
    text = single.report(run, numbers.name, gallery, gone)
  else:
    scores = comparison.evaluate(groups)
    outcomes = _outcomes(groups, scores)
    text = comparison.report(
      groups, numbers.name, gallery, outcomes, scores, gone
    )
    outcome_page.write(groups, outcomes, out.parent)
  facts.write_numbers([run for x in groups for run in x.runs], numbers)
  if files:
    gallery.write(folder, groups)
    explorer.write(groups, gone, folder / 'dropped_prompts.csv')
  _replace(out, text)
  return out


def _outcomes(groups: list[Group], scores) -> list[outcome.Outcome]:
  """A table for each alignment."""
  runs = [run for x in groups for run in x.runs]
  found = [
    outcome.outcome(groups, scores, by) for by in derived.alignments(runs)
  ]
  return [x for x in found if x is not None]


def _replace(out: pathlib.Path, text: str) -> None:
  """In one step: a browser that reloads never sees half a page."""
  temporary = out.with_name(out.name + '.tmp')
  temporary.write_text(text, encoding='utf-8')
  os.replace(temporary, out)
