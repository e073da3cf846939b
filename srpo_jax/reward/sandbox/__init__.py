# SPDX-License-Identifier: Apache-2.0
"""Where programs that a policy wrote are run.

In flow order: `backends` (chooses the strongest that works here, and starts
keepers) -> `bubblewrap`, `cgroups`, `seccomp` (how one is shut in) ->
`inside` (what runs in there). docs/reward.md says what it protects from and
what it does not.
"""

from srpo_jax.reward.sandbox.backends import (
  Backend,
  NoSandbox,
  choose_backend,
)

__all__ = ['Backend', 'NoSandbox', 'choose_backend']
