# SPDX-License-Identifier: Apache-2.0
"""Reports from workdirs, finished or running; never runs a model."""
