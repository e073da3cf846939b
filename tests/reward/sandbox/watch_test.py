# SPDX-License-Identifier: Apache-2.0
"""Timeouts are the submission's own doing; a busy machine is not."""

import json
import os
import signal
import socket

import pytest

from srpo_jax.reward.sandbox.inside import tree, watch
from srpo_jax.reward.sandbox.inside.ended import Ended

LIMITS = {'cpu_s': 1.0, 'wall_s': 2.0, 'memory_mb': 100, 'processes': 8}


class Machine:
  """A clock and a process tree that a test moves."""

  def __init__(self, monkeypatch):
    self.now = 100.0
    self.used = tree.Usage(0.0, 0, {})
    monkeypatch.setattr(watch.time, 'monotonic', lambda: self.now)
    monkeypatch.setattr(watch.tree, 'usage', lambda root, base: self.used)

  def pass_by(
    self, guest, seconds, cpu=0.0, delayed=0.0, memory=0, threads=(7,)
  ):
    """Lets time pass in steps of 0.1 s, and the watch look at each."""
    for step in range(1, round(seconds * 10) + 1):
      share = step / round(seconds * 10)
      self.now += 0.1
      delay = dict.fromkeys(threads, delayed * share)
      self.used = tree.Usage(cpu * share, memory, delay)
      guest.check()


@pytest.fixture
def machine(monkeypatch):
  return Machine(monkeypatch)


@pytest.fixture
def guest():
  ours, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
  return watch.Watch(os.getpid(), LIMITS, ours)


def ending(machine, guest, *arguments, **keywords):
  """How a guest ends while time passes by."""
  with pytest.raises(Ended) as caught, guest.running():
    machine.pass_by(guest, *arguments, **keywords)
  return caught.value


def test_within_all_limits(machine, guest):
  with guest.running():
    machine.pass_by(guest, 1.5, cpu=0.9, memory=90 << 20)


def test_cpu_of_the_tree_is_limited(machine, guest):
  assert ending(machine, guest, 1.0, cpu=1.1).status == 'timeout'


def test_idle_time_is_limited(machine, guest):
  assert ending(machine, guest, 3.0).status == 'timeout'


def test_time_in_the_run_queue_is_credited(machine, guest):
  with guest.running():
    machine.pass_by(guest, 5.0, cpu=0.9, delayed=4.0)


def test_a_machine_that_gives_no_time_judges_nobody(machine, guest):
  assert ending(machine, guest, 9.0, delayed=9.0).status == 'unavailable'


def test_no_more_is_credited_than_has_passed(machine, guest):
  # Delays of threads that were new at this sample may lie before it.
  with guest.running():
    machine.now += 0.1
    machine.used = tree.Usage(0.0, 0, {7: 50.0})
    guest.check()
  assert ending(machine, guest, 2.5).status == 'timeout'


def test_threads_that_wait_for_each_other_get_no_credit(machine, guest):
  ended = ending(machine, guest, 2.5, delayed=2.0, threads=(7, 8))
  assert ended.status == 'timeout'


def test_memory_is_limited(machine, guest):
  ended = ending(machine, guest, 1.0, memory=101 << 20)
  assert (ended.status, ended.detail) == ('memory', 'over 100 MiB')


def test_clocks_stand_still_between_requests(machine, guest):
  for _ in range(5):
    with guest.running():
      machine.pass_by(guest, 0.3)
    machine.now += 60.0


def test_time_adds_up_over_requests(machine, guest):
  for _ in range(3):
    with guest.running():
      machine.pass_by(guest, 0.6)
  assert ending(machine, guest, 0.6).status == 'timeout'


def test_short_answers_do_not_pass_between_samples(machine, guest):
  """Each is quicker than a sample; together they take too long."""

  def answer_quickly():
    for _ in range(1000):
      with guest.running():
        machine.now += 0.005

  with pytest.raises(Ended, match='timeout'):
    answer_quickly()


def test_threads_are_limited_where_the_kernel_does_not(machine, guest):
  ended = ending(machine, guest, 0.1, threads=range(11))
  assert ended.detail == 'over 8 processes'


def test_a_stretch_has_a_limit_of_its_own(machine, guest):
  with guest.running(0.3):
    machine.pass_by(guest, 0.2, cpu=0.2)
  with guest.running(0.3):  # From the 0.2 s that are used already.
    machine.pass_by(guest, 0.2, cpu=0.49)
  with pytest.raises(Ended), guest.running(0.3):
    machine.pass_by(guest, 0.2, cpu=0.8)


@pytest.mark.parametrize(
  ('wait_status', 'status', 'words'),
  [
    (signal.SIGXCPU, 'timeout', 'CPU'),
    (signal.SIGSEGV, 'runtime_error', 'SIGSEGV'),
    (0, 'runtime_error', 'status 0'),
    (3 << 8, 'runtime_error', 'status 3'),
    (None, 'runtime_error', 'channel'),
  ],
)
def test_a_death_has_a_reason(monkeypatch, wait_status, status, words):
  monkeypatch.setattr(watch, 'DEATH_S', 0.01)
  ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
  theirs.send(json.dumps({'guest': 2}).encode())
  if wait_status is not None:
    theirs.send(json.dumps({'wait_status': int(wait_status)}).encode())
  ended = watch.Watch(os.getpid(), LIMITS, ours).death()
  assert ended.status == status
  assert words in ended.detail
