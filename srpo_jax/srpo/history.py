# SPDX-License-Identifier: Apache-2.0
"""History: the ledger of every judged group, and what it decides.

Three seams, each a pure function that gin binds; a function of your own too
(docs/options.md):

- per epoch, `keep(kept, pool, ledger, rng) -> kept`: which prompts come back
  next epoch. The paper's rule is `keep_unsolved`; more in history_keep.py.
- per step, `select(ledger, candidates, count, rng) -> ids`: which prompts in
  turn are asked now. The paper asks them `as_they_come`; more in
  history_select.py.
- inside a step, `refill(verdict, real_P) -> again_P`: which places are asked
  anew with further prompts (history_refill.py). The paper does not refill.
"""

import dataclasses

import numpy as np

from srpo_jax.core.records import STATUSES, Verdict


@dataclasses.dataclass(frozen=True)
class Ledger:
  """What is known of every prompt that was asked; one row a group.

  Attributes (all of length n):
    prompt: 64-bit id.
    stage, epoch, step: when it was asked.
    judged: rollouts that were judged.
    correct: rollouts that were right.
    length_mean: mean response length in tokens.
    truncated: rollouts cut at the length limit.
    statuses: [n, len(STATUSES)] how many rollouts got each status.
  """

  prompt: np.ndarray
  stage: np.ndarray
  epoch: np.ndarray
  step: np.ndarray
  judged: np.ndarray
  correct: np.ndarray
  length_mean: np.ndarray
  truncated: np.ndarray
  statuses: np.ndarray

  def __len__(self) -> int:
    return len(self.prompt)

  def where(self, row_n: np.ndarray) -> 'Ledger':
    """The rows where `row_n` is True."""
    return Ledger(**{k: v[row_n] for k, v in self.columns().items()})

  def of(self, stage: int, epoch: int) -> 'Ledger':
    """The rows of one epoch of one stage."""
    return self.where((self.stage == stage) & (self.epoch == epoch))

  def newest(self) -> 'Ledger':
    """The rows of the newest epoch; of a ledger of one stage."""
    return self.where(self.epoch == self.epoch.max(initial=0))

  def columns(self) -> dict[str, np.ndarray]:
    """Name -> column, in the order above."""
    fields = dataclasses.fields(self)
    return {field.name: getattr(self, field.name) for field in fields}


def empty() -> Ledger:
  """A ledger without rows."""
  ints = {k: np.zeros(0, np.int32) for k in ('stage', 'epoch', 'step')}
  counts = {k: np.zeros(0, np.int32) for k in ('judged', 'correct')}
  return Ledger(
    prompt=np.zeros(0, np.uint64),
    **ints,
    **counts,
    length_mean=np.zeros(0, np.float32),
    truncated=np.zeros(0, np.int32),
    statuses=np.zeros((0, len(STATUSES)), np.int32),
  )


def append(
  ledger: Ledger,
  ids_P: np.ndarray,
  real_P: np.ndarray,
  verdict: Verdict,
  length_PG: np.ndarray,
  ended_PG: np.ndarray,
  *,
  stage: int,
  epoch: int,
  step: int,
) -> Ledger:
  """The ledger with one row more for each real prompt of a step.

  Args:
    ids_P, real_P: the prompts asked; False for those that pad the step.
    verdict, length_PG, ended_PG: of their rollouts.
    stage, epoch, step: when, counted from 1.
  """
  when = {'stage': stage, 'epoch': epoch, 'step': step}
  P = len(ids_P)
  count = lambda x_PG: x_PG.sum(axis=1).astype(np.int32)
  status_PGn = verdict.status_PG[..., None] == np.array(STATUSES)
  new = Ledger(
    prompt=np.asarray(ids_P, np.uint64),
    **{k: np.full(P, v, np.int32) for k, v in when.items()},
    judged=count(verdict.judged_PG),
    correct=count(np.nan_to_num(verdict.accuracy_PG) == 1),
    length_mean=length_PG.mean(axis=1).astype(np.float32),
    truncated=count(~ended_PG),
    statuses=count(status_PGn),
  )
  old, new = ledger.columns(), new.where(real_P).columns()
  return Ledger(**{k: np.concatenate([old[k], new[k]]) for k in old})


def keep_unsolved(
  kept: np.ndarray,
  pool: np.ndarray,
  ledger: Ledger,
  rng: np.random.Generator,
) -> np.ndarray:
  """The paper's rule: a prompt leaves iff all its rollouts were correct.

  D' = { x ∈ D : not every rollout of x in this epoch was judged and correct }
  (history resampling, SRPO; METHOD.md section 5). Mixed and all-wrong prompts
  stay, so do those unseen; what was dropped stays dropped, because D' ⊆ D.
  One rollout that could not be judged keeps the prompt.

  Args:
    kept: ids this epoch was built from.
    pool: all ids of the stage, of which `kept` are some; a filter may bring
      back what was dropped, this one does not.
    ledger: rows of this stage; those of the newest epoch count here.
    rng: unused here; a filter may draw from it.
  """
  del pool, rng
  epoch = ledger.newest()
  solved_n = is_solved(epoch)
  # Asked twice in an epoch, it leaves only if it was solved both times.
  unsolved = epoch.prompt[~solved_n]
  solved = np.setdiff1d(epoch.prompt[solved_n], unsolved)
  return kept[~np.isin(kept, solved)]


def is_solved(ledger: Ledger) -> np.ndarray:
  """True for the rows whose every rollout was judged and correct, [n]."""
  asked_n = ledger.statuses.sum(axis=1)
  return (ledger.correct == asked_n) & (asked_n > 0)


def keep_all(
  kept: np.ndarray,
  pool: np.ndarray,
  ledger: Ledger,
  rng: np.random.Generator,
) -> np.ndarray:
  """No history: every prompt comes back every epoch (GRPO)."""
  del pool, ledger, rng
  return kept


def as_they_come(
  ledger: Ledger,
  candidates: np.ndarray,
  count: int,
  rng: np.random.Generator,
) -> np.ndarray:
  """The next `count` prompts in turn: SRPO does not choose inside an epoch.

  Args:
    ledger: rows of the whole run so far.
    candidates: ids in turn, each once.
    count: at most so many are asked; what is not asked is passed over in this
      epoch.
    rng: unused here; a rule may draw from it.
  """
  del ledger, rng
  return candidates[:count]
