# SPDX-License-Identifier: Apache-2.0
"""What the paper contributes: history, advantages, loss, stages."""
