# SPDX-License-Identifier: Apache-2.0
"""The flags of a run on several hosts, and what they may say together.

Flags and not gin: how many hosts there are must not change config.gin.
"""

import argparse
import re

from srpo_jax.core.config import ConfigError
from srpo_jax.core.hosts import AUTO


def add(parser: argparse.ArgumentParser) -> None:
  """Adds them to a parser."""
  flag = parser.add_argument
  flag('--hosts', metavar='N', help='processes of the run; auto: JAX detects')
  flag('--host', metavar='I', help='number of this one, from 0')
  flag('--coordinator', metavar='HOST:PORT', help='where host 0 is reached')


def asked(
  flags: argparse.Namespace,
) -> tuple[str | None, int | str | None, int | None]:
  """What `hosts.start` takes.

  Raises:
    ConfigError: the flags do not fit each other.
  """
  hosts, host, coordinator = flags.hosts, flags.host, flags.coordinator
  own = {'--host': host, '--coordinator': coordinator}
  given = [name for name, value in own.items() if value is not None]
  if hosts in (None, AUTO):
    why = 'without --hosts=N' if hosts is None else f'beside --hosts={AUTO}'
    _check(not given, f'{" and ".join(given)} {why}')
    return None, hosts, None
  n, i = _number('--hosts', hosts, 1), _number('--host', host or '0', 0)
  _check(i < n, f'--host={i}, but hosts count from 0 to {n - 1}')
  if n > 1:
    missing = [name for name in own if name not in given]
    _check(not missing, f'--hosts={n} without {" and ".join(missing)}')
    _check_address(coordinator)
  return coordinator, n, i


def _number(flag: str, text: str, low: int) -> int:
  ok = re.fullmatch(r'\d{1,6}', text) and int(text) >= low
  _check(ok, f'{flag}={text} is not a number from {low} on')
  return int(text)


def _check_address(text: str) -> None:
  port = re.fullmatch(r'[^\s/]+:(\d{1,5})', text)
  ok = port and 0 < int(port[1]) < 2**16
  _check(ok, f'--coordinator={text} is not HOST:PORT')


def _check(ok: object, what: str) -> None:
  if not ok:
    raise ConfigError(
      f'command line: {what}; give --hosts=N --host=I '
      f'--coordinator=HOST:PORT on every host, or --hosts={AUTO} on a TPU pod, '
      'under Slurm or on Kubernetes'
    )
