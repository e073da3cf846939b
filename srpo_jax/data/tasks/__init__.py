# SPDX-License-Identifier: Apache-2.0
"""Our own short tasks, each a pure function of a numpy Generator."""
