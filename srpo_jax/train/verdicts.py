# SPDX-License-Identifier: Apache-2.0
"""From rollouts to verdicts: decode, ask the reward service, build Verdict.

After the sampler, before history and advantages. Groups are submitted as they
leave the sampler, so scoring overlaps with decoding. Every host has all the
rollouts; each prompt is asked about by one host, and all get the verdict.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from typing import NamedTuple

import jax
import numpy as np

from srpo_jax.core import hosts
from srpo_jax.core.records import (
  NOT_JUDGED,
  STATUSES,
  Prompt,
  Rollouts,
  Verdict,
)
from srpo_jax.data.template import AnyTemplate
from srpo_jax.data.tokenizer import Tokenizer
from srpo_jax.reward.client import RewardClient, RewardUnavailable

# Between two looks at whether to give up waiting, in seconds.
POLL_S = 0.25


# Which hosts ask: each about its share of the prompts, or the first alone.
ASKING = ('each', 'first')

# What of a result becomes a verdict.
FIELDS = ('status', 'accuracy', 'format', 'language_mixing', 'passed_share')

# What stands for the verdict of a response that nobody asked about.
NOT_ASKED = {
  'status': 'unavailable',
  'accuracy': None,
  'format': None,
  'language_mixing': None,
  'passed_share': None,
}


def response_texts(tokenizer: Tokenizer, rollouts: Rollouts) -> list[str]:
  """The response of each row, its end token left out."""
  ends, texts = set(tokenizer.end_ids), []
  lengths = rollouts.mask_BT.sum(axis=1)
  for tokens, n in zip(rollouts.tokens_BT, lengths, strict=True):
    ids = tokens[:n].tolist()
    texts.append(tokenizer.decode(ids[:-1] if ids[-1] in ends else ids))
  return texts


def reward_item(
  prompt: Prompt,
  response: str,
  template: AnyTemplate,
  name: str,
  code_limits: dict | None = None,
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
  if template.tags is not None:
    item['tags'] = dict(template.tags)
  if prompt.domain == 'code' and code_limits:
    item['limits'] = code_limits
  return item if prompt.tests is None else {**item, 'tests': prompt.tests}


class _Sent(NamedTuple):
  """Groups whose verdicts are under way.

  Attributes:
    index_p: places of the groups among the prompts.
    rollouts: all of their rows.
    host_B: which host asks about a row.
    texts, asked: of this host's rows; whether the service is asked.
    future: an answer for each that is.
  """

  index_p: np.ndarray
  rollouts: Rollouts
  host_B: np.ndarray
  texts: list[str]
  asked: list[bool]
  future: Future[list[dict]]

  def results(self) -> list[dict]:
    """One for each row of this host's."""
    answered = iter(self.future.result())
    answers = [next(answered) if asked else NOT_ASKED for asked in self.asked]
    return [{name: answer[name] for name in FIELDS} for answer in answers]


class Scorer:
  """Collects a step's groups and their verdicts.

  Args:
    client: asks the reward service; None on a host that does not ask.
    tokenizer, template: of the responses.
    code_limits: what each program may use; None leaves it to the service.
    asking: one of ASKING; every host must be given the same.
  """

  def __init__(
    self,
    client: RewardClient | None,
    tokenizer: Tokenizer,
    template: AnyTemplate,
    code_limits: dict | None = None,
    asking: str = 'each',
  ):
    self._client = client
    self._tokenizer = tokenizer
    self._template = template
    self._code_limits = code_limits
    self._asking = asking
    self._pending: list[_Sent] = []

  def sibling(self) -> 'Scorer':
    """Another one of the same service, for rounds that run beside these."""
    return Scorer(
      self._client,
      self._tokenizer,
      self._template,
      self._code_limits,
      self._asking,
    )

  def submit(
    self,
    prompts: Sequence[Prompt],
    real_P: np.ndarray,
    index_p: np.ndarray,
    rollouts: Rollouts,
  ) -> None:
    """Sends finished groups.

    Args:
      prompts: all of the step.
      real_P: False for prompts that pad the step; nobody is asked about them.
      index_p: places of these groups among the prompts.
      rollouts: of these groups.
    """
    place_B = index_p[rollouts.prompt_B]
    host_B = self._hosts(place_B)
    own = jax.tree.map(lambda x: x[host_B == hosts.index()], rollouts)
    texts = response_texts(self._tokenizer, own)
    own_places = index_p[own.prompt_B]
    asked = real_P[own_places].tolist()
    rows = zip(own_places.tolist(), own.sample_B.tolist(), texts, strict=True)
    items = [
      reward_item(
        prompts[p], text, self._template, f'{p}/{g}', self._code_limits
      )
      for (p, g, text), is_asked in zip(rows, asked, strict=True)
      if is_asked
    ]
    future = self._client.submit(items) if items else _nothing()
    sent = _Sent(index_p, rollouts, host_B, texts, asked, future)
    self._pending.append(sent)

  def gather(
    self, give_up: Callable[[], None]
  ) -> tuple[Rollouts, Verdict, list[str]]:
    """Everything submitted since the last call, in prompt order.

    Args:
      give_up: called a few times a second while waiting; may raise.

    Raises:
      RewardUnavailable: the service did not answer by its deadline, here or
        on another host.
    """
    pending, self._pending = self._pending, []
    own = hosts.together(
      _answers, pending, give_up, passed=(RewardUnavailable,)
    )
    # Each host's answers, in the order in which all of them have the rows.
    answers = [iter(each) for each in hosts.gather(own)]
    owners = [int(host) for sent in pending for host in sent.host_B]
    texts, results = zip(*(next(answers[h]) for h in owners), strict=True)
    places = np.concatenate([s.index_p[s.rollouts.prompt_B] for s in pending])
    samples = np.concatenate([s.rollouts.sample_B for s in pending])
    order = np.lexsort((samples, places))
    columns = zip(*(_fields(sent.rollouts) for sent in pending), strict=True)
    joined = [np.concatenate(column)[order] for column in columns]
    rollouts = Rollouts(*joined).replace(prompt_B=places[order])
    n_prompts = len(np.unique(places))
    verdict = make_verdict([results[i] for i in order], n_prompts)
    return rollouts, verdict, [texts[i] for i in order]

  def _hosts(self, place_B: np.ndarray) -> np.ndarray:
    """Which host asks about the prompts in these places."""
    count = hosts.count() if self._asking == 'each' else 1
    return place_B % count


def _answers(
  pending: Sequence[_Sent], give_up: Callable[[], None]
) -> list[tuple[str, dict]]:
  """Text and result of this host's rows, once all are there."""
  waiting = {sent.future for sent in pending}
  while waiting:
    give_up()
    _, waiting = wait(waiting, timeout=POLL_S)
  return [
    pair
    for sent in pending
    for pair in zip(sent.texts, sent.results(), strict=True)
  ]


def _nothing() -> Future[list[dict]]:
  """What nobody was asked is answered."""
  future: Future[list[dict]] = Future()
  future.set_result([])
  return future


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


def status_shares(status: np.ndarray) -> dict[str, float]:
  """'verdict/<status>' -> share of the rollouts that have it."""
  return {
    f'verdict/{name}': float((status == name).sum() / max(status.size, 1))
    for name in STATUSES
  }
