# SPDX-License-Identifier: Apache-2.0
"""From rollouts and advantages to the batch that the update reads."""

import numpy as np

from srpo_jax.core.records import Batch, Rollouts


def make_batch(
  prompt_tokens_PL: np.ndarray,
  prompt_mask_PL: np.ndarray,
  rollouts: Rollouts,
  advantage_PG: np.ndarray,
  judged_PG: np.ndarray,
) -> Batch:
  """Rows of prompt, response, padding: [B, L + T], one sequence a row.

  Padding is most of such a batch; packing.py takes it out.

  A response follows its prompt without a gap. What was not judged counts
  nowhere: its mask is False, so it is not in the denominator either.

  Args:
    prompt_tokens_PL, prompt_mask_PL: prompts, padded on the right.
    rollouts: on the host, row b = p * G + g.
    advantage_PG: from srpo/advantages.py.
    judged_PG: True where the rollout was judged and its prompt is real.
  """
  (P, L), (B, T) = prompt_tokens_PL.shape, rollouts.tokens_BT.shape
  length_B = np.repeat(prompt_mask_PL.sum(axis=1), B // P)
  total_B = length_B + rollouts.mask_BT.sum(axis=1)
  position_BT = np.broadcast_to(np.arange(L + T, dtype=np.int32), (B, L + T))
  # Column t of the row is column t - length of the response.
  source_BT = np.clip(position_BT - length_B[:, None], 0, T - 1)
  is_response_BT = (position_BT >= length_B[:, None]) & (
    position_BT < total_B[:, None]
  )
  take = lambda x_BT: np.where(
    is_response_BT, np.take_along_axis(x_BT, source_BT, axis=1), 0
  )
  prompt_BT = np.pad(prompt_tokens_PL, ((0, 0), (0, T))).repeat(B // P, axis=0)
  in_prompt_BT = position_BT < length_B[:, None]
  logprob_BT = take(rollouts.raw_logprob_BT).astype(np.float32)
  advantage_BT = np.broadcast_to(advantage_PG.reshape(-1, 1), (B, L + T))
  return Batch(
    tokens_BT=np.where(in_prompt_BT, prompt_BT, take(rollouts.tokens_BT)),
    logprob_old_BT=logprob_BT,
    logprob_rollout_BT=logprob_BT,
    advantage_BT=advantage_BT.astype(np.float32),
    mask_BT=is_response_BT & judged_PG.reshape(-1)[:, None],
    segment_BT=(position_BT < total_B[:, None]).astype(np.int32),
    position_BT=np.ascontiguousarray(position_BT),
  )
