# SPDX-License-Identifier: Apache-2.0
"""pretrain.gin: makes the embedded base policy from nothing.

A sentencepiece tokenizer, then supervised training on worked solutions of
short tasks (data/tasks). The corpus mixes careful solutions, answers without
any work, and about one in twenty that shows a slip, a check and a retry: a
policy this small cannot come to reflect if it never saw reflection. The
result is a Hugging Face folder, WORKDIR/policy.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import gin
import jax
import numpy as np

from srpo_jax.core import config, hosts, keys
from srpo_jax.core import mesh as mesh_lib
from srpo_jax.core.masked import masked_sum
from srpo_jax.core.records import Batch
from srpo_jax.data import template as template_lib
from srpo_jax.data.prompts import prompt_ids
from srpo_jax.data.tasks.catalog import CORPUS_CODE, CORPUS_MATH
from srpo_jax.data.tasks.sampling import corpus
from srpo_jax.data.template import AnyTemplate
from srpo_jax.data.tokenizer import SentencePieceTokenizer
from srpo_jax.data.tokenizer_training import common_words, train_sentencepiece
from srpo_jax.policy import huggingface
from srpo_jax.policy.config import DecoderConfig
from srpo_jax.policy.policy import make_policy
from srpo_jax.train.state import fingerprint, init_params, make_state
from srpo_jax.train.update import make_update

# Whole programs are made of these; one token each keeps them short.
PROGRAM_PIECES = ('```python\n', 'def f(', '):\n  return ', '\n```')


def supervised_loss(
  logprob_BT, logprob_old_BT, advantage_BT, mask_BT, segment_BT, totals
):
  """Mean over tokens of −log π(token): maximum likelihood."""
  del logprob_old_BT, advantage_BT, segment_BT
  return -masked_sum(logprob_BT, mask_BT) / totals.tokens, {}


def make_tokenizer(
  template: AnyTemplate, seed: int, texts: int
) -> SentencePieceTokenizer:
  """A tokenizer trained on `texts` worked solutions."""
  lines = [template.render(q) + s for q, s in corpus(seed, texts)]
  words = (*common_words(lines), *PROGRAM_PIECES)
  model = train_sentencepiece(lines, 1000, words=words, model_type='char')
  return SentencePieceTokenizer(model)


def pack(
  examples: Iterator[tuple[list[int], list[int]]], rows: int, length: int
) -> Batch:
  """Fills [rows, length] with (prompt, solution) pairs, end to end.

  Only solution tokens count. An example that no longer fits in a row starts
  the next one; one longer than a row is left out.
  """
  shape = (rows, length)
  tokens, segment, position = (np.zeros(shape, np.int32) for _ in range(3))
  mask = np.zeros(shape, bool)
  row, start, number = 0, 0, 0
  for prompt, solution in examples:
    size = len(prompt) + len(solution)
    if size > length:
      continue
    if start + size > length:
      row, start, number = row + 1, 0, 0
    if row == rows:
      break
    number, end = number + 1, start + size
    here = slice(start, end)
    tokens[row, here] = prompt + solution
    segment[row, here] = number
    position[row, here] = np.arange(end - start)
    mask[row, start + len(prompt) : end] = True
    start = end
  zeros = np.zeros(shape, np.float32)
  return Batch(
    tokens_BT=tokens,
    logprob_old_BT=zeros,
    logprob_rollout_BT=zeros,
    advantage_BT=zeros,
    mask_BT=mask,
    segment_BT=segment,
    position_BT=position,
  )


def task_weights(code_share: float) -> dict[str, float]:
  """Levels weighted as in data/tasks/catalog.py, with that share of code."""
  parts = ((CORPUS_MATH, 1 - code_share), (CORPUS_CODE, code_share))
  return {
    level: share * count / sum(levels.values())
    for levels, share in parts
    for level, count in levels.items()
  }


def batches(
  tokenizer: SentencePieceTokenizer,
  template: AnyTemplate,
  seed: int,
  style_weights: dict[str, float],
  task_weights: dict[str, float],
  rows: int,
  length: int,
) -> Iterator[Batch]:
  """Endless batches of the corpus; a pure function of the seed."""

  def examples():
    for part in itertools.count(1):
      for question, solution in corpus(
        (seed << 32) + part, 4096, style_weights, task_weights
      ):
        prompt = prompt_ids(question, tokenizer, template)
        yield prompt, [*tokenizer.encode(solution), tokenizer.end_ids[0]]

  stream = examples()
  while True:
    yield pack(stream, rows, length)


@gin.configurable
def pretrain(
  workdir: Path,
  *,
  seed: int = gin.REQUIRED,
  steps: int = gin.REQUIRED,
  rows: int = gin.REQUIRED,
  length: int = gin.REQUIRED,
  decoder: Callable[..., DecoderConfig] = gin.REQUIRED,
  optimizer: Callable = gin.REQUIRED,
  template: Callable = gin.REQUIRED,
  style_weights: dict = gin.REQUIRED,
  code_share: float = gin.REQUIRED,
  tokenizer_texts: int = 6000,
) -> None:
  """Makes WORKDIR/policy.

  Args:
    seed: of corpus and parameters.
    steps: updates.
    rows, length: sequences in a batch and tokens in each.
    decoder: makes the DecoderConfig, given vocab_size.
    optimizer: makes the optimizer.
    template: makes the template around a question.
    style_weights: weight of 'steps', 'guess' and 'retry' solutions.
    code_share: share of the solutions that are programs.
    tokenizer_texts: solutions the tokenizer learns from.
  """
  hosts.refuse_several('pretrain.gin')
  config.integer('STEPS', steps, 1)
  workdir, template = Path(workdir), template_lib.make(template, None)
  if (workdir / 'done.json').exists():
    print(f'{workdir}: already done; the policy is {workdir}/policy')
    return
  (workdir / 'metrics.jsonl').unlink(missing_ok=True)
  tokenizer = make_tokenizer(template, seed, tokenizer_texts)
  policy_config = decoder(vocab_size=tokenizer.vocab_size)
  mesh = mesh_lib.make_mesh((-1, 1, 1))
  policy, optimizer = make_policy(policy_config, mesh), optimizer()
  params = init_params(policy, mesh, keys.purpose_key(seed, 'init'))
  state = make_state(policy, optimizer, mesh, params)
  update = make_update(policy, optimizer, supervised_loss, mesh)
  config.save_operative(workdir)
  weights = task_weights(code_share)
  data = batches(
    tokenizer, template, seed, style_weights, weights, rows, length
  )
  for step, batch in zip(range(1, steps + 1), data, strict=False):
    state, metrics = update.apply(state, mesh_lib.put_batch(mesh, batch))
    if step % 50 == 0 or step == steps:
      _log(workdir, step, steps, metrics)
  save(workdir / 'policy', policy_config, state.params, tokenizer)
  done = {'step': steps, 'fingerprint': fingerprint(state.params)}
  (workdir / 'done.json').write_text(json.dumps(done, indent=2) + '\n')
  print(f'policy: {workdir}/policy')


def _log(workdir: Path, step: int, steps: int, metrics: dict) -> None:
  row = {k: float(v) for k, v in jax.device_get(metrics).items()}
  print(f'step {step}/{steps}  loss {row["loss"]:.4f}', flush=True)
  with (workdir / 'metrics.jsonl').open('a') as file:
    file.write(json.dumps({'step': step, 'loss': row['loss']}) + '\n')


def save(folder: Path, policy_config, params, tokenizer) -> None:
  """The Hugging Face folder: config, weights, tokenizer."""
  ids = {
    'eos_token_id': list(tokenizer.end_ids),
    'pad_token_id': tokenizer.pad_id,
  }
  huggingface.save_policy(folder, policy_config, params, ids)
  for name, data in tokenizer.files.items():
    (folder / name).write_bytes(data)
