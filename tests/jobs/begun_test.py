# SPDX-License-Identifier: Apache-2.0
"""begun.json: a rerun finds all of what was begun, or nothing of it."""

import json
from pathlib import Path

import pytest

from srpo_jax.core.config import ConfigError
from srpo_jax.jobs import eval_parts

BEGUN = {'checkpoint': None, 'fingerprint': 'f00d', 'problems': {'a/test': 'x'}}


@pytest.fixture
def stopped(monkeypatch):
  """Writing stops after half of a text."""
  write = Path.write_text

  def half(path, text, *args, **kwargs):
    write(path, text[: len(text) // 2], *args, **kwargs)
    raise KeyboardInterrupt

  def use():
    monkeypatch.setattr(Path, 'write_text', half)

  return use


def test_what_was_begun_is_there_as_a_whole_or_not(tmp_path, stopped):
  stopped()
  with pytest.raises(KeyboardInterrupt):
    eval_parts.write_begun(tmp_path, BEGUN)
  # As if nothing had been begun.
  eval_parts.check_begun(tmp_path, {**BEGUN, 'fingerprint': 'other'})
  assert eval_parts.begun_source(tmp_path, None).checkpoint is None


def test_what_was_begun_before_stays(tmp_path, stopped):
  eval_parts.write_begun(tmp_path, BEGUN)
  assert json.loads((tmp_path / 'begun.json').read_text()) == BEGUN
  stopped()
  with pytest.raises(KeyboardInterrupt):
    eval_parts.write_begun(tmp_path, {**BEGUN, 'fingerprint': 'other'})
  eval_parts.check_begun(tmp_path, BEGUN)
  with pytest.raises(ConfigError, match='the weights are not those'):
    eval_parts.check_begun(tmp_path, {**BEGUN, 'fingerprint': 'other'})
