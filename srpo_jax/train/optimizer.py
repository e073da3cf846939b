# SPDX-License-Identifier: Apache-2.0
"""The optimizer, as the jobs build it."""

import jax.numpy as jnp
import optax

from srpo_jax.core import config

MOMENT_DTYPES = ('float32', 'bfloat16')

# A decay must move a number of 8 significant bits: half the step between two
# of them is at most this share of it, and what is less is rounded away.
LEAST_CHANGE = 2.0**-8


def adamw(
  *,
  learning_rate: float,
  warmup_steps: int = 0,
  decay_steps: int | None = None,
  b1: float = 0.9,
  b2: float = 0.95,
  eps: float = 1e-8,
  weight_decay: float = 0.0,
  max_grad_norm: float = 1.0,
  moment_dtype: str = 'float32',
) -> optax.GradientTransformation:
  """AdamW behind a clip of the global norm.

  The paper: betas (0.9, 0.95) and a constant rate (METHOD.md section 2).
  Weight decay, warm-up and the clip were not found: our choice.

  Args:
    learning_rate: the peak.
    warmup_steps: updates of linear warm-up from 0.
    decay_steps: updates until a cosine reaches 0; None keeps the peak.
    b1, b2, eps, weight_decay: of AdamW.
    max_grad_norm: gradients are scaled down to this global norm.
    moment_dtype: both moments lie in it between updates.

  Raises:
    ConfigError: moments cannot be kept in that dtype.
  """
  check_moments(moment_dtype, b1, b2)
  if decay_steps is None:
    after = optax.constant_schedule(learning_rate)
  else:
    after = optax.cosine_decay_schedule(learning_rate, decay_steps)
  warmup = optax.linear_schedule(0.0, learning_rate, max(warmup_steps, 1))
  schedule = optax.join_schedules([warmup, after], [warmup_steps])
  adam = optax.adamw(schedule, b1=b1, b2=b2, eps=eps, weight_decay=weight_decay)
  if moment_dtype != 'float32':
    adam = stored_in(adam, moment_dtype)
  return optax.chain(optax.clip_by_global_norm(max_grad_norm), adam)


def check_moments(moment_dtype: str, b1: float, b2: float) -> None:
  """Refuses other dtypes, and decays that bfloat16 rounds away."""
  config.choice('MOMENT_DTYPE', moment_dtype, MOMENT_DTYPES)
  if moment_dtype == 'float32':
    return
  for name, decay in (('adamw.b1', b1), ('adamw.b2', b2)):
    config.check(
      1 - decay >= LEAST_CHANGE,
      name,
      decay,
      f'be at most {1 - LEAST_CHANGE} with MOMENT_DTYPE = {moment_dtype!r}, '
      'which rounds a smaller decay away',
      'try --gin.MOMENT_DTYPE=float32',
    )


def stored_in(
  inner: optax.GradientTransformation, dtype: str
) -> optax.GradientTransformation:
  """The same optimizer, whose moments lie in `dtype` between updates.

  It computes in float32 and rounds to nearest what it stores. The tree of its
  state is that of `inner`.
  """

  def cast(state, to):
    return optax.tree_utils.tree_map_params(
      inner, lambda x: x.astype(to), state
    )

  def init(params):
    return cast(inner.init(params), dtype)

  def update(grads, state, params=None):
    updates, new = inner.update(grads, cast(state, jnp.float32), params)
    return updates, cast(new, dtype)

  return optax.GradientTransformation(init, update)
