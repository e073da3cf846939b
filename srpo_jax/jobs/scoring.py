# SPDX-License-Identifier: Apache-2.0
"""The run's way to its verdicts: a reward service, its client, a scorer."""

import contextlib
from pathlib import Path
from typing import Protocol

from srpo_jax.core import config, hosts
from srpo_jax.data.template import AnyTemplate
from srpo_jax.data.tokenizer import Tokenizer
from srpo_jax.jobs.eval_settings import Evaluation
from srpo_jax.jobs.settings import Settings
from srpo_jax.reward.client import RewardClient, RewardUnavailable
from srpo_jax.reward.launch import launch_service
from srpo_jax.train.verdicts import Scorer

# A program that any service with a sandbox judges to be correct.
PROBE = {
  'id': 'probe',
  'domain': 'code',
  'response': '<think></think><answer>```python\ndef f(x):\n  return x\n```'
  '</answer>',
  'tests': {
    'type': 'call',
    'entry_point': 'f',
    'cases': [{'args': [1], 'expected': 1}],
  },
}


class RewardSettings(Protocol):
  """What a job says of its reward service."""

  @property
  def reward_address(self) -> str | None: ...

  @property
  def reward_deadline(self) -> float: ...

  @property
  def reward_workers(self) -> int: ...

  @property
  def reward_sandboxes(self) -> int: ...


def make_scorer(
  settings: Settings | Evaluation,
  has_code: bool,
  tokenizer: Tokenizer,
  template: AnyTemplate,
  workdir: Path,
  stack: contextlib.ExitStack,
  batch_size: int = 64,
  asking: str = 'each',
) -> Scorer:
  """A scorer at the address given, or at a service of its own.

  Args:
    settings: of a training run or of an evaluation.
    has_code: programs will be judged, so the service must be able to.
    batch_size: items a request; fewer where their tests are large.
    asking: which hosts ask, one of verdicts.ASKING; the others need nothing.
  """
  limits = settings.code_limits
  if asking == 'first' and not hosts.is_first():
    return Scorer(None, tokenizer, template, limits, asking)
  client = make_client(settings, workdir, stack, batch_size)
  if has_code:
    check_sandbox(client, limits, workdir)
  return Scorer(client, tokenizer, template, limits, asking)


def make_client(
  settings: RewardSettings,
  workdir: Path,
  stack: contextlib.ExitStack,
  batch_size: int = 64,
) -> RewardClient:
  """A client of the address given, or of a service of its own."""
  address, restart = settings.reward_address, None
  if address is None:
    service = stack.enter_context(
      launch_service(
        workers=settings.reward_workers,
        sandboxes=settings.reward_sandboxes,
        log_path=workdir / log_name(),
      )
    )
    address, restart = service.address, service.restart
  return stack.enter_context(
    RewardClient(
      address,
      deadline_s=settings.reward_deadline,
      batch_size=batch_size,
      restart=restart,
    )
  )


def log_name() -> str:
  """The log of a service of its own; each host's has one."""
  return 'reward.log' if hosts.is_first() else f'reward.{hosts.index()}.log'


def check_sandbox(client: RewardClient, limits: dict, workdir: Path) -> None:
  """Has a program judged, before a run depends on it.

  Raises:
    ConfigError: programs are not run there.
    Interrupted: the service did not answer.
  """
  try:
    (result,) = client.submit([{**PROBE, 'limits': limits}]).result()
  except RewardUnavailable as error:
    raise config.Interrupted(
      f'nothing was done yet ({error}); run the same command to try again'
    ) from error
  if result['status'] != 'correct':
    # Nothing was done in the workdir: another config may have it.
    (workdir / log_name()).unlink(missing_ok=True)
    raise config.ConfigError(
      'there are code prompts, but the reward service cannot run programs: '
      f'{result["status"]} ({result["detail"]}); mend that, or name a service '
      'that can with --gin.REWARD_ADDRESS=...'
    )
