# SPDX-License-Identifier: Apache-2.0
"""The update: gradient of the loss over micro-batches, then the optimizer.

A loss divides its sums by totals of the whole batch, known before the first
micro-batch, so cutting the batch changes nothing but memory. Micro-batches
after the last that holds a token are not computed: packed sequences
(packing.py) fill more of them in one step than in another, and the compiled
program stays the same.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from srpo_jax.core import mesh as mesh_lib
from srpo_jax.core.masked import masked_sum
from srpo_jax.core.records import Batch
from srpo_jax.policy.policy import Policy
from srpo_jax.srpo.importance import no_weights
from srpo_jax.srpo.loss import mismatch_kl, totals_of
from srpo_jax.train.state import TrainState, state_shardings

# (logprob_BT, logprob_old_BT, advantage_BT, mask_BT, segment_BT, totals) ->
# part, sums.
Loss = Callable[..., tuple[jax.Array, dict[str, jax.Array]]]


class Update(NamedTuple):
  """Compiled functions of the state.

  Attributes:
    apply: (state, batch) -> state, metrics. The state is donated.
    score: (params, batch) -> batch with the trainer's own old
      log-probabilities, for several updates on one batch of rollouts.
    gradient: (params, batch) -> loss, gradient of what is trained, metrics
      (not compiled).
  """

  apply: Callable
  score: Callable
  gradient: Callable


def its_own(logprob_BT: jax.Array, old_BT: jax.Array) -> jax.Array:
  """With one update per rollout the old policy is this very policy."""
  del old_BT
  return jax.lax.stop_gradient(logprob_BT)


def as_stored(logprob_BT: jax.Array, old_BT: jax.Array) -> jax.Array:
  """With several, the old log-probabilities are those `score` stored."""
  del logprob_BT
  return old_BT


def make_update(
  policy: Policy,
  optimizer: optax.GradientTransformation,
  loss: Loss,
  mesh: Mesh,
  *,
  temperature: float = 1.0,
  micro_rows: int | None = None,
  old: Callable = its_own,
  importance: Callable = no_weights,
) -> Update:
  """The update of a policy under a loss.

  Args:
    temperature: of the log-probabilities; the sampler's.
    micro_rows: rows that are computed at a time, on all devices together; a
      divisor of the batch's rows. None for all of them.
    old: `its_own` or `as_stored`.
    importance: weights between sampler and trainer (srpo/importance.py).
  """
  gradient = _make_gradient(
    policy, loss, mesh, temperature, micro_rows, old, importance
  )

  def apply(state: TrainState, batch: Batch):
    value, grads, metrics = gradient(state.params, batch)
    trained, frozen = policy.split(state.params)
    updates, opt_state = optimizer.update(grads, state.opt_state, trained)
    params = policy.join(optax.apply_updates(trained, updates), frozen)
    norm = optax.tree.norm(grads)
    new = TrainState(state.step + 1, params, opt_state)
    return new, {**metrics, 'loss': value, 'grad_norm': norm}

  def score(params, batch: Batch):
    def of_part(part):
      logprob_BT, _ = _logprobs(policy, params, part, temperature)
      return logprob_BT

    parts = _cut(mesh, batch, micro_rows)
    logprob_BT = _uncut(_each(of_part, parts))
    return batch.replace(logprob_old_BT=logprob_BT)

  # Left to itself the compiler gives a state other shardings than it took,
  # and the second step compiles once more.
  shapes = jax.eval_shape(policy.init, jax.random.key(0))
  out = (state_shardings(policy, optimizer, mesh, shapes), None)
  return Update(
    apply=jax.jit(apply, donate_argnums=0, out_shardings=out),
    score=jax.jit(score),
    gradient=gradient,
  )


def _logprobs(policy, params, batch, temperature):
  return policy.logprobs(
    params,
    batch.tokens_BT,
    batch.position_BT,
    batch.segment_BT,
    temperature,
    batch.mask_BT,
  )


def _make_gradient(
  policy, loss, mesh, temperature, micro_rows, old, importance
):
  def objective(trained, frozen, batch, totals):
    params = policy.join(trained, frozen)
    logprob_BT, entropy_BT = _logprobs(policy, params, batch, temperature)
    mask_BT, segment_BT = batch.mask_BT, batch.segment_BT
    old_BT = old(logprob_BT, batch.logprob_old_BT)
    rollout_BT = batch.logprob_rollout_BT
    weight_BT = importance(old_BT, rollout_BT, mask_BT, segment_BT)
    advantage_BT = batch.advantage_BT * weight_BT
    args = (logprob_BT, old_BT, advantage_BT, mask_BT, segment_BT)
    value, sums = loss(*args, totals)
    sums = {
      **sums,
      'entropy': masked_sum(entropy_BT, mask_BT),
      'mismatch/kl': mismatch_kl(logprob_BT, rollout_BT, mask_BT),
    }
    means = jax.tree.map(lambda x: x / totals.tokens, sums)
    return value, means

  def gradient(params, batch: Batch):
    totals = totals_of(batch.mask_BT, batch.segment_BT)
    trained, frozen = policy.split(params)
    of_part = jax.value_and_grad(objective, has_aux=True)
    parts = _cut(mesh, batch, micro_rows)
    (value, means), grads = _sum(
      lambda part: of_part(trained, frozen, part, totals), parts
    )
    return value, grads, means

  return gradient


def _used(parts: Batch) -> jax.Array:
  """Micro-batches up to the last one that holds a token."""
  used_n = jnp.any(parts.segment_BT > 0, axis=(1, 2))
  return jnp.max(jnp.where(used_n, 1 + jnp.arange(len(used_n)), 0))


def _take(parts: Batch, i) -> Batch:
  return jax.tree.map(lambda x: x[i], parts)


def _sum(f: Callable, parts: Batch):
  """Σ f(part) over the parts in use; the sum is held once."""
  if len(parts.segment_BT) == 1:
    return f(_take(parts, 0))  # without a second buffer to add to

  def add(i, total):
    return jax.tree.map(jnp.add, total, f(_take(parts, i)))

  shapes = jax.eval_shape(f, _take(parts, 0))
  zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
  return jax.lax.fori_loop(0, _used(parts), add, zeros)


def _each(f: Callable, parts: Batch) -> jax.Array:
  """f(part) [B, T] of each part in use, 0 of the others: [n, B, T]."""
  put = lambda i, out: out.at[i].set(f(_take(parts, i)))
  out = jnp.zeros(parts.segment_BT.shape, jnp.float32)
  return jax.lax.fori_loop(0, _used(parts), put, out)


def _cut(mesh: Mesh, batch: Batch, rows: int | None) -> Batch:
  """[rows of all, ..] -> [n, rows, ..]; part i holds rows i, i + n, ..

  Strided, so that every part is spread over the same devices as the batch.
  """

  def cut(x):
    B = rows or len(x)
    parts = x.reshape(B, len(x) // B, *x.shape[1:]).swapaxes(0, 1)
    return mesh_lib.constrain(mesh, parts, None, 'batch', 'tokens')

  return jax.tree.map(cut, batch)


def _uncut(x_nBT: jax.Array) -> jax.Array:
  """The rows of all parts, in the order they were cut from."""
  return x_nBT.swapaxes(0, 1).reshape(-1, x_nBT.shape[-1])
