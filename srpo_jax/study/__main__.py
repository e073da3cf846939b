# SPDX-License-Identifier: Apache-2.0
"""python -m srpo_jax.study WORKDIR [WORKDIR ...] [--out=FOLDER] [--label=TEXT]

Writes the report of a run into its workdir, or a comparison of several runs
into a folder beside the first, and prints the path of the page. The figures go
into the folder `figures` beside the page.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from srpo_jax.core import config
from srpo_jax.study import report


def main(arguments: Sequence[str] | None = None) -> int:
  """Returns the exit status: 0, or 2 where what was asked is wrong."""
  parser = argparse.ArgumentParser(
    prog='python -m srpo_jax.study', description='Reports from workdirs.'
  )
  parser.add_argument(
    'workdirs', nargs='+', type=pathlib.Path, metavar='WORKDIR'
  )
  parser.add_argument(
    '--out',
    type=pathlib.Path,
    metavar='FOLDER',
    help='default: the workdir; for several `comparison` beside the first',
  )
  parser.add_argument(
    '--label',
    action='append',
    default=[],
    metavar='TEXT',
    help='once for each run (equal labels make a group) or for each group; '
    'default: what differs in the configs',
  )
  asked = parser.parse_args(arguments)
  try:
    print(_write(asked.workdirs, asked.out, asked.label))
  except config.ConfigError as error:
    print(error.line, file=sys.stderr)
    return 2
  return 0


def _write(
  workdirs: list[pathlib.Path], out: pathlib.Path | None, labels: list[str]
) -> pathlib.Path:
  """The page of one run, or of several."""
  first, several = workdirs[0], len(workdirs) > 1
  folder = out or (first.resolve().parent / 'comparison' if several else first)
  if folder.is_file() or folder.suffix == '.html':
    raise config.ConfigError(
      f'--out={folder}: not a folder; name the folder that the page goes into'
    )
  name = 'comparison.html' if several else 'report.html'
  return report.write_report(workdirs, folder / name, labels=labels, files=True)


if __name__ == '__main__':
  sys.exit(main())
