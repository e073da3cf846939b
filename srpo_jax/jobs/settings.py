# SPDX-License-Identifier: Apache-2.0
"""What a training run is told: one frozen record, checked before it starts.

Each field is bound to a macro in gin/base.gin; a refusal names that macro.
"""

import dataclasses
from collections.abc import Callable

import gin
import numpy as np

from srpo_jax.core import config
from srpo_jax.policy.config import Lora
from srpo_jax.policy.remat import REMAT
from srpo_jax.reward import endpoints, items
from srpo_jax.srpo.advantages import RewardWeights
from srpo_jax.srpo.stages import Plateau, Stage
from srpo_jax.train.checkpoint import CheckpointConfig
from srpo_jax.train.verdicts import ASKING

EXPORT_DTYPES = (None, 'float32', 'bfloat16', 'float16')
FUNCTIONS = (
  *('template', 'sampler', 'length_penalty', 'advantage', 'loss', 'importance'),
  *('optimizer', 'history', 'select', 'refill', 'overlap'),
)


@gin.configurable
@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
  """What a run is told.

  Attributes:
    seed: of every random choice.
    stages: what is trained on, in order.
    init_from: Hugging Face folder, workdir or checkpoint to start from; None
      for the embedded policy.
    carry: from a workdir or checkpoint come its ledger, its dropped prompts
      and its optimizer's state too, not the weights alone.
    template: makes the template around a question, given the tokenizer.
    data_dir: folder with data that users bring; None to download.
    prompts_per_step: P.
    group_size: G, rollouts a prompt.
    max_prompt_tokens: L; longer prompts are dropped, counted and said.
    max_new_tokens: longest response, end token included.
    sampler: makes the sampler of a policy.
    temperature, top_k, top_p: of the sampler; 0 and 1 cut nothing.
    reward_weights: of accuracy, format and language mixing.
    reward_address: of a running reward service; None starts one.
    reward_hosts: which hosts ask it: 'each' about its share of the prompts, or
      the 'first' alone.
    reward_deadline: seconds that the service may stay silent.
    reward_workers: processes of a service that is started here.
    reward_sandboxes: programs that it may run at once.
    code_limits: what each program may use, as in docs/reward.md.
    length_penalty: added to the reward.
    advantage: from rewards to advantages.
    loss: the objective.
    importance: weights between sampler and trainer.
    optimizer: makes the optimizer.
    updates_per_rollout: updates on one batch of rollouts.
    row_tokens: of a row that sequences are packed into; None for the longest
      sequence.
    micro_batch_tokens: tokens, padding with them, that a device takes at a
      time in the update; None for what suits the device.
    remat: what a layer keeps for the backward pass; None for what suits the
      device.
    lora: adapters, which alone are trained; None to train everything.
    param_dtype: 'float32' or 'bfloat16', of the parameters.
    compute_dtype: the same, of activations.
    matmul_precision: of products of float32 matrices on TPU and GPU.
    history: which prompts come back after an epoch.
    select: which of the prompts in turn are asked.
    candidates: prompts in turn that it sees, in multiples of those it chooses.
    refill: which groups are asked anew, of further prompts.
    refill_rounds: how often in a step.
    eval_every: steps between evaluations.
    eval_samples: samples a problem of a held-out set.
    eval_limit: problems of each, the first by id; None for all.
    checkpoint: how often and how many.
    export: write a Hugging Face folder at the end.
    export_dtype: of its files; None for the one that the policy came in.
    profile: number of a step that is traced for Perfetto; None for none.
    mesh: devices over (data, fsdp, tensor) or (data, fsdp, tensor, sequence);
      -1 for those that are left.
    overlap: in which order rollouts and updates are made (jobs/overlap.py).
    rollout_mesh: devices that only draw rollouts; None for those of `mesh`.
  """

  seed: int
  stages: tuple[Stage, ...]
  init_from: str | None
  carry: bool
  template: Callable
  data_dir: str | None
  prompts_per_step: int
  group_size: int
  max_prompt_tokens: int
  max_new_tokens: int
  sampler: Callable
  temperature: float
  top_k: int
  top_p: float
  reward_weights: RewardWeights
  reward_address: str | None
  reward_hosts: str
  reward_deadline: float
  reward_workers: int
  reward_sandboxes: int
  code_limits: dict
  length_penalty: Callable
  advantage: Callable
  loss: Callable
  importance: Callable
  optimizer: Callable
  updates_per_rollout: int
  row_tokens: int | None
  micro_batch_tokens: int | None
  remat: str | None
  lora: Lora | None
  param_dtype: str
  compute_dtype: str
  matmul_precision: str
  history: Callable
  select: Callable
  candidates: int
  refill: Callable
  refill_rounds: int
  eval_every: int
  eval_samples: int
  eval_limit: int | None
  checkpoint: CheckpointConfig
  export: bool
  export_dtype: str | None
  profile: int | None
  mesh: tuple[int, ...]
  overlap: Callable
  rollout_mesh: tuple[int, ...] | None

  def __post_init__(self):
    _check_counts(self)
    check_packing(self)
    _check_sampling(self)
    _check_lora(self)
    _check_stages(self)
    check_mesh(self.mesh)
    check_address(self)
    check_code(self)
    for macro in FUNCTIONS:
      value = getattr(self, macro)
      remedy = f'try a reference such as --gin.{macro.upper()}=@name'
      config.check(
        callable(value), macro.upper(), value, 'be a function', remedy
      )
    # What it refuses of its settings it refuses now, not in the first step.
    self.length_penalty(np.zeros((1, 1)))
    self.overlap(self)


def _check_counts(s: Settings) -> None:
  # numpy's seeds are non-negative; JAX takes 32 bits.
  config.integer('SEED', s.seed, 0, 2**32 - 1)
  at_least_one = (
    'prompts_per_step',
    'max_prompt_tokens',
    'max_new_tokens',
    'updates_per_rollout',
    'eval_every',
    'eval_samples',
    'reward_workers',
    'reward_sandboxes',
    'candidates',
  )
  for name in at_least_one:
    config.integer(name.upper(), getattr(s, name), 1)
  config.integer('REFILL_ROUNDS', s.refill_rounds, 0)
  if s.eval_limit is not None:
    config.integer('EVAL_LIMIT', s.eval_limit, 1)
  if s.profile is not None:
    config.integer('PROFILE', s.profile, 1)
  config.integer('CHECKPOINT_EVERY', s.checkpoint.every, 1)
  # Two: the one before must outlive the writing of the newest.
  config.integer('CHECKPOINTS_KEPT', s.checkpoint.keep, 2)
  config.integer('GROUP_SIZE', s.group_size, 1)
  config.check(
    s.group_size >= 2,
    'GROUP_SIZE',
    s.group_size,
    'be at least 2: an advantage compares rollouts of one prompt',
    'try --gin.GROUP_SIZE=8',
  )


def check_packing(s) -> None:
  """Refuses rows and micro-batches that hold no sequence."""
  longest = s.max_prompt_tokens + s.max_new_tokens
  row = longest if s.row_tokens is None else s.row_tokens
  holds = {
    'ROW_TOKENS': ('MAX_PROMPT_TOKENS + MAX_NEW_TOKENS', longest),
    'MICRO_BATCH_TOKENS': ('a row, which is ROW_TOKENS', row),
  }
  for macro, (what, least) in holds.items():
    value = getattr(s, macro.lower())
    if value is None:
      continue
    config.integer(macro, value, 1)
    must, remedy = f'be at least {what} = {least}', f'try --gin.{macro}={least}'
    config.check(value >= least, macro, value, must, remedy)
  config.choice('REMAT', s.remat, (None, *REMAT))


def _check_sampling(s: Settings) -> None:
  config.number('TEMPERATURE', s.temperature, 0)
  config.check(
    s.temperature > 0,
    'TEMPERATURE',
    s.temperature,
    'be above 0: greedy rollouts of a prompt are all the same',
    'try --gin.TEMPERATURE=1.0',
  )
  config.integer('TOP_K', s.top_k, 0)
  config.number('TOP_P', s.top_p, 0, 1)
  config.number('REWARD_DEADLINE', s.reward_deadline, 0)
  positive = {
    'TOP_P': (s.top_p, 1.0),
    'REWARD_DEADLINE': (s.reward_deadline, 60),
  }
  for macro, (value, usual) in positive.items():
    remedy = f'try --gin.{macro}={usual}'
    config.check(value > 0, macro, value, 'be above 0', remedy)
  dtypes = ('float32', 'bfloat16')
  config.choice('COMPUTE_DTYPE', s.compute_dtype, dtypes)
  config.choice('PARAM_DTYPE', s.param_dtype, dtypes)
  precisions = ('float32', 'tensorfloat32', 'bfloat16')
  config.choice('MATMUL_PRECISION', s.matmul_precision, precisions)
  config.choice('REWARD_HOSTS', s.reward_hosts, ASKING)
  config.choice('EXPORT', s.export, (False, True))
  config.choice('EXPORT_DTYPE', s.export_dtype, EXPORT_DTYPES)


def _check_lora(s: Settings) -> None:
  remedy = 'try --gin_file=lora.gin'
  ok = s.lora is None or isinstance(s.lora, Lora)
  config.check(ok, 'LORA', s.lora, 'be a Lora or None', remedy)
  config.check(
    s.lora is not None or s.param_dtype == 'float32',
    'PARAM_DTYPE',
    s.param_dtype,
    'be float32 without adapters: an update of 1e-6 rounds to nothing',
    remedy,
  )
  if s.lora is None:
    return
  config.integer('LORA_RANK', s.lora.rank, 1)
  config.number('LORA_ALPHA', s.lora.alpha, 0)
  targets = s.lora.targets
  config.check(
    isinstance(targets, tuple | list) and len(targets) > 0,
    'Lora.targets',
    targets,
    'name the projections that get an adapter, at least one',
    """try --gin.Lora.targets="('q', 'v')" """,
  )
  for target in targets:
    config.choice('Lora.targets', target, Lora.PROJECTIONS)
  config.check(
    not s.carry or s.stages[0].fresh_optimizer,
    'FRESH_OPTIMIZER',
    False,
    'be True with adapters: those of the run before are merged, new ones begin',
    'try --gin.FRESH_OPTIMIZER=True',
  )


def check_address(s) -> None:
  """Refuses a `reward_address` that is none."""
  if s.reward_address is None:
    return
  try:
    endpoints.split_addresses(s.reward_address)
  except (ValueError, TypeError, AttributeError) as error:
    raise config.ConfigError(
      f'REWARD_ADDRESS = {s.reward_address!r}, but it must be the address that '
      'a reward service prints at its start, or several with commas between; '
      'try --gin.REWARD_ADDRESS=http://127.0.0.1:8700'
    ) from error


def check_code(s) -> None:
  """Refuses `code_limits` that the service would refuse."""
  try:
    items.check_limits(s.code_limits, 'CODE_LIMITS')
  except (ValueError, AttributeError) as error:
    config.check(
      False,
      'CODE_LIMITS',
      s.code_limits,
      f'be limits of a program ({error})',
      """try --gin.CODE_LIMITS="{'cpu_s': 2.0}" """,
    )


def _check_stages(s: Settings) -> None:
  if not s.stages:
    raise config.ConfigError('Settings.stages is empty; name a stage')
  for i, stage in enumerate(s.stages, start=1):
    steps, epochs = stage.until.steps, stage.until.epochs
    # The macros are those of the job with one stage, and of srpo.gin.
    one = len(s.stages) == 1
    if steps is not None:
      config.integer('STEPS' if one else f'STAGE{i}_STEPS', steps, 1)
    if epochs is not None:
      config.integer('EPOCHS', epochs, 1)
    plateau = stage.until.plateau
    macro = 'PLATEAU' if i == 1 else f'STAGE{i}_PLATEAU'
    config.check(
      plateau is None or isinstance(plateau, Plateau),
      macro,
      plateau,
      'be a Plateau or None',
      f'try --gin.{macro}=@Plateau()',
    )
    if plateau is not None:
      config.integer('Plateau.window', plateau.window, 1)
      config.integer('Plateau.patience', plateau.patience, 1)
      config.number('Plateau.least', plateau.least, 0)
    config.check(
      steps is not None or epochs is not None,
      'STEPS',
      steps,
      f'be set if EPOCHS is not: stage {stage.name!r} would never end',
      'try --gin.STEPS=100',
    )


def check_mesh(mesh: object) -> None:
  """Refuses what is not three or four counts."""
  ok = isinstance(mesh, tuple | list) and len(mesh) in (3, 4)
  ok = ok and all(isinstance(n, int) and (n > 0 or n == -1) for n in mesh)
  config.check(
    ok and list(mesh).count(-1) <= 1,
    'MESH',
    mesh,
    'be three counts (data, fsdp, tensor) or four with sequence last, at most '
    'one of them -1',
    "try --gin.MESH='(-1, 1, 1)'",
  )
