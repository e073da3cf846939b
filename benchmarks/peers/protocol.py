# SPDX-License-Identifier: Apache-2.0
"""How a peer is told what to do: JSON lines on stdin, JSON lines on stdout.

The first line is a work order. The peer loads, does the work once to compile
and warm up, and writes a line that says what it is. For each further line it
does the work once more and writes what that took; it ends when stdin does.
Only the standard library is imported here: every environment has it.
"""

import dataclasses
import json
import os
import resource
import sys

TASKS = ('rollout', 'update', 'step')


class OrderError(Exception):
  """A work order that makes no sense."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
  """What is to be done.

  Attributes:
    task: 'rollout'; 'update' on given responses; 'step' for both.
    folder: Hugging Face folder with weights and a tokenizer of numbers.
    prompts: token ids, P of them.
    group_size: G, responses to each.
    max_new_tokens: of the longest response.
    end_ids: tokens that end a response; empty for none.
    limits: tokens of each of the P·G responses, forced; None if they end by
      `end_ids` or are all as long.
    responses: token ids of P·G responses, for an update.
    micro_rows: responses in a micro-batch.
    learning_rate: of AdamW with betas (0.9, 0.95) behind a clip to norm 1.
    dtype: of weights and activations.
    threads: cores of the machine.
    seed: of the tokens.
  """

  task: str
  folder: str
  prompts: list[list[int]]
  group_size: int
  max_new_tokens: int
  end_ids: list[int] = dataclasses.field(default_factory=list)
  limits: list[int] | None = None
  responses: list[list[int]] | None = None
  micro_rows: int = 16
  learning_rate: float = 1e-6
  dtype: str = 'float32'
  threads: int = 2
  seed: int = 0

  def __post_init__(self):
    rows = self.rows
    if self.task not in TASKS:
      raise OrderError(f'task = {self.task!r}, but it must be one of {TASKS}')
    if not self.prompts or not all(self.prompts):
      raise OrderError('prompts: there are none, or one of them is empty')
    for name in ('limits', 'responses'):
      given = getattr(self, name)
      if given is not None and len(given) != rows:
        raise OrderError(f'{name}: {len(given)} given for {rows} responses')
    if self.task == 'update' and self.responses is None:
      raise OrderError('responses: an update needs them')
    if rows % self.micro_rows:
      raise OrderError(f'micro_rows = {self.micro_rows} does not cut {rows}')
    if self.limits is not None and self.end_ids:
      raise OrderError('limits and end_ids: give one of the two')

  @property
  def rows(self) -> int:
    """P·G."""
    return len(self.prompts) * self.group_size

  @property
  def advantages(self) -> list[float]:
    """+1 and −1 in turn: values change no cost."""
    return [1.0 - 2.0 * (row % self.group_size % 2) for row in range(self.rows)]


def parse(line: str) -> Order:
  """A work order from its line.

  Raises:
    OrderError: no JSON object, or fields that are missing, unknown or wrong.
  """
  try:
    return Order(**json.loads(line))
  except (TypeError, ValueError) as error:
    raise OrderError(f'no work order: {error}') from error


class Channel:
  """The peer's end. Made first, before anything can write to stdout."""

  def __init__(self):
    # Libraries print what they like: to stderr with it.
    self._out = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)

  def read_order(self) -> Order:
    """The work order, with this process held to its cores.

    Called before numpy, jax or torch are imported: they count cores once.
    """
    try:
      order = parse(sys.stdin.readline())
    except OrderError as error:
      sys.exit(str(error))
    cores = sorted(os.sched_getaffinity(0))[: order.threads]
    os.sched_setaffinity(0, cores)
    os.environ['OMP_NUM_THREADS'] = str(len(cores))
    os.environ.setdefault('HF_HUB_OFFLINE', '1')
    return order

  def ready(self, **about) -> None:
    """Says what this peer is, after its warm-up."""
    self._write(about)

  def wait(self) -> bool:
    """True once there is more to do, False at the end."""
    return bool(sys.stdin.readline())

  def report(self, seconds: float, lengths: list[int], **more) -> None:
    """What one piece of work took; lengths of the responses."""
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    self._write(
      {
        'seconds': seconds,
        'tokens': int(sum(lengths)),
        'longest': int(max(lengths)),
        'peak_bytes': peak,
        **more,
      }
    )

  def _write(self, fields: dict) -> None:
    self._out.write(json.dumps(fields) + '\n')
    self._out.flush()


def length_of(
  tokens: list[int], ends: set[int], limit: int | None = None
) -> int:
  """Tokens of a response up to its end token, that one included."""
  for n, token in enumerate(tokens[:limit], start=1):
    if token in ends:
      return n
  return len(tokens[:limit])
