# SPDX-License-Identifier: Apache-2.0
"""From rollouts to verdicts: decode, ask the reward service, build Verdict.

After the sampler, before history and advantages. Groups are submitted as they
leave the sampler, so scoring overlaps with decoding.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait

import numpy as np

from srpo_jax.core.records import (
  NOT_JUDGED,
  STATUSES,
  Prompt,
  Rollouts,
  Verdict,
)
from srpo_jax.data.template import Template
from srpo_jax.data.tokenizer import Tokenizer
from srpo_jax.reward.client import RewardClient

# Between two looks at whether to give up waiting, in seconds.
POLL_S = 0.25


def response_texts(tokenizer: Tokenizer, rollouts: Rollouts) -> list[str]:
  """The response of each row, its end token left out."""
  ends = set(tokenizer.end_ids)
  rows = zip(rollouts.tokens_BT, rollouts.mask_BT, strict=True)
  return [
    tokenizer.decode([int(t) for t in tokens[mask] if int(t) not in ends])
    for tokens, mask in rows
  ]


def reward_item(
  prompt: Prompt, response: str, template: Template, name: str
) -> dict:
  """One item of POST /v1/score (DESIGN.md section 6)."""
  item = {
    'id': name,
    'domain': prompt.domain,
    'response': response,
    'answer': list(prompt.answer),
    'match': prompt.match,
    'opened_think': template.opened_think,
  }
  return item if prompt.tests is None else {**item, 'tests': prompt.tests}


class Scorer:
  """Collects a step's groups and their verdicts."""

  def __init__(
    self, client: RewardClient, tokenizer: Tokenizer, template: Template
  ):
    self._client = client
    self._tokenizer = tokenizer
    self._template = template
    self._pending: list[
      tuple[np.ndarray, Rollouts, list[str], Future[list[dict]]]
    ] = []

  def submit(
    self, prompts: Sequence[Prompt], index_p: np.ndarray, rollouts: Rollouts
  ) -> None:
    """Sends finished groups; `index_p` are their places in the step."""
    texts = response_texts(self._tokenizer, rollouts)
    items = []
    for row, text in enumerate(texts):
      place = int(index_p[rollouts.prompt_B[row]])
      name = f'{place}/{int(rollouts.sample_B[row])}'
      items.append(reward_item(prompts[place], text, self._template, name))
    future = self._client.submit(items)
    self._pending.append((index_p, rollouts, texts, future))

  def gather(
    self, give_up: Callable[[], None]
  ) -> tuple[Rollouts, Verdict, list[str]]:
    """Everything submitted since the last call, in prompt order.

    Args:
      give_up: called a few times a second while waiting; may raise.

    Raises:
      RewardUnavailable: the service did not answer by its deadline.
    """
    pending, self._pending = self._pending, []
    waiting = {future for *_, future in pending}
    while waiting:
      give_up()
      _, waiting = wait(waiting, timeout=POLL_S)
    results = [r for *_, future in pending for r in future.result()]
    places = np.concatenate([p[0][p[1].prompt_B] for p in pending])
    samples = np.concatenate([p[1].sample_B for p in pending])
    order = np.lexsort((samples, places))
    columns = zip(*(_fields(p[1]) for p in pending), strict=True)
    joined = [np.concatenate(column)[order] for column in columns]
    rollouts = Rollouts(*joined).replace(prompt_B=places[order])
    texts = [t for p in pending for t in p[2]]
    n_prompts = len(np.unique(places))
    verdict = make_verdict([results[i] for i in order], n_prompts)
    return rollouts, verdict, [texts[i] for i in order]


def _fields(rollouts: Rollouts) -> list[np.ndarray]:
  return [
    np.asarray(getattr(rollouts, name))
    for name in Rollouts.__dataclass_fields__
  ]


def make_verdict(results: Sequence[dict], n_prompts: int) -> Verdict:
  """Results in row order as [P, G] arrays; NaN where not judged."""

  def column(name):
    values = [
      np.nan if r['status'] in NOT_JUDGED or r[name] is None else r[name]
      for r in results
    ]
    return np.array(values, np.float32).reshape(n_prompts, -1)

  status = np.array([r['status'] for r in results]).reshape(n_prompts, -1)
  return Verdict(
    status_PG=status,
    accuracy_PG=column('accuracy'),
    format_PG=column('format'),
    language_mixing_PG=column('language_mixing'),
    passed_share_PG=column('passed_share'),
  )


def status_shares(verdict: Verdict, real_P: np.ndarray) -> dict[str, float]:
  """'verdict/<status>' -> share of the rollouts of real prompts."""
  status = verdict.status_PG[real_P]
  return {
    f'verdict/{name}': float((status == name).sum() / max(status.size, 1))
    for name in STATUSES
  }
