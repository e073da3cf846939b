# SPDX-License-Identifier: Apache-2.0
"""Hostile programs in the real sandboxes: no reward, no escape, no traces.

Each kind of sandbox judges all of them once; the tests then look at what
came out, and at what is left on the machine.
"""

import asyncio
import contextlib
import dataclasses
import importlib.util
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from srpo_jax.reward.pool import Pool
from srpo_jax.reward.sandbox import NoSandbox, choose_backend
from srpo_jax.reward.sandbox.inside import tree, watch


def load_hostile():
  """The table beside this file; tests are no package."""
  path = Path(__file__).with_name('hostile.py')
  spec = importlib.util.spec_from_file_location('hostile', path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


hostile = load_hostile()
WALL_S = hostile.LIMITS['wall_s']
# The longest that a submission may last on a machine of any load, and 1 s.
LONGEST_S = watch.PATIENCE * WALL_S + watch.PATIENCE_S + 1.0
KEEPERS = 2
MARKS = ('fill0', 'mine', 'pwned', 'link0', 'env')
FOLDERS = ('/', '/tmp', '/dev', '/dev/shm', '/var/tmp', '/mnt', '/srpo')


@dataclasses.dataclass(frozen=True)
class Scene:
  """What came of all programs in one kind of sandbox.

  Attributes:
    reports: by the name of the program.
    idle, after: names of the processes below this one, before and after.
    mounts: whether the mounts of this machine were the same after it.
    groups: control groups of ours that were left.
    knocks: connections that reached a server on loopback.
  """

  reports: dict[str, dict]
  idle: list[str]
  after: list[str]
  mounts: bool
  groups: list[Path]
  knocks: int


@pytest.fixture(scope='module', params=['bubblewrap', 'landlock'])
def scene(request) -> Scene:
  try:
    backend = choose_backend(request.param)
  except NoSandbox as error:
    pytest.skip(str(error))
  with server() as (port, knocks), pytest.MonkeyPatch.context() as patch:
    patch.setenv('CANARY', 'of the service')
    before = mounts()
    reports, idle, after = asyncio.run(judge_all(backend, port))
    backend.close()
    return Scene(
      reports, idle, after, mounts() == before, control_groups(), knocks()
    )


@contextlib.contextmanager
def server() -> Iterator:
  """A listening port, and how many connections have come to it."""
  with socket.create_server(('127.0.0.1', 0)) as listener:
    listener.setblocking(False)

    def knocks() -> int:
      count = 0
      with contextlib.suppress(BlockingIOError):
        while listener.accept():
          count += 1
      return count

    yield listener.getsockname()[1], knocks


async def judge_all(backend, port: int) -> tuple[dict, list[str], list[str]]:
  """Reports by name, and our processes before and after."""
  pool = Pool(backend.start_keeper, KEEPERS)
  pool.start()
  try:
    while pool.ready < KEEPERS:
      await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)
    idle = processes()
    programs = hostile.ALL
    replies = await asyncio.gather(
      *(pool.run(['program', job_of(each, port)], 60.0) for each in programs)
    )
    await asyncio.sleep(1.0)
    after = processes()
  finally:
    await pool.close()
  names = [each.name for each in programs]
  return dict(zip(names, map(report_of, replies), strict=True)), idle, after


def job_of(each, port: int) -> dict:
  """The job of one program."""
  program = each.program.replace('PORT', str(port))
  return {
    'program': program,
    'tests': each.tests,
    'limits': hostile.LIMITS,
  }


def report_of(reply) -> dict:
  """The report, or what the pool says instead."""
  if reply.kind == 'value':
    return reply.value
  return {
    'status': reply.kind,
    'detail': reply.detail,
    'seconds': reply.seconds,
  }


def processes() -> list[str]:
  """Names of all processes that descend from this one."""
  stats = tree.read_stats()
  found = tree.descendants(os.getpid(), stats)
  return sorted(
    Path('/proc', str(pid), 'comm').read_text().strip() for pid in found[1:]
  )


def mounts() -> list[str]:
  """The mounts that this process sees."""
  return sorted(Path('/proc/self/mounts').read_text().splitlines())


def control_groups() -> list[Path]:
  """Control groups that this process made and that are still there."""
  name = f'srpo-reward-{os.getpid()}'
  return list(Path('/sys/fs/cgroup').glob(f'**/{name}'))


@pytest.mark.parametrize('name', [each.name for each in hostile.ALL])
def test_no_reward_and_the_right_status(scene, name):
  ends = next(each.ends for each in hostile.ALL if each.name == name)
  report = scene.reports[name]
  assert report['status'] in ends, report


def test_none_outlives_its_limit(scene):
  late = {
    name: report['seconds']
    for name, report in scene.reports.items()
    if report['seconds'] > LONGEST_S
  }
  assert not late


def test_no_process_is_left(scene):
  assert scene.after == scene.idle


def test_no_mount_and_no_control_group_is_left(scene):
  assert scene.mounts
  assert scene.groups == []


def test_no_file_is_left(scene):
  paths = [Path(folder, mark) for folder in FOLDERS for mark in MARKS]
  assert [path for path in paths if os.path.lexists(path)] == []


def test_nobody_reached_loopback(scene):
  assert scene.knocks == 0
