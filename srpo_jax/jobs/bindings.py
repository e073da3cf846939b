# SPDX-License-Identifier: Apache-2.0
"""What a gin file may refer to by `@name`, beside the jobs themselves.

The library does not know gin: its functions are plain, and this is the edge
where they get the names that gin files use. Your own function needs no entry
here: decorate it with `@gin.register` in a module of yours, `import` that
module in your gin file, and bind it (CONTRIBUTING.md has an example).
"""

import gin

from srpo_jax.data import template
from srpo_jax.policy.config import DecoderConfig
from srpo_jax.srpo import history, loss, stages
from srpo_jax.srpo.advantages import RewardWeights
from srpo_jax.train.checkpoint import CheckpointConfig
from srpo_jax.train.optimizer import adamw

# Built with values from gin.
for made in (
  DecoderConfig,
  RewardWeights,
  CheckpointConfig,
  adamw,
  stages.Stage,
  stages.Until,
  loss.ClipConfig,
  loss.srpo_loss,
):
  gin.external_configurable(made)

# Chosen by reference.
for function in (
  template.short_template,
  template.r1_zero_template,
  template.question_only,
  history.keep_unsolved,
  history.keep_all,
  history.as_they_come,
):
  gin.external_configurable(function)
