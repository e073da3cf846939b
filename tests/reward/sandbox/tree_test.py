# SPDX-License-Identifier: Apache-2.0
"""A tree's usage, read from the /proc of this machine."""

import os
import subprocess
import sys

import pytest

from srpo_jax.reward.sandbox.inside import tree

FAMILY = """
import os, sys
child = os.fork()
if not child:
  hoard = b'x' * (50 << 20)
  end = os.times().user + 0.3
  while os.times().user < end:
    pass
print('ready' if not child else 'grown', flush=True)
sys.stdin.read()
"""


@pytest.fixture
def family():
  """A process with one child, which has used 0.3 s and holds 50 MiB."""
  with subprocess.Popen(
    [sys.executable, '-c', FAMILY],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  ) as process:
    said = {process.stdout.readline(), process.stdout.readline()}
    assert said == {'ready\n', 'grown\n'}
    yield process
    process.stdin.close()


def test_usage_of_a_family(family):
  used = tree.usage(family.pid)
  assert 0.3 <= used.cpu_s < 60.0
  assert 50 << 20 <= used.memory < 200 << 20
  assert len(used.delay_s) == 2  # One thread each.
  assert all(delay >= 0.0 for delay in used.delay_s.values())


def test_what_each_has_from_its_parent_is_not_counted(family):
  used = tree.usage(family.pid, baseline=tree.memory_of(family.pid))
  assert 40 << 20 <= used.memory < 60 << 20


def test_a_dead_tree_has_used_nothing(family):
  family.stdin.close()
  family.wait()
  assert tree.usage(family.pid) == tree.Usage(0, 0, {})


def test_names_with_parentheses_are_read():
  """The fields after a name such as `a) R 1 (b` must not shift."""
  code = (
    'import ctypes; ctypes.CDLL(None).prctl(15, b"a) R 1 (b", 0, 0, 0); input()'
  )
  with subprocess.Popen(
    [sys.executable, '-c', 'print("up", flush=True);' + code],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  ) as process:
    process.stdout.readline()
    while 'R 1' not in tree.read(f'/proc/{process.pid}/stat'):
      continue
    parent = tree.read_stats()[process.pid][tree.PARENT]
    assert int(parent) == os.getpid()
    process.communicate('\n')
