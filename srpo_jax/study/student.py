# SPDX-License-Identifier: Apache-2.0
"""Student's t, central and not, in numpy: few seeds need it.

A t variable is (Z + shift) / S, with Z normal and S² chi-square over its
degrees of freedom; every probability here is a normal one averaged over S.
"""

import functools
import math

import numpy as np

_POINTS = 2001


def cdf(t: float, df: int, shift: float = 0.0) -> float:
  """P(T <= t) of the (noncentral) t distribution.

  Args:
    t: where.
    df: degrees of freedom, at least 1.
    shift: the noncentrality; 0 is Student's own.
  """
  s, weight = _spread(df)
  z = (t * s - shift) / math.sqrt(2)
  normal = np.array([0.5 * (1 + math.erf(x)) for x in z])
  return float(np.sum(weight * normal))


@functools.cache
def quantile(p: float, df: int) -> float:
  """The t with P(T <= t) = p."""
  return _bisect(lambda t: cdf(t, df) - p, -1e3, 1e3)


@functools.cache
def detectable(df: int, power: float = 0.8, level: float = 0.05) -> float:
  """The shift that a two-sided test finds with a chance of `power`.

  In units of the standard error: times sd/√n it is the smallest effect that
  could have been seen.
  """
  edge = quantile(1 - level / 2, df)

  def missing(shift: float) -> float:
    found = 1 - cdf(edge, df, shift) + cdf(-edge, df, shift)
    return found - power

  return _bisect(missing, 0.0, 200.0)


@functools.cache
def _spread(df: int) -> tuple[np.ndarray, np.ndarray]:
  """Values of S and their weights, which sum to 1."""
  reach = 9 / math.sqrt(df)
  s = np.linspace(max(1 - reach, 1e-9), 1 + reach, _POINTS)
  log = (df - 1) * np.log(s) - df * s**2 / 2
  weight = np.exp(log - log.max())
  # The trapezoid rule: df = 1 has much of its weight at the end 0.
  weight[[0, -1]] /= 2
  return s, weight / weight.sum()


def _bisect(rising, low: float, high: float) -> float:
  """Where a rising function crosses 0."""
  for _ in range(60):
    middle = (low + high) / 2
    low, high = (low, middle) if rising(middle) > 0 else (middle, high)
  return (low + high) / 2
