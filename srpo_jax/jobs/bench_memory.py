# SPDX-License-Identifier: Apache-2.0
"""The most memory that this process has had, of the device that it uses."""

import resource

import jax

# On a CPU there is no device memory to ask about: all of the process counts,
# the interpreter and its libraries included.
KIND = {True: 'resident set', False: 'device'}


def peak_bytes() -> int | None:
  """Bytes; None where the device does not say."""
  if jax.default_backend() == 'cpu':
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  stats = [device.memory_stats() or {} for device in jax.local_devices()]
  peaks = [each.get('peak_bytes_in_use') for each in stats]
  return None if None in peaks else max(peaks)
