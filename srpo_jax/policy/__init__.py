# SPDX-License-Identifier: Apache-2.0
"""The decoder and its log-probabilities; flax.linen is imported only here."""
