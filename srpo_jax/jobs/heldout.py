# SPDX-License-Identifier: Apache-2.0
"""pass@1 on the held-out sets: fixed, unfiltered, with the same keys each time.

The filter removes easy prompts from training, so training accuracy alone says
little. The same random numbers at every evaluation make two of them a paired
comparison.
"""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from srpo_jax.core import hosts, keys
from srpo_jax.data import prompts as prompts_lib
from srpo_jax.jobs import rollout
from srpo_jax.jobs.parts import Parts, eval_prompts
from srpo_jax.jobs.settings import Settings
from srpo_jax.train import tables

EVAL_COLUMNS = (
  'prompt',
  'domain',
  'level',
  'sample',
  'prompt_text',
  'response_text',
  'tokens',
  'ended',
  'status',
  'accuracy',
)


def evaluate(
  parts: Parts,
  settings: Settings,
  params,
  workdir: Path,
  step: int,
  give_up: Callable[[], None],
) -> dict[str, float]:
  """Evaluates every held-out set; writes its samples; returns its metrics."""
  start, metrics = time.monotonic(), {}
  for name, prompts in parts.data.heldout.items():
    table = _sample_all(parts, settings, params, prompts, give_up)
    table = {'step': np.full(len(table['prompt']), step, np.int32), **table}
    hosts.on_first(tables.write_evals, workdir, name, step, table)
    metrics[f'eval/{name}/pass@1'] = pass_at_1(
      table['prompt'], table['accuracy']
    )
    metrics[f'eval/{name}/response_length'] = float(table['tokens'].mean())
    metrics[f'eval/{name}/truncated'] = float(1 - table['ended'].mean())
  return {**metrics, 'time/eval': time.monotonic() - start}


def _sample_all(parts, settings, params, prompts, give_up):
  key = keys.purpose_key(settings.seed, 'eval')
  rounds = []
  n = eval_prompts(settings, parts.mesh)
  for ids, real_P in prompts_lib.batches(prompts.ids, n):
    chosen = prompts.take(ids)
    played = rollout.play(
      parts, parts.eval_sampler, params, chosen, real_P, key, give_up
    )
    keep_B = np.repeat(real_P, settings.eval_samples)
    table = rollout.columns(parts, chosen, played, keep_B)
    rounds.append({name: table[name] for name in EVAL_COLUMNS})
  return {
    name: np.concatenate([r[name] for r in rounds]) for name in EVAL_COLUMNS
  }


def pass_at_1(prompt_n: np.ndarray, accuracy_n: np.ndarray) -> float:
  """Mean over problems of the share of judged samples that are right.

  Problems without a judged sample are left out; NaN if there are none else.
  """
  judged_n = ~np.isnan(accuracy_n)
  _, group_n = np.unique(prompt_n[judged_n], return_inverse=True)
  if not len(group_n):
    return float('nan')
  right = np.bincount(group_n, accuracy_n[judged_n])
  return float(np.mean(right / np.bincount(group_n)))
