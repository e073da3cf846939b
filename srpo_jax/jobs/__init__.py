# SPDX-License-Identifier: Apache-2.0
"""One file a job; a gin file chooses it."""
