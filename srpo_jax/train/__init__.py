# SPDX-License-Identifier: Apache-2.0
"""Optimizer, update, verdicts, checkpoints, metrics."""
