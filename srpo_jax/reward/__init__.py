# SPDX-License-Identifier: Apache-2.0
"""A separate process that judges responses; it never loads jax.

In flow order: `client` (the trainer's side) -> `service` (HTTP) -> `items`
(validation) -> `judge` (one item to one result: `extract`, `format`,
`language`, `mathematics`, `verifiers`, `program`) -> `cache` -> `pool` ->
`worker` (a child process that can be killed).
"""
