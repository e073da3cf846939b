# SPDX-License-Identifier: Apache-2.0
"""A few rollouts to read: what the policy wrote at first and at last."""

import dataclasses

import numpy as np

from srpo_jax.study import read

# Samples of a step, and how much of a text is shown.
COUNT = 3
MAX_CHARACTERS = 4000


@dataclasses.dataclass(frozen=True)
class Sample:
  """One rollout, as the report shows it."""

  prompt: str
  response: str
  status: str
  reward: float
  tokens: int
  ended: bool


def first_and_last(run: read.Run) -> list[tuple[int, list[Sample]]]:
  """(step, samples) of the first and of the last step with rollouts."""
  steps = read.rollout_steps(run.path)
  shown = sorted({steps[0], steps[-1]}) if steps else []
  return [(step, pick(read.read_rollouts(run.path, step))) for step in shown]


def pick(columns: read.Columns, count: int = COUNT) -> list[Sample]:
  """The first rollout of each status, then of each prompt, up to `count`.

  By a rule and not by hand: what stands first was not chosen for its looks.
  """
  rows = [*_first_rows(columns['status']), *_first_rows(columns['prompt'])]
  return [_sample(columns, row) for row in list(dict.fromkeys(rows))[:count]]


def _first_rows(values: np.ndarray) -> list[int]:
  """Where each value stands first, in order."""
  _, rows = np.unique(values.astype(str), return_index=True)
  return sorted(rows.tolist())


def _sample(columns: read.Columns, row: int) -> Sample:
  return Sample(
    prompt=_shorten(columns['prompt_text'][row]),
    response=_shorten(columns['response_text'][row]),
    status=str(columns['status'][row]),
    reward=float(columns['reward'][row]),
    tokens=int(columns['tokens'][row]),
    ended=bool(columns['ended'][row]),
  )


def _shorten(text: str) -> str:
  """The text, its middle left out where it is very long."""
  if len(text) <= MAX_CHARACTERS:
    return text
  half = MAX_CHARACTERS // 2
  left_out = len(text) - 2 * half
  return f'{text[:half]}\n[… {left_out} characters …]\n{text[-half:]}'
