# SPDX-License-Identifier: Apache-2.0
"""Greedy answers and tokens/s beside transformers' generate, in one run.

  python benchmarks/beside_transformers.py FILE.gguf

Needs torch and transformers beside srpo_jax. Both sides read the same GGUF
file; each works in a process of its own, in turns, float32, all cores. Where
two answers part, the gap between the two best logits there says whether it was
a tie.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

PROMPTS = (
  'What is 12+7?',
  'The capital of France is',
  'Write a Python function that adds two numbers.',
  'Jane has 3 apples and buys 5 more. How many apples does she have?',
  'Once upon a time there was a',
  'List three colours.',
  'Translate to French: good morning',
  'Why is the sky blue?',
  'A train travels 60 km in one hour. How far does it travel in 3 hours?',
  '2, 4, 6, 8,',
  'Name a large animal.',
  'What is the opposite of hot?',
  'Explain what a prime number is.',
  'def fibonacci(n):',
  'The first president of the United States was',
  'Water boils at',
)
COMPARED, NEW = 10, 64


def ours(path: str, rounds: int) -> dict:
  """Greedy tokens of every prompt by the sampler, and seconds of a batch."""
  import jax

  from srpo_jax.core import mesh as mesh_lib
  from srpo_jax.data.prompts import prompt_ids
  from srpo_jax.data.template import question_only
  from srpo_jax.jobs import initial
  from srpo_jax.policy.policy import make_policy
  from srpo_jax.sampler.sampler import slot_refill
  from srpo_jax.sampler.sampling import SamplerConfig

  source = initial.find(path)
  tokenizer, decoder = initial.tokenizer(source), initial.decoder_config(source)
  mesh = mesh_lib.make_mesh((-1, 1, 1))
  policy, params = make_policy(decoder, mesh), initial.params(source, decoder)
  ids = [prompt_ids(text, tokenizer, question_only()) for text in PROMPTS]
  tokens_PL = np.zeros((len(ids), max(map(len, ids))), np.int32)
  for row, given in zip(tokens_PL, ids, strict=True):
    row[: len(given)] = given
  mask_PL = np.arange(tokens_PL.shape[1]) < np.array([[len(i)] for i in ids])
  # No token ends an answer, so that both sides write as many.
  greedy = SamplerConfig(NEW, end_ids=(-1,), pad_id=0, temperature=0.0)
  sampler = slot_refill(policy, greedy, 1, mesh)
  keys = jax.random.split(jax.random.key(0), (len(ids), 1))
  draw = lambda: np.asarray(
    sampler.draw(params, tokens_PL, mask_PL, keys).tokens_BT
  )
  tokens, seconds = timed(draw, rounds)
  return {'prompts': ids, 'tokens': tokens.tolist(), 'seconds': seconds}


def theirs(path: str, prompts: list[list[int]], rounds: int) -> dict:
  """The same by transformers' generate, and the gaps of its best logits."""
  import torch
  import transformers

  folder, name = str(Path(path).parent), Path(path).name
  model = transformers.AutoModelForCausalLM.from_pretrained(
    folder, gguf_file=name, dtype=torch.float32
  ).eval()
  length = max(map(len, prompts))
  rows = torch.tensor([[0] * (length - len(ids)) + ids for ids in prompts])
  mask = torch.tensor(
    [[0] * (length - len(ids)) + [1] * len(ids) for ids in prompts]
  )
  given = {'input_ids': rows, 'attention_mask': mask, 'do_sample': False}
  count = {'min_new_tokens': NEW, 'max_new_tokens': NEW, 'pad_token_id': 0}
  # min_new_tokens forbids end tokens; ours are not forbidden, so none is named.
  model.generation_config.eos_token_id = None

  def draw():
    with torch.no_grad():
      return model.generate(**given, **count)[:, length:].numpy()

  tokens, seconds = timed(draw, rounds)
  gaps = []
  for ids, answer in zip(prompts, tokens.tolist(), strict=True):
    with torch.no_grad():
      logits = model(torch.tensor([ids + answer])).logits[0]
    best = torch.topk(logits[len(ids) - 1 : -1], 2).values
    gaps.append((best[:, 0] - best[:, 1]).tolist())
  return {'tokens': tokens.tolist(), 'seconds': seconds, 'gaps': gaps}


def timed(draw, rounds: int):
  """What it gives, and the seconds of each call after the first."""
  draw()
  seconds = []
  for _ in range(rounds):
    start = time.monotonic()
    tokens = draw()
    seconds.append(time.monotonic() - start)
  return tokens, seconds


def report(one: dict, other: dict) -> None:
  """Agreement of answers, then tokens/s of both."""
  same, parted = 0, []
  pairs = zip(one['tokens'], other['tokens'], other['gaps'], strict=True)
  for i, (a, b, gaps) in enumerate(list(pairs)[:COMPARED]):
    first = next((t for t in range(NEW) if a[t] != b[t]), None)
    same += first is None
    if first is not None:
      parted.append((PROMPTS[i], first, gaps[first]))
  print(f'{same} of {COMPARED} greedy answers of {NEW} tokens are the same')
  for prompt, t, gap in parted:
    print(f'  {prompt!r} parts at token {t}, where the gap is {gap:.1e}')
  total = len(PROMPTS) * NEW
  speeds = {
    name: total / np.median(side['seconds'])
    for name, side in (('srpo_jax', one), ('transformers', other))
  }
  for name, speed in speeds.items():
    print(f'{name:13} {speed:7.1f} tokens/s ({len(PROMPTS)} prompts at once)')
  print(f'ratio {speeds["srpo_jax"] / speeds["transformers"]:.2f}')


def run(side: str, path: str, given: dict) -> dict:
  """One side in a process of its own."""
  command = [sys.executable, __file__, path, f'--side={side}']
  done = subprocess.run(
    command,
    input=json.dumps(given),
    stdout=subprocess.PIPE,
    text=True,
    check=True,
  )
  return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('path', help='a GGUF file')
  parser.add_argument('--side', choices=['ours', 'theirs'])
  parser.add_argument('--turns', type=int, default=2)
  flags = parser.parse_args()
  if flags.side:
    given = json.load(sys.stdin)
    rounds = given.pop('rounds')
    side = ours if flags.side == 'ours' else theirs
    print(json.dumps(side(flags.path, rounds=rounds, **given)))
    return
  sides = ({}, {})
  for _ in range(flags.turns):
    one = run('ours', flags.path, {'rounds': 2})
    given = {'rounds': 2, 'prompts': one.pop('prompts')}
    for side, new in zip(
      sides, (one, run('theirs', flags.path, given)), strict=True
    ):
      seconds = side.get('seconds', []) + new['seconds']
      side.update(new, seconds=seconds)
  report(*sides)


if __name__ == '__main__':
  main()
