# SPDX-License-Identifier: Apache-2.0
"""Control groups of both versions, on folders that look like them.

The real ones of this machine, where it has any, are used by the hostile
programs.
"""

import asyncio
import os
from pathlib import Path

import pytest

from srpo_jax.reward.sandbox import cgroups

NAME = f'srpo-reward-{os.getpid()}'


@pytest.fixture
def version_1(tmp_path):
  """Two hierarchies; this process is in /job of one and / of the other."""
  for folder in ('memory/job', 'pids'):
    (tmp_path / 'mount' / folder).mkdir(parents=True)
  own = tmp_path / 'own'
  own.write_text('8:pids:/\n4:memory:/job\n1:cpu,cpuacct:/\n0::/\n')
  return tmp_path / 'mount', str(own)


@pytest.fixture
def version_2(tmp_path):
  """One hierarchy; this process is in /app/service."""
  folder = tmp_path / 'mount' / 'app' / 'service'
  folder.mkdir(parents=True)
  (folder.parent / 'cgroup.controllers').write_text('cpu memory pids\n')
  own = tmp_path / 'own'
  own.write_text('0::/app/service\n')
  return tmp_path / 'mount', str(own)


def test_version_1_has_a_folder_for_each_controller(version_1):
  mount, _ = version_1
  group = cgroups.find(*version_1).make()
  assert group.entrances == [
    f'{mount}/memory/job/{NAME}/keeper-0/cgroup.procs',
    f'{mount}/pids/{NAME}/keeper-0/cgroup.procs',
  ]


def test_version_2_is_beside_the_service(version_2):
  mount, _ = version_2
  group = cgroups.find(*version_2).make()
  folder = mount / 'app' / NAME / 'keeper-0'
  assert group.entrances == [f'{folder}/cgroup.procs']
  enabled = (mount / 'app' / 'cgroup.subtree_control').read_text()
  assert enabled == '+memory +pids'


def test_version_2_without_its_controllers_is_none(version_2):
  mount, _ = version_2
  (mount / 'app' / 'cgroup.controllers').write_text('hugetlb\n')
  assert cgroups.find(*version_2) is None


def test_nothing_mounted_is_none(tmp_path):
  assert cgroups.find(tmp_path / 'nowhere') is None


def test_limits_leave_room_for_the_keeper(version_1):
  mount, _ = version_1
  groups = cgroups.find(*version_1)
  group = groups.make()
  memory = mount / 'memory/job' / NAME / 'keeper-0'
  (memory / 'memory.limit_in_bytes').touch()
  group.limit(512, 32)
  room = cgroups.OUR_MEMORY_MB
  limit = (memory / 'memory.limit_in_bytes').read_text()
  assert int(limit) == (512 + room) << 20
  pids = mount / 'pids' / NAME / 'keeper-0' / 'pids.max'
  assert int(pids.read_text()) == 32 + cgroups.OUR_PROCESSES


@pytest.mark.parametrize(
  ('name', 'text'),
  [
    ('memory.oom_control', 'oom_kill_disable 0\nunder_oom 0\noom_kill 3\n'),
    ('memory.events', 'low 0\nhigh 0\nmax 9\noom 3\noom_kill 3\n'),
  ],
)
def test_kills_are_counted(version_1, name, text):
  mount, _ = version_1
  group = cgroups.find(*version_1).make()
  assert group.kills() == 0
  (mount / 'memory/job' / NAME / 'keeper-0' / name).write_text(text)
  assert group.kills() == 3


def test_close_removes_what_was_made(version_1):
  mount, _ = version_1
  groups = cgroups.find(*version_1)
  first = groups.make()
  groups.make()
  asyncio.run(first.removed())
  groups.close()
  left = {each.name for each in Path(mount).rglob('*')}
  assert left == {'memory', 'pids', 'job'}


def test_what_a_killed_service_left_is_removed(version_1):
  mount, _ = version_1
  old = mount / 'pids' / 'srpo-reward-4194305' / 'keeper-0'
  old.mkdir(parents=True)
  cgroups.find(*version_1)
  assert not old.parent.exists()
