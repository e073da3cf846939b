# SPDX-License-Identifier: Apache-2.0
"""Which attention a policy runs, by the devices of its mesh.

Chosen once, when the policy is made. Backends stand in two tables at the end,
by the name that a device gives its platform; one that is not in them gets
plain jax.
"""

import functools
from collections.abc import Callable

import jax
from jax.sharding import Mesh

from srpo_jax.core.mesh import RULES, Rules
from srpo_jax.policy.attention.dense import causal
from srpo_jax.policy.attention.over_mesh import over_mesh, slots_over_mesh
from srpo_jax.policy.attention.tiled import TILE, tiled
from srpo_jax.policy.config import DecoderConfig
from srpo_jax.policy.kinds import EVERYTHING


def whole_sequences(
  config: DecoderConfig, mesh: Mesh, rules: Rules = RULES
) -> Callable:
  """Causal attention inside segments, for a decoder on a mesh.

  Returns:
    (q_BTNH, k_BTKH, v_BTKH, segment_BT, window) -> out_BTNH, differentiable;
    segment 0 is padding. The window is the layer's of kinds.py: a number, or
    what a scan over layers has in its place.
  """
  make = WHOLE.get(mesh.devices.flat[0].platform, _on_cpu)
  is_local = {i in config.local_layers for i in range(config.n_layers)}
  attends = {
    local: make(config, mesh, config.window if local else None, rules)
    for local in is_local
  }
  if len(attends) == 1:
    (only,) = attends.values()
    return lambda q, k, v, segment, window: only(q, k, v, segment)

  def attend(q, k, v, segment, window):
    local = window < EVERYTHING
    # Kernels want windows that are known. A scan decides as it runs.
    if isinstance(local, jax.core.Tracer):
      args = (q, k, v, segment)
      return jax.lax.cond(local, attends[True], attends[False], *args)
    return attends[bool(local)](q, k, v, segment)

  return attend


def slot_kernel(config: DecoderConfig, mesh: Mesh) -> Callable | None:
  """Attention of slots that decode, for a decoder on a mesh.

  Returns:
    (q_XSNH, fed_kv, prompt_kv, own_kv, sight) -> out_XSNH: the arguments of
    slots.py with a first axis more, the shards of the batch. None where there
    is no kernel, and plain jax does it (slot_attention.py).
  """
  make = SLOTS.get(mesh.devices.flat[0].platform)
  own = {'scale': config.query_scale, 'softcap': config.attention_softcap}
  return make and make(mesh, own)


def _slots_on_tpu(mesh, own):
  from srpo_jax.policy.attention.slots_tpu import decode_slots_tpu

  return slots_over_mesh(mesh, functools.partial(decode_slots_tpu, **own))


def _own(config: DecoderConfig, window: int | None) -> dict:
  """What `causal` and its like are told."""
  return {
    'scale': config.query_scale,
    'softcap': config.attention_softcap,
    'window': window,
  }


def _on_cpu(config, mesh, window, rules):
  """A row's tiles one after another; the scores of short rows whole."""
  whole = functools.partial(causal, **_own(config, window))
  in_tiles = functools.partial(tiled, **_own(config, window))
  in_tiles = over_mesh(mesh, in_tiles, rules)

  def attend(q_BTNH, k_BTKH, v_BTKH, segment_BT):
    by_length = whole if q_BTNH.shape[1] <= TILE else in_tiles
    return by_length(q_BTNH, k_BTKH, v_BTKH, segment_BT)

  return attend


def _on_tpu(config, mesh, window, rules):
  # Here, as below: a CPU need not wait for kernels to be imported.
  from srpo_jax.policy.attention.splash import splash

  kernel = functools.partial(splash, **_own(config, window))
  return over_mesh(mesh, kernel, rules)


def _on_gpu(config, mesh, window, rules):
  """The kernel; tiles of all rows at once where it lacks what is needed."""
  from srpo_jax.policy.attention.flash import flash

  if window is None and config.attention_softcap is None:
    kernel = functools.partial(flash, scale=config.query_scale)
  else:
    kernel = functools.partial(tiled, **_own(config, window), rows=None)
  return over_mesh(mesh, kernel, rules)


WHOLE = {'cpu': _on_cpu, 'tpu': _on_tpu, 'gpu': _on_gpu}
SLOTS = {'tpu': _slots_on_tpu}
