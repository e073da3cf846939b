# SPDX-License-Identifier: Apache-2.0
"""python -m srpo_jax.study WORKDIR [WORKDIR ...] [--out=FILE]

Writes the report of a run into its workdir, or of several runs laid over each
other into comparison.html, and prints the path.
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from srpo_jax.core import config
from srpo_jax.study import report


def main(arguments: Sequence[str] | None = None) -> int:
  """Returns the exit status: 0, or 2 where a path is no workdir."""
  parser = argparse.ArgumentParser(
    prog='python -m srpo_jax.study', description='Reports from workdirs.'
  )
  parser.add_argument(
    'workdirs', nargs='+', type=pathlib.Path, metavar='WORKDIR'
  )
  parser.add_argument(
    '--out',
    type=pathlib.Path,
    metavar='FILE',
    help='default: report.html in the workdir; for several comparison.html',
  )
  asked = parser.parse_args(arguments)
  several = len(asked.workdirs) > 1
  name = asked.workdirs[0] / 'report.html'
  out = asked.out or (pathlib.Path('comparison.html') if several else name)
  try:
    print(report.write_report(asked.workdirs, out))
  except config.ConfigError as error:
    print(error.line, file=sys.stderr)
    return 2
  return 0


if __name__ == '__main__':
  sys.exit(main())
