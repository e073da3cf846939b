# SPDX-License-Identifier: Apache-2.0
"""The strongest sandbox that works is chosen; none is a clear refusal."""

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from srpo_jax.reward.environment import child_environment
from srpo_jax.reward.sandbox import backends, bubblewrap, seccomp
from srpo_jax.reward.sandbox.backends import (
  Backend,
  NoSandbox,
  choose_backend,
)
from srpo_jax.reward.sandbox.inside import tree


def broken(*_):
  raise NoSandbox('broken for the test')


def test_auto_takes_the_next_when_one_does_not_work(monkeypatch):
  monkeypatch.setitem(backends.KINDS, 'bubblewrap', broken)
  kind = Backend('the next', lambda group, user: [])
  monkeypatch.setattr(kind, 'probe', lambda: '')
  monkeypatch.setitem(backends.KINDS, 'landlock', lambda: kind)
  assert choose_backend() is kind


def test_a_named_kind_is_not_replaced(monkeypatch):
  monkeypatch.setitem(backends.KINDS, 'bubblewrap', broken)
  with pytest.raises(NoSandbox, match='bubblewrap: broken') as caught:
    choose_backend('bubblewrap')
  assert 'landlock' not in str(caught.value)


def test_without_any_the_refusal_names_the_remedy(monkeypatch):
  for kind in backends.KINDS:
    monkeypatch.setitem(backends.KINDS, kind, broken)
  with pytest.raises(NoSandbox) as caught:
    choose_backend()
  assert '\n' not in str(caught.value)
  assert '--unsafe_no_sandbox' in str(caught.value)


def test_a_sandbox_that_does_not_confine_fails_its_probe():
  """The probe opens a socket; the unsafe kind lets it, and is no sandbox."""
  fault = choose_backend(unsafe=True).probe()
  assert fault.startswith('the probe was wrong')


def test_unsafe_says_so():
  assert 'NO SANDBOX' in choose_backend(unsafe=True).summary


def test_a_missing_bwrap_is_said(monkeypatch):
  monkeypatch.setattr(bubblewrap, 'executable', lambda: None)
  with pytest.raises(NoSandbox, match='bwrap is not installed'):
    choose_backend('bubblewrap')


def test_a_bwrap_that_fails_is_said(monkeypatch, tmp_path):
  fake = tmp_path / 'bwrap'
  fake.write_text('#!/bin/sh\necho "No permission to do it" >&2\nexit 1\n')
  fake.chmod(fake.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
  tmp_path.chmod(0o755)
  monkeypatch.setattr(bubblewrap, 'executable', lambda: str(fake))
  with pytest.raises(NoSandbox, match=r'bubblewrap: .*[Pp]ermission'):
    choose_backend('bubblewrap')


def test_a_missing_libseccomp_is_said(monkeypatch):
  def missing():
    raise seccomp.NoSeccomp('no seccomp filter: install libseccomp2')

  monkeypatch.setattr(seccomp, 'load', missing)
  with pytest.raises(NoSandbox, match='install libseccomp2'):
    choose_backend()


def test_the_environment_of_a_sandbox_is_its_own(monkeypatch):
  monkeypatch.setenv('SECRET', 'of the service')
  assert 'SECRET' not in backends.ENVIRONMENT
  config = json.dumps(backends.config_of('namespaces'))
  assert os.environ['SECRET'] not in config


def test_the_stage_holds_none_of_what_is_mounted():
  sources = ('/mnt/python', '/media/code', '/usr/bin/bwrap')
  assert bubblewrap.stage_of(sources) not in ('/mnt', '/media')
  with pytest.raises(ValueError, match='free to mount'):
    bubblewrap.stage_of([f'{each}/x' for each in bubblewrap.STAGES])


def test_memory_is_blamed_only_for_a_death():
  report = {'status': 'runtime_error', 'detail': 'ended by SIGKILL'}
  backends.blame_memory(report, 512)
  assert report == {'status': 'memory', 'detail': 'over 512 MiB'}
  report = {'status': 'correct', 'detail': ''}
  backends.blame_memory(report, 512)
  assert report['status'] == 'correct'


OWNER = """
import asyncio, sys, time
from srpo_jax.reward.sandbox import choose_backend

async def main():
  await choose_backend(sys.argv[1]).start_keeper()
  print('ready', flush=True)
  await asyncio.sleep(3600)

asyncio.run(main())
"""


@pytest.mark.parametrize('kind', list(backends.KINDS))
def test_keepers_die_with_their_owner(kind):
  """However it ends: nothing that it started is left."""
  with subprocess.Popen(
    [sys.executable, '-c', OWNER, kind],
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    env=child_environment(),
  ) as owner:
    try:
      if owner.stdout.readline() != b'ready\n':
        pytest.skip(f'{kind} does not work here')
      # Keeper, host and reaper at least.
      wait_until(lambda: len(family(owner.pid)) > 3)
      keepers = family(owner.pid)
    finally:
      owner.kill()
  wait_until(lambda: not any(map(alive, keepers[1:])))


def family(pid):
  return tree.descendants(pid, tree.read_stats())


def wait_until(holds):
  end = time.monotonic() + 30.0
  while not holds():
    assert time.monotonic() < end
    time.sleep(0.01)


def alive(pid):
  return Path(f'/proc/{pid}').exists()
