# SPDX-License-Identifier: Apache-2.0
"""A made-up run, written by the trainer's own writers: no model, no device.

Its policy is right with a chance that grows with the step. An epoch asks each
kept problem once, less a short last batch; what was always right then leaves.
A second stage takes all prompts up again, every other one a program.

By hand, for measuring a report of long runs:

  python tests/study/synthetic.py FOLDER --steps=1000 --group=16 --stage2_at=500
"""

import argparse
import json
import pathlib

import numpy as np

from srpo_jax.core import records
from srpo_jax.srpo import history
from srpo_jax.train import metrics, tables

ALL, PROMPTS, GROUP = 160, 16, 8
LEVELS = ('add', 'gcd', 'reverse', 'times')
CONFIG = """import srpo_jax.jobs.train

# Macros:
# ==============================================================================
GROUP_SIZE = {group}
HISTORY = @{history}
LEARNING_RATE = 0.001
SEED = {seed}
STEPS = {steps}

# Parameters for run:
# ==============================================================================
run.job = @train
"""
# How an answer goes on; the first is as good as silent.
THOUGHTS = (
  'so it is …',
  'Wait, that is not it. …',
  'Let me check: it holds …',
  'Alternatively, count them …',
  '验算一下 …',
  'In code:\n```python\nprint(3)\n```',
)


def chance(level, step):
  """How likely an answer is right: levels differ, and all of them improve."""
  base = {'add': 1.5, 'gcd': -0.5, 'reverse': 0.4, 'times': -2.0}[level]
  return 1 / (1 + np.exp(-(base + 1.2 * (1 - np.exp(-step / 40)))))


def answers(rng, step, problems, samples, stage=1):
  """Columns of `samples` answers to each of the problems (ids)."""
  prompt = np.repeat(np.asarray(problems, np.uint64), samples)
  level = [LEVELS[int(x) % len(LEVELS)] for x in prompt]
  chances = {name: chance(name, step) for name in LEVELS}
  right = rng.random(len(prompt)) < [chances[x] for x in level]
  status = np.where(right, 'correct', 'wrong').astype(object)
  status[rng.random(len(prompt)) < 0.02] = 'no_answer'
  accuracy = (status == 'correct').astype(float)
  if step == 7:
    status[3], accuracy[3] = 'unavailable', np.nan
  odd = (prompt % np.uint64(2) == 1) & (stage > 1)
  thought = np.minimum(rng.geometric(0.7, len(prompt)) - 1, 5)
  return {
    'step': np.full(len(prompt), step),
    'prompt': prompt,
    'domain': np.where(odd, 'code', 'math').tolist(),
    'sample': np.tile(np.arange(samples), len(problems)),
    'prompt_text': [
      f'Question: what is {int(x) % 97} <{y}> 3?'
      for x, y in zip(prompt, level, strict=True)
    ],
    'response_text': [
      f'<think>{int(x) % 97} & 3 …\n{THOUGHTS[t]}</think><answer>{s}</answer>'
      for x, s, t in zip(prompt, status, thought, strict=True)
    ],
    'tokens': rng.poisson((20 + step / 4) / (1 + odd), len(prompt)),
    'ended': rng.random(len(prompt)) > 0.03,
    'status': status,
    'accuracy': accuracy,
    'level': level,
  }


def as_rollouts(columns, epoch, stage=1, group=GROUP):
  """With what training adds: format, reward, advantage."""
  accuracy = columns['accuracy'].reshape(-1, group)
  spread = np.nanstd(accuracy, axis=1, keepdims=True)
  mean = np.nanmean(accuracy, axis=1, keepdims=True)
  advantage = np.where(spread > 0, (accuracy - mean) / (spread + 1e-9), 0)
  extra = {
    'stage': np.full(accuracy.size, stage),
    'epoch': np.full(accuracy.size, epoch),
    'format': np.ones(accuracy.size),
    'language_mixing': np.zeros(accuracy.size),
    'reward': columns['accuracy'] + 0.2,
    'advantage': np.nan_to_num(advantage).ravel(),
  }
  columns = {**columns, **extra}
  return {name: columns[name] for name in tables.ROLLOUTS.names}


def as_metrics(rollouts, step, stage, epoch, kept, group=GROUP):
  """The line of metrics.jsonl that the rollouts give."""
  accuracy = rollouts['accuracy'].reshape(-1, group)
  low, high = np.nanmin(accuracy, axis=1), np.nanmax(accuracy, axis=1)
  tokens, domain = rollouts['tokens'], np.array(rollouts['domain'])
  line = {
    'step': step,
    'stage': stage,
    'epoch': epoch,
    'reward/mean': np.nanmean(rollouts['reward']),
    'format/mean': 1.0,
    'response_length/mean': tokens.mean(),
    'truncated/share': 1 - rollouts['ended'].mean(),
    'groups/all_correct': (low == 1).mean(),
    'groups/all_wrong': (high == 0).mean(),
    'groups/effective': (low != high).mean(),
    'history/kept': kept,
    'history/dropped': ALL - kept,
    'loss': float('nan') if step == 5 else 0.01,
    'tokens/rollout': int(tokens.sum()),
    'time/step': 1.5,
  }
  for name in sorted(set(domain)):
    line[f'accuracy/{name}'] = np.nanmean(rollouts['accuracy'][domain == name])
    line[f'response_length/{name}'] = tokens[domain == name].mean()
  for status in records.STATUSES:
    line[f'verdict/{status}'] = (rollouts['status'] == status).mean()
  return line


def as_ledger(rollouts, group=GROUP):
  """The ledger's rows of a step."""
  groups = {
    name: np.asarray(rollouts[name]).reshape(-1, group)
    for name in ('status', 'accuracy', 'tokens', 'ended')
  }
  first = {
    name: np.asarray(rollouts[name])[::group]
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


def make_run(
  workdir,
  seed=0,
  steps=60,
  finished=True,
  every=20,
  group=GROUP,
  rule='keep_unsolved',
  stage2_at=None,
  better=0,
):
  """Writes a workdir; returns its path.

  Args:
    workdir: the folder, not there yet.
    seed, steps: of the run.
    finished: False for a run that is still going on.
    every: steps between evaluations.
    group: rollouts a prompt.
    rule: 'keep_unsolved' or 'keep_all'.
    stage2_at: last step of stage 1, None for a single stage.
    better: steps that the policy is ahead of others.
  """
  rng = np.random.default_rng([seed, better])
  workdir.mkdir(parents=True)
  config = CONFIG.format(group=group, history=rule, seed=seed, steps=steps)
  (workdir / 'config.gin').write_text(config)
  whole = np.arange(ALL, dtype=np.uint64)
  with metrics.MetricsWriter(workdir) as writer:
    first = evaluate(workdir, 0, seed, better)
    writer.write({'step': 0, 'stage': 1, 'epoch': 1, **first})
    stage, kept, epoch, order, rows = 1, whole, 1, [], []
    for step in range(1, steps + 1):
      if not rows:
        order = rng.permutation(kept)
      ids, order = order[:PROMPTS], order[PROMPTS:]
      played = answers(rng, step + better, ids, group, stage)
      rollouts = as_rollouts(
        {**played, 'step': np.full(len(played['step']), step)},
        epoch,
        stage,
        group,
      )
      tables.write_rollouts(workdir, step, rollouts)
      rows.append(as_ledger(rollouts, group))
      more = evaluate(workdir, step, seed, better) if step % every == 0 else {}
      line = as_metrics(rollouts, step, stage, epoch, len(kept), group)
      writer.write({**line, **more})
      if len(order) < PROMPTS or step == stage2_at:
        ledger = joined(rows)
        tables.write_ledger(workdir, stage, epoch, ledger)
        if rule == 'keep_unsolved':
          solved = ledger.prompt[ledger.correct == group]
          kept = np.setdiff1d(kept, solved)
        epoch, rows = epoch + 1, []
      if step == stage2_at or len(kept) < PROMPTS:
        stage, kept, epoch, rows = stage + 1, whole, 1, []
  if finished:
    done = {'step': steps, 'stage': 1, 'seconds': 93.5, 'fingerprint': 'f00d'}
    (workdir / 'done.json').write_text(json.dumps(done))
  return workdir


def evaluate(workdir, step, seed, better=0):
  """Writes an evaluation of 120 problems, 4 samples each."""
  rng = np.random.default_rng([seed, step, better])
  columns = answers(rng, step + better, 1000 + np.arange(120), 4)
  columns['step'] = np.full(len(columns['step']), step)
  tables.write_evals(workdir, 'embedded_math', step, columns)
  return {
    'eval/embedded_math/pass@1': np.nanmean(columns['accuracy']),
    'eval/embedded_math/response_length': columns['tokens'].mean(),
  }


def main():
  parser = argparse.ArgumentParser(description='Writes a made-up workdir.')
  parser.add_argument('workdir', type=pathlib.Path)
  for name in ('steps', 'group', 'seed', 'better', 'stage2_at', 'every'):
    default = {'steps': 60, 'group': GROUP, 'every': 20}.get(name)
    default = 0 if name in ('seed', 'better') else default
    parser.add_argument(f'--{name}', type=int, default=default)
  parser.add_argument('--rule', default='keep_unsolved')
  print(make_run(**vars(parser.parse_args())))


if __name__ == '__main__':
  main()
