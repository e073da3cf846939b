# SPDX-License-Identifier: Apache-2.0
"""Times attention in tiles beside the scores of whole rows, on this machine.

  python benchmarks/attention_tiles.py --tiles 128 256 512

Forward and backward, float32, 9 query heads and 3 key heads of 64 (SmolLM2's),
4,096 tokens a batch. The ways take turns and the least time of each is
printed, so that what else the machine does counts little.
"""

import argparse
import functools
import time

import jax
import jax.numpy as jnp
import numpy as np

from srpo_jax.policy.attention import causal
from srpo_jax.policy.attention.tiled import tiled

TOKENS, HEADS, KEY_HEADS, HEAD_DIM = 4096, 9, 3, 64
SEGMENT = 200  # tokens of each segment of a packed row


def arrays(T: int, packed: bool):
  """q, k, v and segments of TOKENS // T rows."""
  rng = np.random.default_rng(0)
  B = TOKENS // T
  shapes = [(B, T, n, HEAD_DIM) for n in (HEADS, KEY_HEADS, KEY_HEADS)]
  segment = np.arange(T) // SEGMENT + 1 if packed else np.ones(T)
  qkv = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
  return *qkv, np.tile(segment.astype(np.int32), (B, 1))


def compiled(attend, args):
  """A gradient, and the memory in MiB that it takes beside what it is given."""
  loss = lambda *args: jnp.sum(jnp.square(attend(*args)))
  run = jax.jit(jax.grad(loss, argnums=(0, 1, 2))).lower(*args).compile()
  return run, run.memory_analysis().temp_size_in_bytes / 2**20


def seconds(runs, args, turns: int) -> list[float]:
  """The least time of each."""
  least = [float('inf')] * len(runs)
  for _ in range(turns):
    for i, run in enumerate(runs):
      begin = time.perf_counter()
      jax.block_until_ready(run(*args))
      least[i] = min(least[i], time.perf_counter() - begin)
  return least


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--tiles', type=int, nargs='+', default=[256])
  parser.add_argument('--turns', type=int, default=5)
  arguments = parser.parse_args()
  ways = {'whole': causal}
  for tile in arguments.tiles:
    ways[f'tiles of {tile}'] = functools.partial(tiled, tile=tile)
  print('| row | ' + ' | '.join(f'{way}: ms, MiB' for way in ways) + ' |')
  print('|---' * (len(ways) + 1) + '|')
  for T in (512, 1024, 2048, 4096):
    for packed in (False, True):
      args = arrays(T, packed)
      runs, memory = zip(
        *(compiled(way, args) for way in ways.values()), strict=True
      )
      least = seconds(runs, args, arguments.turns)
      cells = [
        f'{1e3 * s:.0f}, {m:.0f}' for s, m in zip(least, memory, strict=True)
      ]
      row = f'{T}{" packed" if packed else ""}'
      print(f'| {row} | ' + ' | '.join(cells) + ' |', flush=True)


if __name__ == '__main__':
  main()
