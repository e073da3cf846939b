# SPDX-License-Identifier: Apache-2.0
"""A guest that speaks nonsense costs its own item and nothing else."""

import contextlib
import json
import os
import socket
import threading

import pytest

from srpo_jax.reward.sandbox.inside import channel, host
from srpo_jax.reward.sandbox.inside.ended import Ended


class Watch:
  """A stand-in that counts checks and never ends anything."""

  def __init__(self, limit=5000):
    self.checks = 0
    self.limit = limit

  @contextlib.contextmanager
  def running(self, limit_s=None):
    yield

  def check(self):
    self.checks += 1
    if self.checks > self.limit:
      raise Ended('timeout', 'enough')

  def death(self):
    return Ended('runtime_error', 'it is gone')


def frame(message):
  data = message if isinstance(message, bytes) else json.dumps(message).encode()
  return len(data).to_bytes(4, 'big') + data


CALLS = {
  'type': 'call',
  'entry_point': 'f',
  'cases': [{'args': [], 'expected': 5}, {'args': [], 'expected': 6}],
}


def judge(answer, tests=CALLS, cpu_s=5.0):
  """The report on a guest that is a function of its socket."""
  ours, theirs = socket.socketpair()
  thread = threading.Thread(target=answer, args=(theirs,))
  thread.start()
  limits = {'cpu_s': cpu_s, 'case_s': None, 'output_kb': 64}
  job = {'program': '', 'tests': tests, 'limits': limits}
  try:
    return host.judge(job, ours, Watch())
  finally:
    ours.close()
    thread.join()
    theirs.close()


def replies(*messages):
  """A guest that answers each request with the next of these."""

  def answer(sock):
    for message in messages:
      channel.receive(sock)
      with contextlib.suppress(OSError):
        sock.sendall(message if isinstance(message, bytes) else frame(message))
    sock.shutdown(socket.SHUT_RDWR)

  return answer


LOADED = {'n': 1, 'nodes': [], 'roots': [None]}


def value(number, reply):
  return {'n': number, 'nodes': [], 'roots': [reply]}


def test_plain_replies_are_judged():
  assert judge(replies(LOADED, value(2, 5), value(3, 6)))['status'] == 'correct'
  report = judge(replies(LOADED, value(2, 5), value(3, 7)))
  assert (report['status'], report['passed']) == ('wrong', 1)


@pytest.mark.parametrize(
  'reply',
  [
    *(b'', frame(b''), frame(b'{'), frame(b'\xff'), frame(b'[' * 10**5)),
    *(frame([]), frame('correct'), frame(5), frame({'status': 'correct'})),
    *(value(1, 5), value(3, 5), value('2', 5), value(None, 5)),
    *({'n': 2}, {'n': 2, 'nodes': [], 'roots': []}),
    {'n': 2, 'nodes': [], 'roots': [[0]]},
    {'n': 2, 'nodes': [['handle', 'x']], 'roots': [[0]]},
    {'n': 2, 'nodes': [['pickle', 'x']], 'roots': [[0]]},
    *({'n': 2, 'error': 5}, {'n': 2, 'error': ['ValueError']}),
    {'n': 2, 'error': ['BaseException', '']},
    {'n': 2, 'error': ['SystemExit', '0']},
    {'n': 2, 'error': ['Ended', 'correct']},
    {'n': 2, 'error': ['__import__', 'os']},
    {'n': 2, 'error': ['UnicodeDecodeError', 'x']},
    b'\0\0\0\x05ab',
    frame(b'{"n": 2, "roots": [' + b'[],' * 2_000_000 + b'1]}'),
  ],
  ids=lambda reply: str(reply)[:40],
)
def test_nonsense_is_a_runtime_error(reply):
  report = judge(replies(LOADED, reply))
  assert report['status'] == 'runtime_error'
  assert (report['passed'], report['total']) == (0, 2)


def test_a_reply_that_is_too_long_is_refused_unread():
  def answer(sock):
    channel.receive(sock)
    sock.sendall((1 << 30).to_bytes(4, 'big') + b'x' * 100)
    channel.receive(sock)

  assert 'over 32 MiB' in judge(answer)['detail']


def test_junk_before_and_extra_frames():
  report = judge(replies(frame('junk') + frame(LOADED)))
  assert report['status'] == 'runtime_error'
  # A second answer to one request is no answer to the next.
  twice = frame(value(2, 5)) + frame(value(2, 6))
  report = judge(replies(LOADED, twice, value(3, 6)))
  assert (report['status'], report['passed']) == ('runtime_error', 1)


def test_a_reply_in_pieces():
  def answer(sock):
    for message in (LOADED, value(2, 5), value(3, 6)):
      channel.receive(sock)
      for byte in frame(message):
        sock.send(bytes([byte]))

  assert judge(answer)['status'] == 'correct'


def test_silence_is_watched():
  done = threading.Event()

  def answer(sock):
    done.wait(20)

  try:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(Ended, match='enough'):
      channel.Line(ours, Watch(limit=3)).ask({'do': 'load'})
  finally:
    done.set()


def test_a_guest_that_does_not_read_is_watched():
  ours, theirs = socket.socketpair()
  with ours, theirs, pytest.raises(Ended, match='enough'):
    channel.Line(ours, Watch(limit=50)).ask({'do': 'x' * (1 << 24)})


@pytest.mark.parametrize(
  ('result', 'in_place', 'status'),
  [(None, False, 'correct'), (5, True, 'correct'), (5, False, 'wrong')],
)
def test_arguments_change_only_where_they_may(result, in_place, status):
  code = 'def check(f):\n  x = [1]\n  f(x)\n  assert x == [2]\n'
  handle = {'n': 2, 'nodes': [['handle', 0]], 'roots': [[0]]}
  changed = [['list', [[1]]], ['list', [2]]]
  answer = {'n': 3, 'nodes': changed, 'roots': [result, [0]]}
  tests = {'type': 'check', 'code': code, 'entry_point': 'f'}
  tests['in_place'] = in_place
  guest = replies(LOADED, handle, answer)
  assert judge(guest, tests)['status'] == status


def test_arguments_keep_their_types():
  code = 'def check(f):\n  x = [1]\n  f(x)\n  assert x == [1]\n'
  handle = {'n': 2, 'nodes': [['handle', 0]], 'roots': [[0]]}
  tests = {'type': 'check', 'code': code, 'entry_point': 'f'}
  for changed in ([['list', [5]]], [['list', []]], [['handle', 7]]):
    answer = {'n': 3, 'nodes': changed, 'roots': [None, [0]]}
    report = judge(replies(LOADED, handle, answer), tests)
    assert report['status'] == 'runtime_error'


def test_once_ended_always_ended():
  ours, theirs = socket.socketpair()
  line = channel.Line(ours, Watch())
  theirs.close()
  ends = []
  for _ in range(2):
    with pytest.raises(Ended, match='gone') as caught:
      line.ask({'do': 'load'})
    ends.append(caught.value)
  assert ends[0] is ends[1] is line.ended
  assert line.ended.status == 'runtime_error'
  ours.close()


def test_a_bare_except_does_not_hide_the_end():
  code = (
    'def check(candidate):\n'
    '  try:\n    candidate()\n  except:\n    pass\n'
    '  assert 1 < 2\n'
  )

  def answer(sock):
    channel.receive(sock)
    sock.sendall(frame(LOADED))
    channel.receive(sock)
    handle = {'n': 2, 'nodes': [['handle', 0]], 'roots': [[0]]}
    sock.sendall(frame(handle))
    channel.receive(sock)
    sock.shutdown(socket.SHUT_RDWR)

  tests = {'type': 'check', 'code': code, 'entry_point': 'f'}
  report = judge(answer, tests)
  assert report['status'] == 'runtime_error'
  assert report['detail'] == 'it is gone'


def test_tests_that_compute_for_ever_are_ended(monkeypatch):
  monkeypatch.setattr(host, 'TESTS_CPU_S', 0.0)
  code = 'def check(f):\n  while True: pass\n  assert f() == 1\n'
  handle = {'n': 2, 'nodes': [['handle', 0]], 'roots': [[0]]}
  tests = {'type': 'check', 'code': code, 'entry_point': 'f'}
  report = judge(replies(LOADED, handle), tests, cpu_s=0.3)
  # A reply that takes long to read may be the reason, even before a call.
  assert report['status'] == 'timeout'
  assert 'ran for more than' in report['detail']
  tests['prelude'] = 'while True: pass'
  report = judge(replies(), tests, cpu_s=0.3)
  assert report['status'] == 'invalid_task'


def test_frames_are_ascii_json():
  data = channel.frame({'é': '\ud83d'})
  assert int.from_bytes(data[:4], 'big') == len(data) - 4
  assert json.loads(data[4:]) == {'é': '\ud83d'}
  assert os.fsencode(data.decode('ascii'))
