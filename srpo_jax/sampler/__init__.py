# SPDX-License-Identifier: Apache-2.0
"""From prompts to G rollouts each: the rollout engine."""
