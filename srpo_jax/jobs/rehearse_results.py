# SPDX-License-Identifier: Apache-2.0
"""What was compiled against what a chip has: table, time, advice. No jax.

Numbers of the chips are Google's:
https://docs.cloud.google.com/tpu/docs/v5e, /v5p and /v6e.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

GIB = 2**30
FULL = 0.95  # of the room: beyond, no shorter response helps; our choice


class Chip(NamedTuple):
  """Attributes:
  hbm: bytes.
  flops: bfloat16, a second.
  bandwidth: bytes of HBM a second.
  """

  hbm: float
  flops: float
  bandwidth: float


CHIPS = {
  'v5e': Chip(16 * GIB, 197e12, 819e9),
  'v5p': Chip(95 * GIB, 459e12, 2765e9),
  'v6e': Chip(32 * GIB, 918e12, 1638e9),
}


class Row(NamedTuple):
  """A program on one chip; bytes but for `flops` and `seconds`.

  Attributes:
    name: of the program.
    argument, output, temporary, aliased: as XLA gives them.
    peak: the most that the program has at a time, arguments with it.
    beside: what is there meanwhile and none of its arguments.
    flops, moved: of all its loops' rounds.
    compile_s: seconds that compiling took.
  """

  name: str
  argument: int
  output: int
  temporary: int
  aliased: int
  peak: int
  beside: int
  flops: float
  moved: float
  compile_s: float

  @property
  def live(self) -> int:
    """Bytes that must be there at the same time."""
    return self.peak + self.beside

  def seconds(self, chip: Chip) -> float:
    """The least that products and memory allow."""
    return max(self.flops / chip.flops, self.moved / chip.bandwidth)


class Parts(NamedTuple):
  """Bytes on a chip, by what they are for.

  Attributes:
    params, moments: of the training state.
    prompts, ring: keys and values of prompts, and of the slots' responses.
  """

  params: int
  moments: int
  prompts: int
  ring: int


class Asked(NamedTuple):
  """What advice may change.

  Attributes:
    samples, slots: responses of a step, and of those at a time.
    tokens: the longest response.
    row: ROW_TOKENS.
    micro: tokens that a device takes at a time in the update.
    remat, cache: macros, as used.
    steps: of decoding in a chunk.
  """

  samples: int
  slots: int
  tokens: int
  row: int
  micro: int
  remat: str
  cache: str
  steps: int


def step_seconds(rows: Sequence[Row], chip: Chip, asked: Asked) -> dict:
  """The roofline's time of a step whose responses are all the longest.

  All slots then begin and end together, wave after wave.
  """
  one = {row.name: row.seconds(chip) for row in rows}
  found = {
    name: one[name] for name in ('score', 'draw', 'begin') if name in one
  }
  if 'chunk' in one:
    waves = math.ceil(asked.samples / asked.slots)
    chunks = waves * math.ceil((asked.tokens - 1) / asked.steps)
    found['decode'] = one['chunk'] * chunks
  return {**found, 'update': one['update']}


def misfit(rows: Sequence[Row], chip: Chip, margin: float) -> Row | None:
  """The program that needs most, if it leaves less than the margin."""
  most = max(rows, key=lambda row: row.live)
  return most if most.live > chip.hbm * (1 - margin) else None


def advice(row_name: str, parts: Parts, asked: Asked, room: float) -> str:
  """What to change, by what takes most in the program that does not fit.

  Args:
    row_name: the program.
    parts: of the memory.
    asked: what was asked.
    room: bytes that may be used.
  """
  if fixed(row_name, parts) > FULL * room:
    return _of_state(parts)
  if row_name in ('update', 'score'):
    return _of_update(asked)
  if row_name == 'begin':
    return 'fewer PROMPTS_PER_STEP or MAX_PROMPT_TOKENS, or more fsdp in MESH'
  return _of_cache(asked)


def fixed(row_name: str, parts: Parts) -> int:
  """Bytes that stay however short responses are.

  An update has the gradient of a micro-batch and the sum of those before; a
  draw has parameters of its own.
  """
  copies = 2 if row_name == 'update' else 1
  return parts.moments + (1 + copies) * parts.params


def _of_state(parts: Parts) -> str:
  less = 'more fsdp or tensor in MESH, that is more chips'
  if parts.moments >= 2 * parts.params:
    return f"--gin.MOMENT_DTYPE='bfloat16' or {less}"
  return f'--gin_file=lora.gin or {less}'


def _of_update(asked: Asked) -> str:
  if asked.micro >= 2 * asked.row:
    half = max(asked.micro // 2, asked.row)
    return f'--gin.MICRO_BATCH_TOKENS={half}'
  if asked.remat != 'nothing':
    return "--gin.REMAT='nothing'"
  return (
    'more sequence or tensor in MESH: a device already takes one row at a '
    f'time; or --gin.MAX_NEW_TOKENS={asked.tokens // 2}'
  )


def _of_cache(asked: Asked) -> str:
  less = [f'--gin.MAX_NEW_TOKENS={asked.tokens // 2}']
  if asked.cache != 'int8':
    less.insert(0, "--gin.CACHE_DTYPE='int8'")
  if asked.slots > 1:
    less.insert(0, f'--gin.SLOTS={max(asked.slots // 2, 1)}')
  return ' or '.join(less)


def lines(results: dict) -> list[str]:
  """What a person reads."""
  asked, chip = results['request'], results['chip']
  head = (
    f'{asked["model"]}, {asked["parameters"]:,} parameters, on '
    f'{asked["chips"]} chips of {asked["topology"]}, mesh {asked["mesh"]}; '
    f'{chip["hbm"] / GIB:.0f} GiB a chip'
  )
  columns = ('argument', 'output', 'temporary', 'aliased', 'peak', 'beside')
  title = ['', *columns, 'together', 'of HBM', 'TFLOP', 'GB', 's', 'compiled']
  table = [title]
  for row in results['programs']:
    size = [f'{row[name] / GIB:.2f}' for name in (*columns, 'live')]
    share, work = f'{row["live"] / chip["hbm"]:.0%}', row['flops'] / 1e12
    cost = [f'{work:.3g}', f'{row["moved"] / 1e9:.3g}', f'{row["seconds"]:.3g}']
    took = f'{row["compile_s"]:.0f} s'
    table.append([row['name'], *size, share, *cost, took])
  widths = [max(map(len, column)) for column in zip(*table, strict=True)]
  aligned = [
    '  '.join(x.rjust(w) for x, w in zip(row, widths, strict=True))
    for row in table
  ]
  held = [f'{k} {v / GIB:.2f}' for k, v in results['parts'].items()]
  step = results['step']
  split = ', '.join(f'{k} {v:.3g}' for k, v in step['split'].items())
  return [
    head,
    *aligned,
    f'GiB on a chip: {", ".join(held)}',
    f'roofline of a step: {step["seconds"]:.3g} s ({split}), if every response '
    f'has {asked["tokens"]:,} tokens',
    *(f'  {line}' for line in ASSUMED),
  ]


ASSUMED = (
  'FLOPs and bytes are those of products, counted in the jaxpr with every '
  "loop's rounds, spread evenly over the chips; each shard of the batch reads "
  'all weights;',
  'at the peak of bfloat16 products and of HBM; nothing for what passes '
  'between chips, for the host, or for verdicts.',
)
