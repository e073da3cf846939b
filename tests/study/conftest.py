# SPDX-License-Identifier: Apache-2.0
"""A made-up run, written by the trainer's own writers: no model, no device.

Its policy is right with a chance that grows with the step. An epoch asks each
kept problem once, less a short last batch; what was always right then leaves.
"""

import json

import numpy as np
import pytest

from srpo_jax.core import records
from srpo_jax.srpo import history
from srpo_jax.train import metrics, tables

ALL, PROMPTS, GROUP = 160, 16, 8
LEVELS = ('add', 'gcd', 'reverse', 'times')
CONFIG = """import srpo_jax.jobs.train

# Macros:
# ==============================================================================
GROUP_SIZE = 8
HISTORY = @keep_unsolved
LEARNING_RATE = 0.001
SEED = 0
STEPS = 60

# Parameters for run:
# ==============================================================================
run.job = @train
"""


def chance(level, step):
  """How likely an answer is right: levels differ, and all of them improve."""
  base = {'add': 1.5, 'gcd': -0.5, 'reverse': 0.4, 'times': -2.0}[level]
  return 1 / (1 + np.exp(-(base + 1.2 * (1 - np.exp(-step / 40)))))


def answers(rng, step, problems, samples):
  """Columns of `samples` answers to each of the problems (ids)."""
  prompt = np.repeat(np.asarray(problems, np.uint64), samples)
  level = [LEVELS[int(x) % len(LEVELS)] for x in prompt]
  right = rng.random(len(prompt)) < [chance(x, step) for x in level]
  status = np.where(right, 'correct', 'wrong').astype(object)
  status[rng.random(len(prompt)) < 0.02] = 'no_answer'
  accuracy = (status == 'correct').astype(float)
  if step == 7:
    status[3], accuracy[3] = 'unavailable', np.nan
  return {
    'step': np.full(len(prompt), step),
    'prompt': prompt,
    'domain': ['math'] * len(prompt),
    'sample': np.tile(np.arange(samples), len(problems)),
    'prompt_text': [
      f'Question: what is {int(x) % 97} <{y}> 3?'
      for x, y in zip(prompt, level, strict=True)
    ],
    'response_text': [
      f'<think>{int(x) % 97} & 3 …\n</think><answer>{s}</answer>'
      for x, s in zip(prompt, status, strict=True)
    ],
    'tokens': rng.poisson(20 + step / 4, len(prompt)),
    'ended': rng.random(len(prompt)) > 0.03,
    'status': status,
    'accuracy': accuracy,
    'level': level,
  }


def as_rollouts(columns, epoch):
  """With what training adds: format, reward, advantage."""
  accuracy = columns['accuracy'].reshape(-1, GROUP)
  spread = np.nanstd(accuracy, axis=1, keepdims=True)
  mean = np.nanmean(accuracy, axis=1, keepdims=True)
  advantage = np.where(spread > 0, (accuracy - mean) / (spread + 1e-9), 0)
  extra = {
    'stage': np.ones(accuracy.size, int),
    'epoch': np.full(accuracy.size, epoch),
    'format': np.ones(accuracy.size),
    'language_mixing': np.zeros(accuracy.size),
    'reward': columns['accuracy'] + 0.2,
    'advantage': np.nan_to_num(advantage).ravel(),
  }
  columns = {**columns, **extra}
  return {name: columns[name] for name in tables.ROLLOUTS.names}


def as_metrics(rollouts, step, epoch, kept, dropped):
  """The line of metrics.jsonl that the rollouts give."""
  accuracy = rollouts['accuracy'].reshape(-1, GROUP)
  low, high = np.nanmin(accuracy, axis=1), np.nanmax(accuracy, axis=1)
  tokens = rollouts['tokens']
  return {
    'step': step,
    'stage': 1,
    'epoch': epoch,
    'reward/mean': np.nanmean(rollouts['reward']),
    'accuracy/math': np.nanmean(accuracy),
    'format/mean': 1.0,
    'response_length/mean': tokens.mean(),
    'truncated/share': 1 - rollouts['ended'].mean(),
    'groups/all_correct': (low == 1).mean(),
    'groups/all_wrong': (high == 0).mean(),
    'groups/effective': (low != high).mean(),
    'history/kept': kept,
    'history/dropped': dropped,
    'loss': float('nan') if step == 5 else 0.01,
    'tokens/rollout': int(tokens.sum()),
    'time/step': 1.5,
  }


def as_ledger(rollouts):
  """The ledger's rows of a step."""
  groups = {
    name: np.asarray(rollouts[name]).reshape(-1, GROUP)
    for name in ('status', 'accuracy', 'tokens', 'ended')
  }
  first = {
    name: np.asarray(rollouts[name])[::GROUP]
    for name in ('prompt', 'stage', 'epoch', 'step')
  }
  status = groups['status'][..., None] == np.array(records.STATUSES)
  return history.Ledger(
    **first,
    judged=(~np.isnan(groups['accuracy'])).sum(axis=1),
    correct=(groups['accuracy'] == 1).sum(axis=1),
    length_mean=groups['tokens'].mean(axis=1),
    truncated=(~groups['ended']).sum(axis=1),
    statuses=status.sum(axis=1),
  )


def joined(parts):
  """Ledgers below each other."""
  columns = [part.columns() for part in parts]
  return history.Ledger(
    **{name: np.concatenate([x[name] for x in columns]) for name in columns[0]}
  )


def make_run(workdir, seed=0, steps=60, finished=True, every=20):
  """Writes a workdir; returns its path."""
  rng = np.random.default_rng(seed)
  workdir.mkdir(parents=True)
  (workdir / 'config.gin').write_text(CONFIG)
  with metrics.MetricsWriter(workdir) as writer:
    writer.write(
      {'step': 0, 'stage': 1, 'epoch': 1, **evaluate(workdir, 0, seed)}
    )
    kept, epoch, order, rows = np.arange(ALL, dtype=np.uint64), 1, [], []
    for step in range(1, steps + 1):
      if rows == []:
        order = rng.permutation(kept)
      ids, order = order[:PROMPTS], order[PROMPTS:]
      rollouts = as_rollouts(answers(rng, step, ids, GROUP), epoch)
      tables.write_rollouts(workdir, step, rollouts)
      rows.append(as_ledger(rollouts))
      more = evaluate(workdir, step, seed) if step % every == 0 else {}
      line = as_metrics(rollouts, step, epoch, len(kept), ALL - len(kept))
      writer.write({**line, **more})
      if len(order) < PROMPTS:
        ledger = joined(rows)
        tables.write_ledger(workdir, 1, epoch, ledger)
        solved = ledger.prompt[ledger.correct == GROUP]
        kept = np.setdiff1d(kept, solved)
        epoch, rows = epoch + 1, []
  if finished:
    done = {'step': steps, 'stage': 1, 'seconds': 93.5, 'fingerprint': 'f00d'}
    (workdir / 'done.json').write_text(json.dumps(done))
  return workdir


def evaluate(workdir, step, seed):
  """Writes an evaluation of 120 problems, 4 samples each."""
  rng = np.random.default_rng([seed, step])
  columns = answers(rng, step, 1000 + np.arange(120), 4)
  tables.write_evals(workdir, 'embedded_math', step, columns)
  return {'eval/embedded_math/pass@1': np.nanmean(columns['accuracy'])}


@pytest.fixture(scope='session')
def finished_run(tmp_path_factory):
  """A finished run; read it only."""
  return make_run(tmp_path_factory.mktemp('runs') / 'quickstart')


@pytest.fixture
def new_run(tmp_path):
  """Makes a run of one's own: new_run('name', seed=1, steps=12)."""
  return lambda name, **settings: make_run(tmp_path / name, **settings)
