# SPDX-License-Identifier: Apache-2.0
"""What runs inside a sandbox. Standard library alone, relative imports alone.

The service mounts this folder into the sandbox as the package `inside`. In
flow order: `keeper` (started once) -> `reaper` (namespaces; `confine`,
`kernel`) -> `guest` (the submission) and `host` (the tests; `plain`,
`channel`, `compare`), watched by `watch` (`tree`, `ended`).
"""
