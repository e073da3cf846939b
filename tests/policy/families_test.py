# SPDX-License-Identifier: Apache-2.0
"""Every family computes what transformers computes, and is served by it.

The golden files are made by golden/make.py. Where transformers itself is
installed, what is exported is loaded there again.
"""

import json
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from srpo_jax.core import mesh as mesh_lib
from srpo_jax.policy import huggingface
from srpo_jax.policy.huggingface import names
from srpo_jax.policy.policy import SCANNED, UNROLLED, make_policy
from srpo_jax.sampler.sampling import SamplerConfig
from srpo_jax.sampler.static import static_batch

GOLDEN = Path(__file__).parent / 'golden'
sys.path.insert(0, str(GOLDEN))
import make as golden  # noqa: E402  (a script that is run by itself, too)


class Family:
  """A golden family as a folder with weights, loaded."""

  def __init__(self, name: str, folder: Path):
    self.name, self.folder = name, folder
    config = GOLDEN / name / 'config.json'
    self.raw = json.loads(config.read_text())
    self.expected = np.load(GOLDEN / name / 'expected.npz')
    self.config = huggingface.config_from_json(config)
    seed = int(self.expected['seed'])
    tensors = {
      tensor: golden.draw(seed, name, tensor, shape)
      for tensor, shape in names.shapes(self.config).items()
    }
    (folder / 'config.json').write_bytes(config.read_bytes())
    save_file(tensors, folder / 'model.safetensors')
    self.params = self.load(folder)

  def load(self, folder: Path):
    shapes = names.param_shapes(self.config)
    one = jax.tree.map(lambda _: mesh_lib.first_device(), shapes)
    return huggingface.load(folder, self.config, one)


@pytest.fixture(scope='module', params=golden.FAMILIES)
def family(request, tmp_path_factory):
  return Family(request.param, tmp_path_factory.mktemp(request.param))


def make(family, walk=None):
  mesh = mesh_lib.make_mesh((1, 1, 1), jax.devices()[:1])
  return make_policy(family.config, mesh, walk), mesh


def padded():
  """The texts as rows: tokens, mask [2, T]."""
  texts = golden.texts()
  length = max(len(ids) for ids in texts)
  rows = [np.pad(ids, (0, length - len(ids))) for ids in texts]
  lengths = np.array([[len(ids)] for ids in texts])
  return np.array(rows, np.int32), np.arange(length) < lengths


@pytest.mark.parametrize('walk', [UNROLLED, SCANNED], ids=['unrolled', 'scan'])
def test_logits_are_those_of_transformers(family, walk):
  policy, _ = make(family, walk)
  tokens, mask = padded()
  position = np.broadcast_to(np.arange(mask.shape[1]), mask.shape)

  @jax.jit
  def scored(params, *batch):
    logits = policy.logits(params, policy.hidden(params, *batch))
    return logits, *policy.logprobs(params, *batch, 0.7)

  batch = (tokens, position, mask.astype(np.int32))
  logits, chosen, entropy = scored(family.params, *batch)
  for i, ids in enumerate(golden.texts()):
    wanted, n = family.expected[f'logits_{i}'], len(ids)
    np.testing.assert_allclose(logits[i, :n], wanted, atol=2e-4)
    logprob = jax.nn.log_softmax(wanted / 0.7)[:-1]
    of_token = np.take_along_axis(logprob, ids[1:, None], axis=1)[:, 0]
    np.testing.assert_allclose(chosen[i, 1:n], of_token, atol=5e-4)
    mean = -np.sum(np.exp(logprob) * logprob, axis=1)
    np.testing.assert_allclose(entropy[i, 1:n], mean, atol=5e-4)


def test_greedy_tokens_are_those_of_transformers(family):
  # Layers that differ are walked with their caches: by a scan, too.
  walk = SCANNED if family.config.local_layers else UNROLLED
  policy, mesh = make(family, walk)
  tokens_PL, mask_PL = padded()
  # An end token that nothing is.
  greedy = SamplerConfig(golden.NEW, end_ids=(-1,), pad_id=0, temperature=0.0)
  sampler = static_batch(policy, greedy, 1, mesh)
  keys = jax.random.split(jax.random.key(0), (2, 1))
  got = sampler.draw(family.params, tokens_PL, mask_PL, keys).tokens_BT
  wanted = [family.expected[f'greedy_{i}'] for i in range(2)]
  np.testing.assert_array_equal(got, wanted)


def test_what_is_exported_is_what_was_read(family, tmp_path):
  huggingface.save(tmp_path, family.config, family.params, family.raw)
  read, wrote = (
    load_file(folder / 'model.safetensors')
    for folder in (family.folder, tmp_path)
  )
  assert read.keys() == wrote.keys()
  for name, x in read.items():
    np.testing.assert_array_equal(wrote[name], x, err_msg=name)
  found = huggingface.config_from_json(tmp_path / 'config.json')
  assert found == family.config


def test_transformers_reads_what_is_exported(family, tmp_path):
  reason = 'transformers and torch are not installed: pip install them to run'
  torch = pytest.importorskip('torch', reason=reason)
  transformers = pytest.importorskip('transformers', reason=reason)
  huggingface.save(
    tmp_path, family.config, family.params, family.raw, shard_bytes=20_000
  )
  assert len(list(tmp_path.glob('*.safetensors'))) > 1
  model = transformers.AutoModelForCausalLM.from_pretrained(
    tmp_path, attn_implementation='eager'
  )
  for i, ids in enumerate(golden.texts()):
    with torch.no_grad():
      got = model(torch.from_numpy(ids)[None]).logits[0].numpy()
    np.testing.assert_array_equal(got, family.expected[f'logits_{i}'])
