# SPDX-License-Identifier: Apache-2.0
"""What a benchmark is told; each field is bound to a macro in gin/bench.gin."""

import dataclasses
import inspect
from collections.abc import Callable

import gin

from srpo_jax.core import config
from srpo_jax.jobs.settings import (
  check_address,
  check_code,
  check_mesh,
  check_packing,
)


@gin.configurable
@dataclasses.dataclass(frozen=True, kw_only=True)
class Benchmark:
  """What a benchmark is told.

  Attributes:
    seed: of weights, prompts, lengths and tokens.
    shape: makes a decoder with random weights; None for the one of init_from.
    init_from: Hugging Face folder, workdir or checkpoint; None for the
      embedded policy.
    template: makes the template around a question.
    mixture: where the prompts are from, 'SET/SPLIT'; a shape gets random ones.
    lengths: how long the responses are (jobs/bench_lengths.py).
    steps: steps that are timed, after one that compiles.
    prompts_per_step: P.
    group_size: G, rollouts a prompt.
    max_prompt_tokens: longer prompts are left out; a shape's are all as long.
    max_new_tokens: of the longest response.
    sampler: makes the sampler of a policy.
    temperature, top_k, top_p: of the sampler.
    verdicts: have the responses judged by the reward service.
    reward_address, reward_deadline, reward_workers, reward_sandboxes,
      code_limits: of that service, as in training.
    loss: the objective.
    optimizer: makes the optimizer.
    row_tokens, micro_batch_tokens, remat: of the update, as in training.
    compute_dtype: 'float32' or 'bfloat16', of activations.
    matmul_precision: of products of float32 matrices on TPU and GPU.
    peak: operations a second that the device's maker states, for MFU; None
      where nobody does.
    mesh: devices over (data, fsdp, tensor[, sequence]); -1 for those that are
      left.
  """

  seed: int
  shape: Callable | None
  init_from: str | None
  template: Callable
  mixture: str
  lengths: Callable
  steps: int
  prompts_per_step: int
  group_size: int
  max_prompt_tokens: int
  max_new_tokens: int
  sampler: Callable
  temperature: float
  top_k: int
  top_p: float
  verdicts: bool
  reward_address: str | None
  reward_deadline: float
  reward_workers: int
  reward_sandboxes: int
  code_limits: dict
  loss: Callable
  optimizer: Callable
  row_tokens: int | None
  micro_batch_tokens: int | None
  remat: str | None
  compute_dtype: str
  matmul_precision: str
  peak: float | None
  mesh: tuple[int, ...]

  def __post_init__(self):
    config.integer('SEED', self.seed, 0, 2**32 - 1)
    for name in COUNTS:
      config.integer(name.upper(), getattr(self, name), 1)
    _check_functions(self)
    _check_sampling(self)
    _check_rest(self)
    check_mesh(self.mesh)
    check_address(self)
    check_code(self)


COUNTS = (
  *('steps', 'prompts_per_step', 'group_size', 'max_prompt_tokens'),
  *('max_new_tokens', 'reward_workers', 'reward_sandboxes'),
)


def _check_functions(s: Benchmark) -> None:
  named = {
    'SHAPE': (s.shape, '@shape_30m'),
    'LENGTHS': (s.lengths, '@equal_lengths'),
    'TEMPLATE': (s.template, '@r1_zero_template'),
    'SAMPLER': (s.sampler, '@slot_refill'),
    'LOSS': (s.loss, '@srpo_loss'),
  }
  for macro, (value, usual) in named.items():
    ok = callable(value) or (macro == 'SHAPE' and value is None)
    remedy = f'try a reference such as --gin.{macro}={usual}'
    config.check(ok, macro, value, 'be a function', remedy)
  config.check(
    _takes_lengths(s.lengths),
    'LENGTHS',
    s.lengths,
    'take (rng, prompts, group_size, max_new_tokens)',
    'try --gin.LENGTHS=@log_normal_lengths',
  )
  config.check(
    s.shape is None or s.init_from is None,
    'SHAPE',
    s.shape,
    'be None with INIT_FROM: a shape has weights of its own',
    'leave one of the two out',
  )


def _takes_lengths(function: Callable) -> bool:
  try:
    inspect.signature(function).bind(*range(4))
  except TypeError:
    return False
  return True


def _check_sampling(s: Benchmark) -> None:
  config.number('TEMPERATURE', s.temperature, 0)
  config.integer('TOP_K', s.top_k, 0)
  config.number('TOP_P', s.top_p, 0, 1)
  positive = {
    'TEMPERATURE': (s.temperature, 1.0),
    'TOP_P': (s.top_p, 1.0),
  }
  for macro, (value, usual) in positive.items():
    remedy = f'try --gin.{macro}={usual}'
    config.check(value > 0, macro, value, 'be above 0', remedy)


def _check_rest(s: Benchmark) -> None:
  check_packing(s)
  config.choice('VERDICTS', s.verdicts, (True, False))
  config.number('REWARD_DEADLINE', s.reward_deadline, 0)
  if s.peak is not None:
    config.number('PEAK', s.peak, 1.0)
  dtypes = ('float32', 'bfloat16')
  config.choice('COMPUTE_DTYPE', s.compute_dtype, dtypes)
  precisions = ('float32', 'tensorfloat32', 'bfloat16')
  config.choice('MATMUL_PRECISION', s.matmul_precision, precisions)
