# SPDX-License-Identifier: Apache-2.0
"""srpo_jax: from a base language model to a reasoning model, in JAX.

The flow, which is also the order of the folders and of the imports:

  1. core     records, config, mesh, keys: what everything else speaks
  2. data     prompts and their order, templates, tokenizers
  3. policy   the decoder and the log-probabilities of its tokens
  4. sampler  prompts -> G rollouts each
  5. reward   a separate process that judges responses; never loads jax
  6. srpo     history, advantages, loss, stages: what the paper contributes
  7. train    optimizer, update, checkpoints, metrics
  8. study    figures and reports from a finished or running workdir
  9. jobs     one file a job; `python -m srpo_jax.main --gin_file=FILE` runs it

Axes, as suffixes of names (`reward_PG`, `logprob_BT`):

  P prompts in a step   G rollouts per prompt    B = P*G sequences
  T tokens              L prompt tokens          S cache slots
  V vocabulary          D model                  F feed-forward
  N query heads         K key/value heads        H head size
"""

__version__ = '0.1.0'
