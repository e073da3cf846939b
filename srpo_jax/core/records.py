# SPDX-License-Identifier: Apache-2.0
"""The records that pass between the folders; all of them frozen.

A mask is True where the token counts in the loss; the end token counts.
"""

import dataclasses
import hashlib

import flax.struct
import jax
import numpy as np

# A status is either a judgement of the response or a failure around it. Only
# judgements reach the loss and the ledger; DESIGN.md section 6 has the names.
JUDGED = (
  'correct',
  'wrong',
  'no_answer',
  'timeout',
  'memory',
  'runtime_error',
)
NOT_JUDGED = ('sandbox_error', 'invalid_task', 'unavailable')
STATUSES = JUDGED + NOT_JUDGED


def prompt_id(source: str, source_id: str) -> int:
  """The 64-bit id of a prompt: a hash of its source and its id there."""
  digest = hashlib.sha256(f'{source}\0{source_id}'.encode()).digest()
  return int.from_bytes(digest[:8], 'big')


@dataclasses.dataclass(frozen=True)
class Prompt:
  """One problem, and how an answer to it is judged.

  Attributes:
    id: 64-bit hash of source and source id (`prompt_id`).
    domain: 'math' or 'code'.
    source: name of the set it comes from.
    question: the problem, without template or instruction.
    answer: accepted final answers; empty for code.
    tests: what a judge needs beside the answer (code tests, a verifier's
      entry), in the form of the reward service's `tests`; or None.
    match: 'equivalence', 'exact', 'numeric' or 'verifier:NAME'.
    level: the task or difficulty, for reports.
  """

  id: int
  domain: str
  source: str
  question: str
  answer: tuple[str, ...]
  tests: dict | None = None
  match: str = 'equivalence'
  level: str = ''


@flax.struct.dataclass
class Rollouts:
  """G responses to each of P prompts; row b = p * G + g.

  Attributes:
    tokens_BT: the responses, end token included, pad after it.
    logprob_BT: under the distribution that was sampled from (temperature,
      top-k and top-p applied).
    raw_logprob_BT: under the policy at the same temperature with nothing cut:
      what the trainer computes again.
    mask_BT: True on the tokens of the response.
    prompt_B: index of the prompt in the step, in [0, P).
    sample_B: index of the sample in its group, in [0, G).
    ended_B: True if an end token was sampled; False means truncated.
  """

  tokens_BT: jax.Array
  logprob_BT: jax.Array
  raw_logprob_BT: jax.Array
  mask_BT: jax.Array
  prompt_B: jax.Array
  sample_B: jax.Array
  ended_B: jax.Array


@dataclasses.dataclass(frozen=True)
class Verdict:
  """What the reward service said; NaN where a rollout was not judged.

  Attributes:
    status_PG: strings out of STATUSES.
    accuracy_PG: 1.0 right, 0.0 not, NaN not judged.
    format_PG: 1.0 if the response follows the template.
    language_mixing_PG: 1.0 if the response mixes languages.
    passed_share_PG: share of the tests passed, in [0, 1].
  """

  status_PG: np.ndarray
  accuracy_PG: np.ndarray
  format_PG: np.ndarray
  language_mixing_PG: np.ndarray
  passed_share_PG: np.ndarray

  @property
  def judged_PG(self) -> np.ndarray:
    """True where the status judges the response."""
    return ~np.isnan(self.accuracy_PG)


@flax.struct.dataclass
class Batch:
  """What the update reads. Every field is aligned with its token.

  A row holds one sequence or, packed (train/packing.py), several.

  Attributes:
    tokens_BT: prompt, then response; after the last one padding.
    logprob_old_BT: of each token given those before it, at the sampling
      temperature, by the policy that the ratio compares with; 0 outside
      `mask_BT`.
    logprob_rollout_BT: the same as the sampler saw it, to measure how far
      sampler and trainer disagree.
    advantage_BT: of the token's sequence.
    mask_BT: True on response tokens of judged rollouts.
    segment_BT: 0 on padding, else the sequence's number in the row, from 1.
    position_BT: position in its sequence.
  """

  tokens_BT: jax.Array
  logprob_old_BT: jax.Array
  logprob_rollout_BT: jax.Array
  advantage_BT: jax.Array
  mask_BT: jax.Array
  segment_BT: jax.Array
  position_BT: jax.Array
