# SPDX-License-Identifier: Apache-2.0
"""The evaluation job: pass@1 and pass@k of a policy on named sets.

A batch of problems is asked, judged and written; then the next. What was
written is not asked again, so that a rerun goes on where a run was stopped,
and the figures are always made of all files: the same, to the last bit,
however often it was stopped.

  1. find the problems of each set that have no samples yet;
  2. sample n responses to each problem of a batch, and have them judged;
  3. write the batch to WORKDIR/samples/<set>/0012.parquet;
  4. when no problem is left, make results.json, results.csv, results.md.
"""

import contextlib
import json
import time
from pathlib import Path

import gin
import jax
import numpy as np

from srpo_jax.core import compiles, config, hosts, keys
from srpo_jax.data import prompts as prompts_lib
from srpo_jax.jobs import eval_parts, eval_results, rollout, stopping
from srpo_jax.jobs.eval_parts import Bench, EvalParts
from srpo_jax.jobs.eval_progress import EvalProgress
from srpo_jax.jobs.eval_settings import Evaluation
from srpo_jax.reward.client import RewardUnavailable
from srpo_jax.train import tables


@gin.configurable
def evaluate(workdir: Path, *, settings: Evaluation = gin.REQUIRED) -> None:
  """Evaluates in a workdir; a rerun resumes; a finished one shows its table.

  Raises:
    Interrupted: SIGTERM, or the reward service stayed silent; every batch
      that was finished is written.
  """
  hosts.refuse_several('evaluate.gin')
  workdir = Path(workdir)
  compiles.keep_on_disk()
  if (workdir / 'done.json').exists():
    print(f'{workdir}: already done')
    eval_results.show(workdir)
    return
  with contextlib.ExitStack() as stack:
    stop = stack.enter_context(stopping.on_sigterm())
    parts = eval_parts.build(settings, workdir, stack)
    stack.callback(config.save_operative, workdir)
    key = keys.purpose_key(settings.seed, 'eval')
    ask_all(workdir, parts, key, stop)
  finish(workdir, settings, parts)
  eval_results.show(workdir)


def ask_all(
  workdir: Path, parts: EvalParts, key: jax.Array, stop: stopping.Stop
) -> None:
  """Asks every problem that has no samples yet.

  Args:
    workdir: where samples are.
    parts: what is asked.
    key: of the purpose; problems and samples fold into it.
    stop: whether to go on.
  """
  sizes = {b.asked.name: len(b.prompts) for b in parts.benches}
  with EvalProgress(sizes, str(workdir)) as progress:
    for note in parts.notes:
      progress.say(note)
    try:
      for bench in parts.benches:
        ask(workdir, bench, parts.params, key, stop, progress)
    except (stopping.Stopped, RewardUnavailable) as reason:
      raise config.Interrupted(
        f'{workdir}: stopped, with {progress.asked} of {sum(sizes.values())} '
        f'problems asked ({reason}); run the same command to go on'
      ) from reason


def ask(
  workdir: Path,
  bench: Bench,
  params,
  key: jax.Array,
  stop: stopping.Stop,
  progress: EvalProgress,
) -> None:
  """Asks the problems of one set that have no samples yet."""
  name = bench.asked.name
  if bench.too_long:
    progress.say(
      f'{name}: {bench.too_long} problems are longer than max_prompt_tokens = '
      f'{bench.asked.max_prompt_tokens} and were left out'
    )
  there = tables.read_samples(workdir, name)
  progress.step(name, there)
  left = bench.prompts.ids[~np.isin(bench.prompts.ids, there['prompt'])]
  first = tables.next_samples(workdir, name)
  batches = prompts_lib.batches(left, bench.batch)
  for number, (ids, real_P) in enumerate(batches, start=first):
    stop.check()
    start = time.monotonic()
    columns, rollout_s = ask_batch(bench, params, ids, real_P, key, stop)
    seconds = {'rollout': rollout_s, 'all': time.monotonic() - start}
    # The times first: a batch is there once its samples are.
    eval_results.write_times(workdir, name, number, seconds)
    tables.write_samples(workdir, name, number, columns)
    progress.step(name, columns, rollout_s)


def ask_batch(bench, params, ids, real_P, key, stop):
  """Samples of the real problems of a batch, and the seconds they took."""
  chosen = bench.prompts.take(ids)
  played = rollout.play(
    bench, bench.sampler, params, chosen, real_P, key, stop.check
  )
  keep_B = np.repeat(real_P, bench.asked.samples)
  columns = rollout.columns(bench, chosen, played, keep_B)
  kept = {name: columns[name] for name in tables.SAMPLES.names}
  return kept, played.rollout_s


def finish(workdir: Path, settings: Evaluation, parts: EvalParts) -> None:
  """The figures, then done.json."""
  results = eval_results.collect(workdir, settings, parts)
  eval_results.write(workdir, results)
  done = {
    'seconds': round(sum(s['seconds'] for s in results['sets']), 1),
    'fingerprint': parts.begun['fingerprint'],
    'compiles': compiles.count(),
    'compile_seconds': round(compiles.seconds(), 1),
  }
  eval_results.write_text(
    workdir / 'done.json', json.dumps(done, indent=2) + '\n'
  )
