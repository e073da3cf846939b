# SPDX-License-Identifier: Apache-2.0
"""bench.gin: how fast this device makes a step, and how fast it could.

Whole steps are timed: rollouts of forced lengths, verdicts, update; the first
one compiles and is left out. Beside them, in the same process, what the
device does at best: products of the model's own shapes, and memory. Prints a
table and writes WORKDIR/bench.json (docs/speed.md says what each figure is).
"""

import contextlib
import json
from pathlib import Path
from typing import NamedTuple

import gin
import jax

from srpo_jax.core import compiles, config, hosts, keys
from srpo_jax.jobs import bench_memory, bench_rates, bench_results
from srpo_jax.jobs.bench_operations import products
from srpo_jax.jobs.bench_parts import BenchParts, build
from srpo_jax.jobs.bench_settings import Benchmark
from srpo_jax.jobs.bench_step import Step, draw, step
from srpo_jax.policy.logprobs import chunk_length
from srpo_jax.reward.client import RewardUnavailable


class Rates(NamedTuple):
  """What the device does at best.

  Attributes:
    update: operations a second of the update's products.
    decode: of decoding's, which has as many rows as there are slots.
    bytes: read from memory a second.
    prefill_s: seconds to compute the prompts of a step once.
  """

  update: float
  decode: float
  bytes: float
  prefill_s: float


@gin.configurable
def bench(workdir: Path, *, settings: Benchmark = gin.REQUIRED) -> None:
  """Measures in a workdir; a finished one shows its table.

  Raises:
    Interrupted: the reward service stayed silent.
  """
  hosts.refuse_several('bench.gin')
  workdir = Path(workdir)
  if (workdir / bench_results.NAME).exists():
    print(f'{workdir}: already done')
    bench_results.show(workdir)
    return
  with contextlib.ExitStack() as stack:
    parts, state = build(settings, workdir, stack)
    stack.callback(config.save_operative, workdir)
    try:
      steps, state, beside = measure(settings, parts, state)
    except RewardUnavailable as reason:
      raise config.Interrupted(
        f'{workdir}: nothing was measured ({reason}); run the same command to '
        'try again'
      ) from reason
    rates = measure_rates(settings, parts, state.params, steps[-1])
  results = bench_results.collect(settings, parts, steps, rates)
  text = json.dumps(results | beside, indent=2) + '\n'
  (workdir / bench_results.NAME).write_text(text)
  bench_results.show(workdir)


def measure(settings: Benchmark, parts: BenchParts, state):
  """The timed steps, the state after them; peak memory and compiles.

  A rollout goes first, so that its peak is seen before the update's.
  """
  key = lambda n: keys.purpose_key(settings.seed, 'train', n)
  list(draw(parts, state.params, key(0), lambda _: None))
  of_rollout = bench_memory.peak_bytes()
  steps: list[Step] = []
  for n in range(settings.steps + 1):
    state, made = step(parts, state, key(n))
    steps.append(made)
    if n == 0:
      programs = compiles.count()
    print(f'step {n}/{settings.steps}  {made.step_s:.2f} s', flush=True)
  memory = {
    'kind': bench_memory.KIND[jax.default_backend() == 'cpu'],
    'rollout': of_rollout,
    'step': bench_memory.peak_bytes(),
  }
  compiled = {
    'programs': compiles.count(),
    'in_timed_steps': compiles.count() - programs,
    'seconds': round(compiles.seconds(), 2),
  }
  return steps[1:], state, {'memory': memory, 'compiles': compiled}


def measure_rates(
  settings: Benchmark, parts: BenchParts, params, made: Step
) -> Rates:
  """Times products at the shapes of the last step, memory and prefill."""
  c, dtype = parts.decoder, settings.compute_dtype
  shape = parts.packing
  tokens = max(shape.micro_rows // parts.mesh.size, 1) * shape.row_tokens
  head = chunk_length(tokens, c.vocab_size, parts.mesh)
  slots = max(chunk.width for chunk in made.chunks) // parts.mesh.size
  of_update = products(c, tokens, head)
  of_decode = products(c, slots, slots)
  policy = parts.policy
  prefill = jax.jit(lambda p, *x: policy.prefill(policy.for_decode(p), *x))
  prompts = parts.asked.tokens_PL, parts.asked.mask_PL
  return Rates(
    update=bench_rates.product_rate(of_update, dtype, bench_rates.UPDATE),
    decode=bench_rates.decode_rate(of_decode, dtype),
    bytes=bench_rates.bandwidth(dtype),
    prefill_s=bench_rates.median_seconds(lambda: prefill(params, *prompts)),
  )
