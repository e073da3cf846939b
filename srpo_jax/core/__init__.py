# SPDX-License-Identifier: Apache-2.0
"""What everything else speaks: records, config, mesh, keys, masked means."""
