# SPDX-License-Identifier: Apache-2.0
"""The environment of child processes: the service's and its workers'."""

import os
from pathlib import Path

THREADS = ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS')


def child_environment() -> dict[str, str]:
  """Ours, so that the child finds this package and computes in one thread.

  A worker is one of several, and each BLAS thread costs it address space. One
  hash seed for all: sympy's answers can depend on the order of a set.
  """
  root = str(Path(__file__).resolve().parents[2])
  path = os.environ.get('PYTHONPATH')
  return {
    **os.environ,
    **dict.fromkeys(THREADS, '1'),
    'PYTHONHASHSEED': '0',
    'PYTHONPATH': f'{root}{os.pathsep}{path}' if path else root,
  }
