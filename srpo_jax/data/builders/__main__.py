# SPDX-License-Identifier: Apache-2.0
"""Builds the embedded prompt sets anew.

  python -m srpo_jax.data.builders [--out=FOLDER]

Writes FOLDER/embedded_math and FOLDER/embedded_code; the default is the
package's own srpo_jax/assets/prompts, which is what gets shipped.
"""

import argparse
import functools
import pathlib
import shutil

from srpo_jax.data.builders import store
from srpo_jax.data.builders.procedural import COUNTS, Procedural

ASSETS = pathlib.Path(__file__).parents[2] / 'assets' / 'prompts'


def main() -> None:
  """Parses the one flag and builds every config."""
  parser = argparse.ArgumentParser(prog='python -m srpo_jax.data.builders')
  parser.add_argument('--out', type=pathlib.Path, default=ASSETS)
  out = parser.parse_args().out
  for config in COUNTS:
    if (out / config).exists():
      shutil.rmtree(out / config)
    store.write(functools.partial(Procedural, config=config), out / config)
    print(out / config)


if __name__ == '__main__':
  main()
