# SPDX-License-Identifier: Apache-2.0
"""The flags of the service; a wrong one is one line and exit status 2."""

import argparse
import os
from collections.abc import Callable, Sequence
from typing import NoReturn


class Parser(argparse.ArgumentParser):
  """A parser whose errors are one line."""

  def error(self, message: str) -> NoReturn:
    """Says what is wrong and exits with status 2."""
    self.exit(2, f'srpo_jax.reward.service: {message}; see --help\n')


def whole(least: int, most: int) -> Callable[[str], int]:
  """The type of a flag that is an integer within bounds."""

  def read(text: str) -> int:
    if not text.isascii() or not text.isdigit():
      raise argparse.ArgumentTypeError(f'{text!r} is no whole number')
    if not least <= int(text) <= most:
      raise argparse.ArgumentTypeError(f'{text} is not in {least}..{most}')
    return int(text)

  return read


def cores() -> int:
  """Cores that this process may use."""
  return len(os.sched_getaffinity(0))


def add_address(parser: argparse.ArgumentParser) -> None:
  """Where to listen, and who may ask."""
  where = parser.add_mutually_exclusive_group(required=True)
  where.add_argument('--port', type=whole(0, 65535), help='0: any free one')
  where.add_argument(
    '--socket', metavar='PATH', help='a Unix socket, for this user alone'
  )
  parser.add_argument(
    '--host',
    default='127.0.0.1',
    help='address to listen on; other than loopback only with a token',
  )
  parser.add_argument(
    '--token_file',
    metavar='PATH',
    help='holds the bearer token; or SRPO_REWARD_TOKEN in the environment',
  )


def add_work(parser: argparse.ArgumentParser) -> None:
  """What judges, and how much at once."""
  add = parser.add_argument
  add('--workers', type=whole(1, 256), default=2, help='worker processes')
  add(
    '--sandboxes',
    type=whole(1, 1024),
    default=2 * cores(),
    help='programs that may run at once; default twice the cores',
  )
  add(
    '--sandbox',
    choices=('auto', 'bubblewrap', 'landlock'),
    default='auto',
    help='what confines programs; auto takes the strongest that works',
  )
  add(
    '--unsafe_no_sandbox',
    action='store_true',
    help='run programs unconfined: for closed experiments alone',
  )
  add('--queue', type=whole(1, 10**6), default=8192, help='items under way')
  add('--max_items', type=whole(1, 10**6), default=1024, help='in one request')
  add(
    '--verifiers',
    action='append',
    default=[],
    metavar='MODULE',
    help='module with VERIFIERS, a dict of name -> function; repeatable',
  )


def parse_flags(arguments: Sequence[str]) -> argparse.Namespace:
  """The flags; exits with status 2 and one line if one is wrong."""
  parser = Parser(
    'srpo_jax.reward.service',
    description='The reward service; docs/reward.md describes it.',
    allow_abbrev=False,
  )
  add_address(parser)
  add_work(parser)
  parser.add_argument(
    '--log',
    choices=('info', 'warning'),
    default='info',
    help='info: a line for each request',
  )
  parser.add_argument(
    '--exit_with_parent',
    action='store_true',
    help='stop when standard input, a pipe that the parent holds, ends',
  )
  flags = parser.parse_args(arguments)
  if flags.queue < flags.max_items:
    parser.error(
      f'--queue={flags.queue} is below --max_items={flags.max_items}'
    )
  return flags
