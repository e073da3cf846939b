# SPDX-License-Identifier: Apache-2.0
"""How long the responses of a benchmark are: one function each, bound in gin.

(rng, P, G, max_new_tokens) -> length_PG, whole numbers from 1 to
max_new_tokens. They are forced on the rollouts, so that two engines that are
compared write the same number of tokens. A function of your own is bound the
same way (docs/speed.md).
"""

from pathlib import Path
from statistics import NormalDist

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from srpo_jax.core import config
from srpo_jax.core.config import ConfigError


def equal_lengths(
  rng: np.random.Generator, P: int, G: int, max_new_tokens: int
) -> np.ndarray:
  """Every response is as long as it may be."""
  del rng
  return np.full((P, G), max_new_tokens, np.int32)


def log_normal_lengths(
  rng: np.random.Generator,
  P: int,
  G: int,
  max_new_tokens: int,
  *,
  sigma: float = 1.0,
) -> np.ndarray:
  """The P·G quantiles of a log-normal in random order; a long tail.

  lengthᵢ = T exp(σ (zᵢ − z_last)), zᵢ the normal quantile of (i + ½) / PG, so
  the longest takes all T = max_new_tokens. Quantiles and not draws: the tail
  is the same for every seed. At σ = 1 and 16 × 8 rows the longest is 8.7
  times the mean.

  Args:
    sigma: of log length; our choice.
  """
  config.number('LENGTH_SIGMA', sigma, 0)
  share_n = (np.arange(P * G) + 0.5) / (P * G)
  z_n = np.array([NormalDist().inv_cdf(share) for share in share_n])
  length_n = max_new_tokens * np.exp(sigma * (z_n - z_n[-1]))
  length_n = np.maximum(np.rint(length_n), 1).astype(np.int32)
  return rng.permutation(length_n).reshape(P, G)


def measured_lengths(
  rng: np.random.Generator,
  P: int,
  G: int,
  max_new_tokens: int,
  *,
  workdir: str | None = None,
) -> np.ndarray:
  """Lengths of a run's responses, P·G of its quantiles in random order.

  Args:
    workdir: of the run, with rollouts/*.parquet.

  Raises:
    ConfigError: there are none, or they are longer than max_new_tokens.
  """
  tokens_n = _tokens(workdir)
  if tokens_n.max() > max_new_tokens:
    raise ConfigError(
      f'MEASURED = {workdir!r}: its longest response has {tokens_n.max()} '
      f'tokens, MAX_NEW_TOKENS is {max_new_tokens}; try '
      f'--gin.MAX_NEW_TOKENS={tokens_n.max()}'
    )
  share_n = (np.arange(P * G) + 0.5) / (P * G)
  length_n = np.quantile(tokens_n, share_n, method='inverted_cdf')
  return rng.permutation(length_n.astype(np.int32)).reshape(P, G)


def _tokens(workdir: str | None) -> np.ndarray:
  """The length of every response that a run has written."""
  paths = sorted(Path(workdir or '').glob('rollouts/*.parquet'))
  if workdir is None or not paths:
    raise ConfigError(
      f'MEASURED = {workdir!r}: no rollouts/*.parquet there; name the workdir '
      'of a training run, --gin.MEASURED=runs/stage1'
    )
  try:
    tables = [pq.read_table(path, columns=['tokens']) for path in paths]
  except (OSError, pa.ArrowException) as error:
    reason = str(error).splitlines()[0]
    raise ConfigError(
      f'MEASURED = {workdir!r}: its rollouts cannot be read ({reason}); name '
      'the workdir of a training run'
    ) from error
  return pa.concat_tables(tables)['tokens'].to_numpy()
