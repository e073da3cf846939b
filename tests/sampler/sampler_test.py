# SPDX-License-Identifier: Apache-2.0
"""Rollouts: the policy's own log-probabilities, and keys that stay theirs."""

import dataclasses

import jax
import numpy as np
import pytest

from srpo_jax.core import mesh as mesh_lib
from srpo_jax.core.records import Rollouts
from srpo_jax.policy.config import DecoderConfig
from srpo_jax.policy.policy import SCANNED, UNROLLED, make_policy
from srpo_jax.sampler.sampling import SamplerConfig
from srpo_jax.sampler.static import static_batch
from srpo_jax.train.batch import make_batch

CONFIG = DecoderConfig(
  vocab_size=23,
  dim=16,
  n_layers=2,
  n_heads=4,
  n_kv_heads=2,
  head_dim=6,
  ffn_dim=24,
)
G, T, L = 6, 10, 7
SAMPLING = SamplerConfig(
  max_new_tokens=T, end_ids=(1, 5), pad_id=0, temperature=0.8
)
IDS = np.array([3, 2**63 + 5, 11], np.uint64)


def prompts():
  tokens = np.random.default_rng(0).integers(2, 23, (3, L)).astype(np.int32)
  mask = np.arange(L)[None] < np.array([[7], [3], [5]])
  return np.where(mask, tokens, 0), mask


def setup(sampling=SAMPLING, walk=None):
  mesh = mesh_lib.make_mesh((1, 1, 1), jax.devices()[:1])
  policy = make_policy(CONFIG, mesh, walk)
  params = policy.init(jax.random.key(3))
  # Spread the logits, so that rows differ and some end early.
  params['embed']['table'] = params['embed']['table'] * 25
  return policy, params, static_batch(policy, sampling, G, mesh)


def draw(sampler, params, rows=slice(None), seed=0) -> Rollouts:
  tokens, mask = prompts()
  visit = np.zeros(3, np.int32)
  parts = sampler.stream(
    params,
    tokens[rows],
    mask[rows],
    IDS[rows],
    visit[rows],
    jax.random.key(seed),
  )
  ((_, rollouts),) = parts
  return rollouts


def teacher_forced(policy, params, rollouts, temperature):
  """Log-probabilities of the same tokens, all at once, response-aligned."""
  tokens, mask = prompts()
  zeros = np.zeros((3, G))
  batch = make_batch(tokens, mask, rollouts, zeros, zeros == 0)
  logprob, _ = policy.logprobs(
    params, batch.tokens_BT, batch.position_BT, batch.segment_BT, temperature
  )
  return np.asarray(logprob), batch


@pytest.mark.parametrize('walk', [UNROLLED, SCANNED])
def test_sampler_equals_teacher_forced(walk):
  policy, params, sampler = setup(walk=walk)
  rollouts = draw(sampler, params)
  logprob, batch = teacher_forced(policy, params, rollouts, 0.8)
  assert batch.mask_BT.sum() == rollouts.mask_BT.sum() > 3 * G
  np.testing.assert_allclose(
    np.where(batch.mask_BT, logprob, 0), batch.logprob_rollout_BT, atol=1e-4
  )


def test_with_truncation_both_distributions_are_told():
  cut = dataclasses.replace(SAMPLING, top_k=3, top_p=0.9)
  policy, params, sampler = setup(cut)
  rollouts = draw(sampler, params)
  logprob, batch = teacher_forced(policy, params, rollouts, 0.8)
  np.testing.assert_allclose(
    np.where(batch.mask_BT, logprob, 0), batch.logprob_rollout_BT, atol=1e-4
  )
  more = rollouts.logprob_BT - rollouts.raw_logprob_BT
  assert (more[rollouts.mask_BT] > -1e-5).all()
  assert more.max() > 0.01


def test_the_end_token_counts_and_nothing_after_it():
  _, params, sampler = setup()
  rollouts = draw(sampler, params)
  lengths = set()
  for tokens, mask, ended in zip(
    rollouts.tokens_BT, rollouts.mask_BT, rollouts.ended_B, strict=True
  ):
    n = int(mask.sum())
    lengths.add(n)
    assert mask[:n].all()
    assert not np.isin(tokens[: n - 1], (1, 5)).any()
    assert (tokens[n:] == 0).all()
    assert ended == (tokens[n - 1] in (1, 5))
    assert ended or n == T
  assert len(lengths) > 2, 'the test wants rows of several lengths'
  assert {True, False} == set(rollouts.ended_B.tolist())
  last = rollouts.tokens_BT[rollouts.mask_BT & (rollouts.tokens_BT < 6)]
  assert {1, 5} <= set(last.tolist()), 'both end tokens should occur'


def test_a_prompt_draws_the_same_alone_as_in_company():
  _, params, sampler = setup()
  together, alone = draw(sampler, params), draw(sampler, params, slice(1, 2))
  np.testing.assert_array_equal(together.tokens_BT[G : 2 * G], alone.tokens_BT)


def test_samples_prompts_and_keys_differ():
  _, params, sampler = setup()
  rollouts, other = draw(sampler, params), draw(sampler, params, seed=1)
  rows = {tuple(row) for row in rollouts.tokens_BT.tolist()}
  assert len(rows) > G
  assert (rollouts.tokens_BT != other.tokens_BT).any()


def test_greedy_repeats_itself_and_takes_the_likeliest():
  policy, params, sampler = setup(dataclasses.replace(SAMPLING, temperature=0))
  rollouts = draw(sampler, params)
  rows = rollouts.tokens_BT.reshape(3, G, T)
  assert (rows == rows[:, :1]).all()
  tokens, mask = prompts()
  y, _ = policy.prefill(policy.for_decode(params), tokens, mask)
  first = np.argmax(policy.logits(params, y), axis=-1)
  assert rows[:, 0, 0].tolist() == first.tolist()


def test_it_compiles_once():
  _, params, sampler = setup()
  for seed in range(3):
    draw(sampler, params, seed=seed)
  assert sampler.draw._cache_size() == 1
