# SPDX-License-Identifier: Apache-2.0
"""From timed steps to bench.json and its table."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import rich.box
import rich.console
import rich.table

from srpo_jax.jobs import bench_operations as operations
from srpo_jax.jobs.bench_step import used_share
from srpo_jax.jobs.eval_results import aligned

NAME = 'bench.json'
# REMAT -> the share of the layers' products that are made again; 'dots' makes
# attention again, which is not counted.
AGAIN = {'everything': 0.0, 'dots': 0.0, 'nothing': 1.0}


def collect(settings, parts, steps: Sequence, rates) -> dict:
  """Every figure but memory and compiles.

  Args:
    settings: Benchmark.
    parts: BenchParts.
    steps: the timed ones.
    rates: what the device does at best.
  """
  itemsize = jnp.dtype(settings.compute_dtype).itemsize
  decoder, asked = parts.decoder, parts.asked
  needed = operations.of_update(
    decoder,
    steps[-1].batch,
    parts.packing.micro_rows,
    again_of(settings, parts),
  )
  work = Decoding.of(decoder, asked, steps[-1].chunks, itemsize)
  devices = parts.mesh.size
  return {
    'request': request(settings, parts),
    'machine': machine(parts),
    'rates': {
      'update_products_per_s': rates.update * devices,
      'decode_products_per_s': rates.decode * devices,
      'bytes_per_s': rates.bytes * devices,
      'prefill_s': rates.prefill_s,
    },
    'rollout': of_rollout(steps, work, rates, devices),
    'update': of_update(steps, needed, rates, devices, settings.peak),
    'step': of_step(steps, parts.scorer is not None),
  }


def again_of(settings, parts) -> float:
  """Share of the layers' forward pass that backward makes again."""
  on_cpu = parts.mesh.devices.flat[0].platform == 'cpu'
  return AGAIN[settings.remat or ('everything' if on_cpu else 'nothing')]


def request(settings, parts) -> dict:
  """What was measured, so that a figure is never without it."""
  limit_PG, mask_PL = parts.asked.limit_PG, parts.asked.mask_PL
  shapes = jax.eval_shape(parts.policy.init, jax.random.key(0))
  return {
    'model': parts.model,
    'parameters': sum(x.size for x in jax.tree.leaves(shapes)),
    'prompts': limit_PG.shape[0],
    'group_size': limit_PG.shape[1],
    'prompt_tokens': float(mask_PL.sum(axis=1).mean()),
    'lengths': settings.lengths.__name__,
    'length_mean': float(limit_PG.mean()),
    'length_longest': int(limit_PG.max()),
    'row_tokens': parts.packing.row_tokens,
    'micro_rows': parts.packing.micro_rows,
    'compute_dtype': settings.compute_dtype,
    'seed': settings.seed,
  }


def machine(parts) -> dict:
  """The devices and the software under it."""
  device = parts.mesh.devices.flat[0]
  return {
    'device': device.device_kind,
    'devices': parts.mesh.size,
    'cores': len(os.sched_getaffinity(0)),
    'jax': jax.__version__,
  }


class Decoding:
  """What decoding needs at least, and what the sampler spent on it.

  Attributes:
    operations: of all tokens of the responses.
    bytes: read by the steps that were made.
    fewest_bytes: read by as few steps as the slots allow.
    used: share of the slot-steps that drew a token.
  """

  def __init__(self, operations, bytes_, fewest_bytes, used):
    self.operations, self.bytes = operations, bytes_
    self.fewest_bytes, self.used = fewest_bytes, used

  @classmethod
  def of(cls, decoder, asked, chunks, itemsize: int) -> 'Decoding':
    """From what the sampler said of its work."""
    prompt_P, length_PG = asked.mask_PL.sum(axis=1), asked.limit_PG
    # A first token comes out of the prompt and takes no step.
    fed_PG, width = length_PG - 1, max(chunk.width for chunk in chunks)
    fewest = max(fed_PG.sum() / width, fed_PG.max())
    read = lambda n: operations.decode_bytes(
      decoder, prompt_P, length_PG, n, itemsize
    )
    return cls(
      operations.of_decode(decoder, prompt_P, length_PG),
      read(sum(chunk.steps for chunk in chunks)),
      read(fewest),
      used_share(chunks),
    )

  def roofline_s(self, rates, devices: int) -> float:
    """The least seconds that products and memory allow."""
    return max(
      self.operations / (rates.decode * devices),
      self.fewest_bytes / (rates.bytes * devices),
    )


def of_rollout(steps, work: Decoding, rates, devices: int) -> dict:
  """Prefill is taken off where decoding alone is meant."""
  seconds = _median(step.rollout_s for step in steps)
  decode_s = max(seconds - rates.prefill_s, 1e-9)
  tokens = int(steps[-1].length_B.sum())
  return {
    'tokens': tokens,
    'seconds': [step.rollout_s for step in steps],
    'tokens_per_s': tokens / seconds,
    'slot_steps_used': work.used,
    'decode_s': decode_s,
    'decode_bytes_per_s': work.bytes / decode_s,
    'share_of_bandwidth': work.bytes / decode_s / (rates.bytes * devices),
    'share_of_roofline': work.roofline_s(rates, devices) / decode_s,
  }


def of_update(steps, needed, rates, devices: int, peak) -> dict:
  """Tokens are those of prompts and responses, padding left out."""
  seconds = _median(step.update_s for step in steps)
  tokens = int(np.sum(steps[-1].batch.segment_BT > 0))
  best = rates.update * devices
  return {
    'tokens': tokens,
    'positions': needed.positions,
    'seconds': [step.update_s for step in steps],
    'tokens_per_s': tokens / seconds,
    'operations_per_s': needed.executed / seconds,
    'share_executed': needed.executed / seconds / best,
    'share_useful': needed.useful / seconds / best,
    'mfu': needed.useful / seconds / (peak * devices) if peak else None,
  }


def of_step(steps, judged: bool) -> dict:
  """Seconds of a step's parts, each the median over the steps."""
  split = {'rollout': _median(step.rollout_s for step in steps)}
  if judged:
    split['verdicts'] = _median(step.verdict_s for step in steps)
  split['update'] = _median(step.update_s for step in steps)
  return {'seconds': _median(step.step_s for step in steps), 'split': split}


def _median(values) -> float:
  return float(np.median(list(values)))


# --- the table --------------------------------------------------------------


def lines(results: dict) -> list[tuple[str, str]]:
  """What a person reads: a name and a figure in words."""
  asked, rollout = results['request'], results['rollout']
  update, step = results['update'], results['step']
  rates, memory = results['rates'], results['memory']
  ratio = asked['length_longest'] / asked['length_mean']
  split = step['split'].items()
  return [
    ('model', f'{asked["model"]}, {asked["parameters"]:,} parameters'),
    ('device', _device(results)),
    ('prompts × responses', f'{asked["prompts"]} × {asked["group_size"]}'),
    ('response tokens', f'{rollout["tokens"]:,}, longest / mean {ratio:.1f}'),
    ('rollout', f'{rollout["tokens_per_s"]:,.0f} tokens/s'),
    ('slot-steps used', f'{rollout["slot_steps_used"]:.1%}'),
    (
      'decode',
      f'{giga(rollout["decode_bytes_per_s"])} GB/s, '
      f'{rollout["share_of_bandwidth"]:.0%} of {giga(rates["bytes_per_s"])}; '
      f'{rollout["share_of_roofline"]:.0%} of its roofline',
    ),
    ('update', f'{update["tokens_per_s"]:,.0f} tokens/s'),
    ('update, operations', _operations(update, rates)),
    ('step', f'{step["seconds"]:.2f} s'),
    ('of it', ', '.join(f'{name} {s:.2f} s' for name, s in split)),
    (f'peak memory, {memory["kind"]}', _memory(memory)),
    (
      'compiled',
      '{programs} programs, {seconds} s'.format_map(results['compiles']),
    ),
  ]


def _device(results: dict) -> str:
  found = results['machine']
  cores = f', {found["cores"]} cores' if found['device'] == 'cpu' else ''
  return (
    f'{found["devices"]} × {found["device"]}{cores}, '
    + (results['request']['compute_dtype'])
  )


def _operations(update: dict, rates: dict) -> str:
  best = giga(rates['update_products_per_s'])
  text = (
    f'{giga(update["operations_per_s"])} GFLOP/s, '
    f'{update["share_executed"]:.0%} of {best}; '
    f'useful {update["share_useful"]:.0%}'
  )
  mfu = update['mfu']
  return text if mfu is None else f'{text}; MFU {mfu:.1%}'


def _memory(memory: dict) -> str:
  words = [
    f'{name} ' + ('–' if memory[name] is None else f'{giga(memory[name])} GB')
    for name in ('rollout', 'step')
  ]
  return ', '.join(words)


def giga(value: float) -> str:
  """In units of 10⁹, three digits."""
  return f'{value / 1e9:.3g}'


def show(workdir: Path, console: rich.console.Console | None = None) -> None:
  """Prints the table: drawn on a terminal, aligned text elsewhere."""
  rows = lines(json.loads((workdir / NAME).read_text()))
  # FORCE_COLOR, which a notebook sets, makes no terminal.
  console = console or rich.console.Console(
    highlight=False, force_terminal=sys.stdout.isatty()
  )
  if console.is_terminal:
    table = rich.table.Table('', '', box=rich.box.SIMPLE, show_header=False)
    for row in rows:
      table.add_row(*row)
    console.print(table)
  else:
    for line in aligned(*rows[:1], rows[1:]):
      console.print(line, markup=False, highlight=False, soft_wrap=True)
  path = f'{workdir}/{NAME}'
  console.print(path, markup=False, highlight=False, soft_wrap=True)
