# SPDX-License-Identifier: Apache-2.0
"""Prompts that history dropped, and what became of them.

From the ledger and the evaluations, before the explorer. A dropped prompt is
seen again when a later epoch reviews it, a later stage takes it up, or an
evaluation asks it; it was forgotten if an answer was then wrong.
"""

import dataclasses
import json

import numpy as np

from srpo_jax.study import evaluations, read


@dataclasses.dataclass(frozen=True)
class Seen:
  """One later look at a prompt.

  Attributes:
    where: 'stage 2, epoch 1' or 'embedded_math'.
    step: when.
    right: share of the judged answers that were right.
  """

  where: str
  step: int
  right: float


@dataclasses.dataclass(frozen=True)
class Dropped:
  """A prompt that left a stage.

  Attributes:
    prompt: its id.
    stage, epoch: after which it left.
    step: when it was last asked before.
    asked: in how many epochs of the stage it had been asked.
    right: share of its judged answers that were right in that epoch.
    later: when it was seen again, in order.
  """

  prompt: int
  stage: int
  epoch: int
  step: int
  asked: int
  right: float
  later: tuple[Seen, ...]

  @property
  def forgotten(self) -> bool:
    """True if a later answer was wrong."""
    return any(seen.right < 1 for seen in self.later)


@dataclasses.dataclass(frozen=True)
class Epoch:
  """The ledger of an epoch, by prompt.

  Attributes:
    stage, epoch: which.
    right: prompt -> share of its judged answers that were right.
    step: prompt -> when it was asked last.
    stays: prompts kept after it; None where the run did not write it.
    solved: prompts all of whose answers were judged and right.
    whole: True if every prompt that was kept was asked.
  """

  stage: int
  epoch: int
  right: dict[int, float]
  step: dict[int, int]
  stays: frozenset[int] | None
  solved: frozenset[int]
  whole: bool

  @property
  def name(self) -> str:
    """For the reader."""
    return f'stage {self.stage}, epoch {self.epoch}'


def dropped(run: read.Run, epochs: list[Epoch]) -> list[Dropped]:
  """Each prompt at the first time it left each stage, in order.

  Args:
    run: the run.
    epochs: its `read_epochs`.
  """
  again = _evaluated(run)
  found, gone = [], set()
  for i, epoch in enumerate(epochs):
    for prompt in sorted(_leaving(run, epochs, i)):
      if (epoch.stage, prompt) in gone:
        continue
      gone.add((epoch.stage, prompt))
      found.append(_dropped(prompt, epochs, i, again))
  return found


def read_epochs(run: read.Run) -> list[Epoch]:
  """The epochs whose ledger was written."""
  return [
    _epoch(run, stage, number, rows) for stage, number, rows in run.ledger
  ]


def solved_again(epochs: list[Epoch]) -> np.ndarray:
  """For each time a prompt was solved and later asked: was it wrong then?

  The next time it was asked, in any stage; 1.0 wrong, 0.0 right. Prompts that
  are dropped when solved are in it only if they came back.
  """
  found = []
  for i, epoch in enumerate(epochs):
    for prompt in epoch.solved:
      later = (x.right[prompt] for x in epochs[i + 1 :] if prompt in x.right)
      right = next(later, None)
      if right is not None:
        found.append(float(right < 1))
  return np.array(found)


def _epoch(run: read.Run, stage: int, number: int, rows: read.Columns) -> Epoch:
  """One epoch of the ledger as sets."""
  asked = asked_counts(rows)
  solved = (rows['correct'] == asked) & (asked > 0)
  ids = rows['prompt'].tolist()
  judged = rows['judged'] > 0
  share = rows['correct'] / np.maximum(rows['judged'], 1)
  unsolved = set(rows['prompt'][~solved].tolist())
  stays, kept = None, rows.get('kept')
  # Null in the rows that a run took over from another.
  if kept is not None and kept.dtype == bool:
    stays = frozenset(rows['prompt'][kept].tolist())
  right = {}
  for prompt, value, known in zip(ids, share.tolist(), judged, strict=True):
    if known:
      # Asked twice in an epoch, its worse answers count.
      right[prompt] = min(value, right.get(prompt, 1.0))
  return Epoch(
    stage,
    number,
    right,
    dict(zip(ids, rows['step'].tolist(), strict=True)),
    stays,
    frozenset(rows['prompt'][solved].tolist()) - unsolved,
    len(set(ids)) >= _kept(run, stage, number),
  )


def asked_counts(rows: read.Columns) -> np.ndarray:
  """Rollouts of each row, judged or not."""
  known = {
    text: sum(json.loads(text).values()) for text in set(rows['statuses'])
  }
  return np.array([known[text] for text in rows['statuses']], int)


def _kept(run: read.Run, stage: int, epoch: int) -> float:
  """Prompts that an epoch was built from; infinity if nothing tells."""
  names = ('stage', 'epoch', 'history/kept')
  if any(name not in run.metrics for name in names):
    return np.inf
  stages, epochs, kept = (run.metrics[name] for name in names)
  here = kept[(stages == stage) & (epochs == epoch)]
  here = here[~np.isnan(here)]
  return here[0] if len(here) else np.inf


def _leaving(run: read.Run, epochs: list[Epoch], i: int) -> frozenset[int]:
  """Prompts that epoch i took out of its stage.

  The ledger says so in its column `kept`. A run of an older version does not:
  then it is who was asked in this epoch and not in the next one, if that asked
  all it had; else, in a run that drops at all, who was solved (the paper's
  rule).
  """
  epoch = epochs[i]
  if epoch.stays is not None:
    return frozenset(epoch.step) - epoch.stays
  if not _drops(run):
    return frozenset()
  following = epochs[i + 1] if i + 1 < len(epochs) else None
  if following and following.stage == epoch.stage and following.whole:
    return frozenset(epoch.step) - frozenset(following.step)
  return epoch.solved


def _drops(run: read.Run) -> bool:
  """True if the run's history drops prompts at all."""
  gone = run.metrics.get('history/dropped', np.zeros(0))
  paper = run.macros.get('HISTORY') == '@keep_unsolved'
  return paper or bool(np.any(gone > 0))


def _dropped(
  prompt: int, epochs: list[Epoch], i: int, again: dict[int, list[Seen]]
) -> Dropped:
  """A prompt that left after epoch i."""
  epoch = epochs[i]
  before = [x for x in epochs[: i + 1] if x.stage == epoch.stage]
  step = epoch.step[prompt]
  later = [
    Seen(x.name, x.step[prompt], x.right[prompt])
    for x in epochs[i + 1 :]
    if prompt in x.right
  ]
  later += [seen for seen in again.get(prompt, ()) if seen.step > step]
  return Dropped(
    prompt=prompt,
    stage=epoch.stage,
    epoch=epoch.epoch,
    step=step,
    asked=sum(prompt in x.step for x in before),
    right=epoch.right.get(prompt, np.nan),
    later=tuple(sorted(later, key=lambda seen: seen.step)),
  )


def _evaluated(run: read.Run) -> dict[int, list[Seen]]:
  """Prompt -> its evaluations, of the sets that hold trained prompts."""
  trained = set()
  for _, _, rows in run.ledger:
    trained.update(rows['prompt'].tolist())
  found = {}
  for set_name, steps in read.eval_steps(run.path).items():
    for k, step in enumerate(steps):
      rows = read.read_evals(run.path, set_name, step, ('prompt', 'accuracy'))
      # A held-out set shares no prompt: its first file tells.
      if k == 0 and trained.isdisjoint(rows['prompt'].tolist()):
        break
      ids, right = evaluations.problem_scores(rows)
      for prompt, share in zip(ids.tolist(), right.tolist(), strict=True):
        found.setdefault(prompt, []).append(Seen(set_name, step, share))
  return found
