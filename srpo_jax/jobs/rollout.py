# SPDX-License-Identifier: Apache-2.0
"""One round of rollouts and verdicts, for training and for evaluation."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import jax
import numpy as np

from srpo_jax.core import hosts
from srpo_jax.core.records import Prompt, Rollouts, Verdict
from srpo_jax.data.template import Template
from srpo_jax.jobs.prompt_data import Data
from srpo_jax.sampler.sampler import Sampler
from srpo_jax.train.verdicts import Scorer


class Parts(Protocol):
  """What a round needs of the parts of a run or of an evaluation."""

  @property
  def data(self) -> Data: ...

  @property
  def template(self) -> Template: ...

  @property
  def scorer(self) -> Scorer: ...


class Round(NamedTuple):
  """Rollouts and verdicts of P prompts, on the host, in prompt order.

  Attributes:
    tokens_PL, mask_PL: the prompts as they were fed.
    rollouts: row b = p * G + g.
    verdict: [P, G].
    texts: a response for each row.
    rollout_s, reward_s: seconds spent sampling, then waiting for verdicts.
  """

  tokens_PL: np.ndarray
  mask_PL: np.ndarray
  rollouts: Rollouts
  verdict: Verdict
  texts: list[str]
  rollout_s: float
  reward_s: float

  @property
  def length_PG(self) -> np.ndarray:
    """Tokens of each response, its end token included."""
    P = len(self.tokens_PL)
    return self.rollouts.mask_BT.sum(axis=1).reshape(P, -1)

  @property
  def ended_PG(self) -> np.ndarray:
    """False where the response was cut at the limit."""
    return self.rollouts.ended_B.reshape(len(self.tokens_PL), -1)


def play(
  parts: Parts,
  sampler: Sampler,
  params,
  prompts: Sequence[Prompt],
  real_P: np.ndarray,
  key: jax.Array,
  give_up: Callable[[], None],
) -> Round:
  """Samples the prompts and has the responses judged.

  Args:
    prompts, real_P: the prompts; False for those that pad the step.
    key: of the purpose, stage and epoch; prompts and samples fold into it.
    give_up: called while waiting for verdicts; raises to stop waiting.
  """
  tokens_PL, mask_PL = encode(parts.data.encode, prompts)
  ids_P = np.array([prompt.id for prompt in prompts], np.uint64)
  visit_P = np.zeros(len(prompts), np.int32)
  start = time.monotonic()
  groups = sampler.stream(params, tokens_PL, mask_PL, ids_P, visit_P, key)
  for index_p, rollouts in groups:
    parts.scorer.submit(prompts, real_P, index_p, rollouts)
  sampled = time.monotonic()
  rollouts, verdict, texts = parts.scorer.gather(give_up)
  return Round(
    tokens_PL=tokens_PL,
    mask_PL=mask_PL,
    rollouts=rollouts,
    verdict=verdict,
    texts=texts,
    rollout_s=sampled - start,
    reward_s=time.monotonic() - sampled,
  )


def encode(
  of_share: Callable, prompts: Sequence[Prompt]
) -> tuple[np.ndarray, np.ndarray]:
  """Tokens and mask [P, L]; each host encodes its share of the prompts."""
  n = hosts.count()
  shares = hosts.gather(of_share(prompts[hosts.index() :: n]))
  tokens_PL, mask_PL = (
    np.zeros((len(prompts), x.shape[1]), x.dtype) for x in shares[0]
  )
  for host, (tokens, mask) in enumerate(shares):
    tokens_PL[host::n], mask_PL[host::n] = tokens, mask
  return tokens_PL, mask_PL


def merge(old: Round, new: Round, place_P: np.ndarray) -> Round:
  """The old round with the new one's groups where `place_P` is True."""
  place_B = np.repeat(place_P, len(old.texts) // len(place_P))

  def pick(ours, theirs):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    is_new = place_P if len(ours) == len(place_P) else place_B
    return np.where(is_new.reshape(-1, *[1] * (ours.ndim - 1)), theirs, ours)

  texts = zip(old.texts, new.texts, place_B, strict=True)
  return Round(
    tokens_PL=pick(old.tokens_PL, new.tokens_PL),
    mask_PL=pick(old.mask_PL, new.mask_PL),
    rollouts=jax.tree.map(pick, old.rollouts, new.rollouts),
    verdict=Verdict(
      **{
        field.name: pick(
          getattr(old.verdict, field.name), getattr(new.verdict, field.name)
        )
        for field in dataclasses.fields(Verdict)
      }
    ),
    texts=[theirs if is_new else ours for ours, theirs, is_new in texts],
    rollout_s=old.rollout_s + new.rollout_s,
    reward_s=old.reward_s + new.reward_s,
  )


def columns(
  parts: Parts, prompts: Sequence[Prompt], played: Round, keep_B: np.ndarray
) -> dict[str, list | np.ndarray]:
  """One row a rollout, for parquet; `keep_B` leaves out those that pad."""
  G = len(played.texts) // len(prompts)
  row_prompts = [prompt for prompt in prompts for _ in range(G)]
  render = parts.template.render
  flat = lambda x_PG: np.asarray(x_PG).reshape(-1)
  table = {
    'prompt': np.array([p.id for p in row_prompts], np.uint64),
    'domain': np.array([p.domain for p in row_prompts], object),
    'level': np.array([p.level for p in row_prompts], object),
    'sample': np.asarray(played.rollouts.sample_B),
    'prompt_text': np.array([render(p.question) for p in row_prompts], object),
    'response_text': np.array(played.texts, object),
    'tokens': flat(played.length_PG),
    'ended': flat(played.ended_PG),
    'status': flat(played.verdict.status_PG).astype(object),
    'accuracy': flat(played.verdict.accuracy_PG),
    'format': flat(played.verdict.format_PG),
    'language_mixing': flat(played.verdict.language_mixing_PG),
  }
  return {name: column[keep_B] for name, column in table.items()}
