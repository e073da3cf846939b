# SPDX-License-Identifier: Apache-2.0
"""Modules made of text: a prelude, then a program or the tests."""

import sys
import types

# Both sides use the same name, so that classes look the same on both.
NAME = 'solution'


def create(name: str = NAME) -> types.ModuleType:
  """An empty module that can be found by name, as dataclasses need it."""
  module = types.ModuleType(name)
  sys.modules[name] = module
  return module


def execute(source: str, module: types.ModuleType, file: str) -> None:
  """Runs a text in a module; whatever it raises is raised."""
  # The flags of this file (annotations, for one) are none of the text's.
  code = compile(source, f'<{file}>', 'exec', dont_inherit=True)
  exec(code, vars(module))
