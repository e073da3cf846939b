# SPDX-License-Identifier: Apache-2.0
"""Flags -> gin -> one job.

A rerun with the same workdir resumes. Exit status: 0 done; 2 what was asked
is wrong, told in one line before any device work; 75 interrupted with a
checkpoint written, start it again; 1 anything else.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from srpo_jax.core import config, host_flags, hosts

USAGE = '%(prog)s --gin_file=FILE [--gin.NAME=VALUE ...] [--workdir=DIR]'
EXAMPLE = 'Example: %(prog)s --gin_file=stage1.gin --gin.STEPS=12 --dry_run'


class _Parser(argparse.ArgumentParser):
  def error(self, message: str) -> None:
    raise config.ConfigError(f'command line: {message}; see --help')


def parse_flags(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
  """The flags, and what stands in `--gin.NAME=VALUE` as `NAME=VALUE`."""
  parser = _Parser('python -m srpo_jax.main', USAGE, __doc__, EXAMPLE)
  add = parser.add_argument
  job = 'a job, found in gin/; repeat it to add models, prompts, a mesh'
  add('--gin_file', action='append', default=[], metavar='FILE', help=job)
  add('--workdir', help='where results go (default: runs/NAME of the job)')
  add('--dry_run', action='store_true', help='print the config and stop')
  host_flags.add(parser)
  own = [arg for arg in argv if not arg.startswith('--gin.')]
  overrides = [a.removeprefix('--gin.') for a in argv if a not in own]
  return parser.parse_args(own), overrides


def main(argv: Sequence[str]) -> int:
  """Runs the job asked for; returns the exit status."""
  try:
    flags, overrides = parse_flags(argv)
    text = config.load(flags.gin_file, overrides)
    if flags.dry_run:
      print(text)
      return 0
    workdir = Path(flags.workdir or f'runs/{Path(flags.gin_file[0]).stem}')
    hosts.start(*host_flags.asked(flags))
    hosts.same_everywhere('config', f'--workdir={workdir}\n{text}')
    hosts.share_workdir(workdir, text)
    config.run(workdir)
    hosts.barrier('end')
  except (config.ConfigError, config.Interrupted) as error:
    print(error.line, file=sys.stderr)
    return error.status
  return 0


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
