# SPDX-License-Identifier: Apache-2.0
"""What a gin file may refer to by `@name`, beside the jobs themselves.

The library does not know gin: its functions are plain, and this is the edge
where they get the names that gin files use. Your own function needs no entry
here: decorate it with `@gin.register` in a module of yours, `import` that
module in your gin file, and bind it (docs/options.md has an example).
"""

import gin

from srpo_jax.data import chat, template
from srpo_jax.data.curation.difficulty import Thresholds
from srpo_jax.jobs import (
  bench_lengths,
  bench_shapes,
  overlap,
  set_bindings,  # noqa: F401, names its own
)
from srpo_jax.policy.config import DecoderConfig, Lora
from srpo_jax.sampler.sampler import slot_refill
from srpo_jax.sampler.static import static_batch
from srpo_jax.srpo import (
  advantages,
  history,
  history_keep,
  history_refill,
  history_select,
  importance,
  loss,
  loss_variants,
  stages,
)
from srpo_jax.train.checkpoint import CheckpointConfig
from srpo_jax.train.optimizer import adamw

# Built with values from gin.
for made in (
  DecoderConfig,
  Lora,
  Thresholds,
  advantages.RewardWeights,
  CheckpointConfig,
  adamw,
  stages.Stage,
  stages.Until,
  stages.Plateau,
  loss.ClipConfig,
):
  gin.external_configurable(made)

# Chosen by reference.
for function in (
  template.short_template,
  template.r1_zero_template,
  template.question_only,
  chat.chat_template,
  chat.chat_think_template,
  chat.chat_boxed_template,
  slot_refill,
  static_batch,
  overlap.in_turn,
  overlap.one_step_off,
  loss.srpo_loss,
  loss_variants.grpo_loss,
  loss_variants.dapo_loss,
  loss_variants.dr_grpo_loss,
  loss_variants.gspo_loss,
  loss_variants.cispo_loss,
  importance.no_weights,
  importance.truncated_weights,
  importance.truncated_sequence_weights,
  advantages.no_length_penalty,
  advantages.soft_overlong,
  advantages.group_relative,
  advantages.group_standardized,
  advantages.group_centered,
  advantages.batch_scaled,
  history.keep_unsolved,
  history.keep_all,
  history_keep.keep_below,
  history_keep.keep_unsolved_review,
  history.as_they_come,
  history_select.greso,
  history_select.mopps,
  history_select.dps,
  history_refill.no_refill,
  history_refill.equal_accuracy,
  bench_lengths.equal_lengths,
  bench_lengths.log_normal_lengths,
  bench_lengths.measured_lengths,
  bench_shapes.shape_30m,
  bench_shapes.shape_135m,
  bench_shapes.shape_500m,
  bench_shapes.shape_1_5b,
  bench_shapes.shape_7b,
  bench_shapes.shape_32b,
):
  gin.external_configurable(function)
