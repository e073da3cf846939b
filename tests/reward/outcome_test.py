# SPDX-License-Identifier: Apache-2.0
"""Statuses agree with the trainer's, which reward/ must not import."""

from srpo_jax.core import records
from srpo_jax.reward import outcome


def test_statuses_are_the_trainers():
  assert outcome.JUDGED == records.JUDGED
  assert outcome.NOT_JUDGED == records.NOT_JUDGED


def test_accuracy():
  assert outcome.Outcome('correct').accuracy == 1
  assert all(
    outcome.Outcome(status).accuracy == 0 for status in outcome.JUDGED[1:]
  )
  assert all(
    outcome.Outcome(status).accuracy is None for status in outcome.NOT_JUDGED
  )
