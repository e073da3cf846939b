# SPDX-License-Identifier: Apache-2.0
"""Prompt and response in one row, by hand."""

import numpy as np

from srpo_jax.core.records import Rollouts
from srpo_jax.train.batch import make_batch


def test_a_response_follows_its_prompt_without_a_gap():
  prompt = np.array([[7, 8, 0], [9, 0, 0]], np.int32)
  prompt_mask = prompt > 0
  tokens = np.array([[4, 1, 0], [5, 6, 2], [3, 1, 0], [1, 0, 0]], np.int32)
  mask = np.array([[1, 1, 0], [1, 1, 1], [1, 1, 0], [1, 0, 0]], bool)
  logprob = np.where(mask, -tokens / 10, 0).astype(np.float32)
  rollouts = Rollouts(
    tokens_BT=tokens,
    logprob_BT=logprob * 2,
    raw_logprob_BT=logprob,
    mask_BT=mask,
    prompt_B=np.array([0, 0, 1, 1]),
    sample_B=np.array([0, 1, 0, 1]),
    ended_B=np.ones(4, bool),
  )
  advantage = np.array([[1.0, -1.0], [0.5, 0.0]])
  judged = np.array([[True, True], [True, False]])
  batch = make_batch(prompt, prompt_mask, rollouts, advantage, judged)
  assert batch.tokens_BT.tolist() == [
    [7, 8, 4, 1, 0, 0],
    [7, 8, 5, 6, 2, 0],
    [9, 3, 1, 0, 0, 0],
    [9, 1, 0, 0, 0, 0],
  ]
  assert batch.mask_BT.astype(int).tolist() == [
    [0, 0, 1, 1, 0, 0],
    [0, 0, 1, 1, 1, 0],
    [0, 1, 1, 0, 0, 0],
    [0, 0, 0, 0, 0, 0],  # not judged: in nothing
  ]
  assert batch.segment_BT.sum(axis=1).tolist() == [4, 5, 3, 2]
  assert batch.advantage_BT.T.tolist() == [[1.0, -1.0, 0.5, 0.0]] * 6
  np.testing.assert_allclose(
    batch.logprob_rollout_BT[0], [0, 0, -0.4, -0.1, 0, 0], rtol=1e-6
  )
  assert batch.position_BT[2].tolist() == [0, 1, 2, 3, 4, 5]
