# SPDX-License-Identifier: Apache-2.0
"""What an evaluation is told: its sets, and how each is asked.

Each field is bound in gin/evaluate.gin, those of a set once for all sets;
`SET/EvalSet.FIELD` says it for one. A refusal names the one that counted.
"""

import dataclasses
from collections.abc import Callable

import gin

from srpo_jax.core import config
from srpo_jax.jobs.settings import check_address, check_code, check_mesh

# The macro behind each field of a set, where gin binds none for the set alone.
MACROS = {
  'samples': 'EVAL_SAMPLES',
  'limit': 'EVAL_LIMIT',
  'temperature': 'TEMPERATURE',
  'top_k': 'TOP_K',
  'top_p': 'TOP_P',
  'max_prompt_tokens': 'MAX_PROMPT_TOKENS',
  'max_new_tokens': 'MAX_NEW_TOKENS',
}


@gin.configurable
@dataclasses.dataclass(frozen=True, kw_only=True)
class EvalSet:
  """A set, and how it is asked.

  Attributes:
    name: 'SET/SPLIT'; the set may be the folder of a built one.
    samples: n, responses to each problem.
    limit: only the first so many problems, in ascending order of their ids;
      None for all. Ids are hashes, so this is the same random part each time.
    temperature, top_k, top_p: of the sampler; temperature 0 takes the most
      likely token, top_k 0 and top_p 1 cut nothing.
    max_prompt_tokens: longer prompts are left out, counted and said.
    max_new_tokens: longest response, end token included.
    window: first and last day of a set whose problems have dates; None for
      the set's own.
  """

  name: str | None = None
  samples: int
  limit: int | None
  temperature: float
  top_k: int
  top_p: float
  max_prompt_tokens: int
  max_new_tokens: int
  window: tuple[str, str] | None = None

  def __post_init__(self):
    ok = isinstance(self.name, str) and '/' in self.name
    key = _key('name')
    config.check(
      ok, key, self.name, 'be a SET/SPLIT', f'try --gin.{key}=gsm8k/test'
    )
    for field in ('samples', 'max_prompt_tokens', 'max_new_tokens'):
      config.integer(_key(field), getattr(self, field), 1)
    if self.limit is not None:
      config.integer(_key('limit'), self.limit, 1)
    _check_sampler(self)


def _check_sampler(s: EvalSet) -> None:
  config.number(_key('temperature'), s.temperature, 0)
  config.integer(_key('top_k'), s.top_k, 0)
  config.number(_key('top_p'), s.top_p, 0, 1)
  key = _key('top_p')
  config.check(s.top_p > 0, key, s.top_p, 'be above 0', f'try --gin.{key}=1.0')
  key = _key('samples')
  config.check(
    s.temperature > 0 or s.samples == 1,
    key,
    s.samples,
    'be 1 at temperature 0: greedy responses to a problem are all the same',
    f'try --gin.{key}=1',
  )


def _key(field: str) -> str:
  """What sets a field of the set that is being made, as one would write it."""
  key = '/'.join([*gin.current_scope(), f'EvalSet.{field}'])
  if field not in MACROS or not gin.current_scope():
    return MACROS.get(field, key)
  try:
    gin.query_parameter(key)
  except ValueError:  # nothing is bound for this set alone
    return MACROS[field]
  return key


@gin.configurable
@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
  """What an evaluation is told.

  Attributes:
    seed: of every random choice.
    sets: what is asked, in order.
    init_from: Hugging Face folder, workdir or checkpoint; None for the
      embedded policy.
    template: makes the template around a question.
    sampler: makes the sampler of a policy.
    data_dir: folder with data that users bring; None to download.
    rows: responses that are drawn at once, in all.
    pass_at: the k of pass@k, beside 1.
    confidence: of the intervals.
    reward_address: of a running reward service; None starts one.
    reward_deadline: seconds that the service may stay silent.
    reward_workers: processes of a service that is started here.
    reward_sandboxes: programs that it may run at once.
    code_limits: what each program may use, as in docs/reward.md.
    compute_dtype: 'float32' or 'bfloat16', of activations.
    matmul_precision: of products of float32 matrices on TPU and GPU.
    mesh: devices over (data, fsdp, tensor[, sequence]); -1 for those that are
      left.
  """

  seed: int
  sets: tuple[EvalSet, ...]
  init_from: str | None
  template: Callable
  sampler: Callable
  data_dir: str | None
  rows: int
  pass_at: tuple[int, ...]
  confidence: float
  reward_address: str | None
  reward_deadline: float
  reward_workers: int
  reward_sandboxes: int
  code_limits: dict
  compute_dtype: str
  matmul_precision: str
  mesh: tuple[int, ...]

  def __post_init__(self):
    config.integer('SEED', self.seed, 0, 2**32 - 1)
    for macro in ('REWARD_WORKERS', 'REWARD_SANDBOXES'):
      config.integer(macro, getattr(self, macro.lower()), 1)
    _check_sets(self)
    _check_pass_at(self)
    _check_numbers(self)
    check_mesh(self.mesh)
    check_address(self)
    check_code(self)
    check_function(self, 'template', 'r1_zero_template')
    check_function(self, 'sampler', 'slot_refill')


def check_function(asked, macro: str, usual: str) -> None:
  """Refuses a field that is no function."""
  config.check(
    callable(getattr(asked, macro)),
    macro.upper(),
    getattr(asked, macro),
    'be a function',
    f'try a reference such as --gin.{macro.upper()}=@{usual}',
  )


def _check_sets(s: Evaluation) -> None:
  ok = isinstance(s.sets, tuple | list) and bool(s.sets)
  ok = ok and all(isinstance(each, EvalSet) for each in s.sets)
  remedy = "try --gin.SETS='(@gsm8k/EvalSet(),)'"
  config.check(ok, 'SETS', s.sets, 'be one or more EvalSets', remedy)
  names = [each.name for each in s.sets]
  for name in names:
    need = 'name each set once, since its samples have one folder'
    config.check(
      names.count(name) == 1, 'SETS', name, need, 'leave one of them out'
    )
  # One batch holds all samples of a problem.
  samples = max(each.samples for each in s.sets)
  config.integer('EVAL_ROWS', s.rows, samples)


def _check_pass_at(s: Evaluation) -> None:
  ok = isinstance(s.pass_at, tuple | list)
  config.check(
    ok, 'PASS_AT', s.pass_at, 'be several k', "try --gin.PASS_AT='(4,)'"
  )
  most = max(each.samples for each in s.sets)
  for k in s.pass_at:
    config.integer('PASS_AT', k, 1)
    need = f'have no k above {most}, the most samples of a set'
    config.check(
      k <= most, 'PASS_AT', s.pass_at, need, f'try --gin.PASS_AT="({most},)"'
    )


def _check_numbers(s: Evaluation) -> None:
  config.number('CONFIDENCE', s.confidence, 0, 1)
  ok = 0 < s.confidence < 1
  need, remedy = 'be between 0 and 1', 'try --gin.CONFIDENCE=0.95'
  config.check(ok, 'CONFIDENCE', s.confidence, need, remedy)
  config.number('REWARD_DEADLINE', s.reward_deadline, 0)
  ok, remedy = s.reward_deadline > 0, 'try --gin.REWARD_DEADLINE=60'
  config.check(ok, 'REWARD_DEADLINE', s.reward_deadline, 'be above 0', remedy)
  dtypes = ('float32', 'bfloat16')
  config.choice('COMPUTE_DTYPE', s.compute_dtype, dtypes)
  precisions = ('float32', 'tensorfloat32', 'bfloat16')
  config.choice('MATMUL_PRECISION', s.matmul_precision, precisions)
