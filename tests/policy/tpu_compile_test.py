# SPDX-License-Identifier: Apache-2.0
"""The kernels compile for TPUs that are not there, as a policy calls them."""

import jax
import jax.numpy as jnp
import pytest
from jax.experimental import topologies
from jax.sharding import NamedSharding, PartitionSpec

from srpo_jax.core import mesh as mesh_lib
from srpo_jax.policy import attention
from srpo_jax.policy.config import DecoderConfig
from srpo_jax.policy.policy import make_policy

pytest.importorskip('libtpu', reason="pip install 'srpo_jax[tpu]'")

CONFIG = DecoderConfig(
  vocab_size=512,
  dim=128,
  n_layers=2,
  n_heads=12,
  n_kv_heads=4,
  head_dim=64,
  ffn_dim=256,
  compute_dtype='bfloat16',
  window=128,
  local_layers=(0,),
  attention_softcap=30.0,
)
CHIPS = ['v5p:2x2x4', 'v6e:4x4']  # 16 devices both


@pytest.fixture(params=CHIPS)
def mesh(request, monkeypatch):
  """Eight shards of the batch, heads over two."""
  monkeypatch.setenv('TPU_SKIP_MDS_QUERY', '1')
  chips = topologies.get_topology_desc(
    platform='tpu', topology_name=request.param
  )
  return mesh_lib.make_mesh((2, 4, 2), chips.devices)


def on(mesh, tree, *axes):
  """Shapes of arrays that lie on the mesh."""
  place = NamedSharding(mesh, PartitionSpec(*axes))
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), tree
  )


def test_the_update_runs_splash_attention(mesh):
  """Scanned, rematerialised, with local layers, heads cut in two."""
  policy = make_policy(CONFIG, mesh)
  params = on(mesh, jax.eval_shape(policy.init, jax.random.key(0)))
  rows = on(mesh, jax.ShapeDtypeStruct((8, 200), jnp.int32), ('data', 'fsdp'))

  def loss(params, tokens, position, segment):
    scored, _ = policy.logprobs(params, tokens, position, segment, 1.0)
    return jnp.sum(scored)

  lowered = jax.jit(jax.grad(loss)).lower(params, rows, rows, rows)
  text = lowered.compile().as_text()
  for name in ('fwd', 'dq', 'dkv'):
    assert f'splash_mha_{name}' in text
  assert 'tpu_custom_call' in text


@pytest.mark.parametrize('L', [1024, 20_001], ids=['in blocks', 'one block'])
def test_decoding_gathers_no_prompt(mesh, L):
  """20,001 tokens are no whole blocks: one that asks for its memory."""
  X, S, P, C = 8, 64, 8, 512
  N, K, H = CONFIG.n_heads, CONFIG.n_kv_heads, CONFIG.head_dim

  def array(*shape, dtype=jnp.bfloat16, heads=True):
    axes = (('data', 'fsdp'), None, 'tensor') if heads else (('data', 'fsdp'),)
    return on(mesh, jax.ShapeDtypeStruct((X, *shape), dtype), *axes)

  number = array(S, dtype=jnp.int32, heads=False)
  seen = array(S, C, dtype=jnp.bool_, heads=False)
  run = jax.jit(attention.slot_kernel(CONFIG, mesh))
  compiled = run.lower(
    array(S, N, H),
    (array(S, K, H), array(S, K, H)),
    (array(P, K, H, L), array(P, K, L, H)),
    (array(S, K, H, C), array(S, K, C, H)),
    attention.Sight(number, number, number, seen),
  ).compile()
  assert 'tpu_custom_call' in compiled.as_text()
  gathered = 2 * S * (K // 2) * L * H * 2  # bytes on a device
  assert compiled.memory_analysis().temp_size_in_bytes < gathered
