# SPDX-License-Identifier: Apache-2.0
"""The optimizer, as the jobs build it."""

import jax
import jax.numpy as jnp
import optax

from srpo_jax.core.config import choice


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
  moments_dtype: str = 'float32',
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
    moments_dtype: 'float32' or 'bfloat16', in which both moments are kept; an
      update computes in float32. At b2 = 0.95 a step changes a moment by more
      than bfloat16 rounds away.
  """
  choice('MOMENTS_DTYPE', moments_dtype, ('float32', 'bfloat16'))
  if decay_steps is None:
    after = optax.constant_schedule(learning_rate)
  else:
    after = optax.cosine_decay_schedule(learning_rate, decay_steps)
  warmup = optax.linear_schedule(0.0, learning_rate, max(warmup_steps, 1))
  schedule = optax.join_schedules([warmup, after], [warmup_steps])
  adam = optax.scale_by_adam(b1=b1, b2=b2, eps=eps)
  if moments_dtype != 'float32':
    adam = kept_in(moments_dtype, adam)
  return optax.chain(
    optax.clip_by_global_norm(max_grad_norm),
    # As optax.adamw has it.
    optax.chain(
      adam,
      optax.add_decayed_weights(weight_decay),
      optax.scale_by_learning_rate(schedule),
    ),
  )


def kept_in(
  dtype: str, inner: optax.GradientTransformation
) -> optax.GradientTransformation:
  """The same with the floats of its state kept in `dtype` between updates."""

  def cast(state, to):
    is_float = lambda x: jnp.issubdtype(x.dtype, jnp.floating)
    return jax.tree.map(lambda x: x.astype(to) if is_float(x) else x, state)

  def update(grads, state, params=None):
    updates, state = inner.update(grads, cast(state, 'float32'), params)
    return updates, cast(state, dtype)

  init = lambda params: cast(inner.init(params), dtype)
  return optax.GradientTransformation(init, update)
