# SPDX-License-Identifier: Apache-2.0
"""The optimizer, as the jobs build it."""

import optax


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
  """
  if decay_steps is None:
    after = optax.constant_schedule(learning_rate)
  else:
    after = optax.cosine_decay_schedule(learning_rate, decay_steps)
  warmup = optax.linear_schedule(0.0, learning_rate, max(warmup_steps, 1))
  schedule = optax.join_schedules([warmup, after], [warmup_steps])
  return optax.chain(
    optax.clip_by_global_norm(max_grad_norm),
    optax.adamw(schedule, b1=b1, b2=b2, eps=eps, weight_decay=weight_decay),
  )
