# SPDX-License-Identifier: Apache-2.0
"""What runs on every host, and several hosts on one machine.

The trainer is a stand-in here: a script that ends as a test says. The shell
around it and the reward service beside it are real.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[1]
HOST = ROOT / 'launch' / 'host.sh'
LOCAL = ROOT / 'launch' / 'local.sh'

# PYTHON of a test: the trainer is the script $DO, everything else is Python.
STAND_IN = f"""#!/usr/bin/env bash
if [[ $2 != srpo_jax.main ]]; then exec {sys.executable} "$@"; fi
shift 2
printf '%s\\n' "$@" > "$HERE/arguments.$BASHPID"
echo >> "$HERE/starts"
begun() {{ wc -l < "$HERE/starts"; }}
eval "$DO"
"""
# Works on for ever; when asked to stop it takes a moment and ends with $1.
UNTIL_ASKED = """
trap 'echo asked >> $HERE/asked; sleep 0.3; exit {status}' TERM
echo up >> $HERE/up
while :; do sleep 0.05; done
"""


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
  """Of the scripts: no pauses, and the stand-in as Python."""
  python = tmp_path / 'python'
  python.write_text(STAND_IN)
  python.chmod(0o755)
  settings = {'PYTHON': python, 'HERE': tmp_path, 'RESTART_WAIT': 0}
  names = [str(ROOT), os.environ.get('PYTHONPATH', '')]
  return {
    **os.environ,
    **{key: str(value) for key, value in settings.items()},
    'PYTHONPATH': os.pathsep.join(filter(None, names)),
  }


def starts(folder: Path) -> int:
  return len((folder / 'starts').read_text().splitlines())


def run(script: Path, *arguments: str, env: dict[str, str], **settings):
  """Runs a script to its end."""
  return subprocess.run(
    [script, *arguments],
    env=env | {key: str(value) for key, value in settings.items()},
    capture_output=True,
    text=True,
    timeout=120,
  )


@contextlib.contextmanager
def running(script: Path, *arguments: str, env: dict[str, str], **settings):
  """A script under way, in a session of its own; none of it is left behind."""
  process = subprocess.Popen(
    [script, *arguments],
    env=env | {key: str(value) for key, value in settings.items()},
    stderr=subprocess.PIPE,
    text=True,
    start_new_session=True,
  )
  try:
    yield process
    process.wait(120)
    wait_for(lambda: not session(process.pid))
  finally:
    for pid in session(process.pid):
      with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    process.communicate()


def session(leader: int) -> list[int]:
  """The processes of a session, zombies aside."""
  found = []
  for stat in Path('/proc').glob('[0-9]*/stat'):
    with contextlib.suppress(OSError):
      state, _, _, number = stat.read_text().rpartition(')')[2].split()[:4]
      if int(number) == leader and state != 'Z':
        found.append(int(stat.parent.name))
  return found


def wait_for(condition, seconds: float = 120) -> None:
  end = time.monotonic() + seconds
  while not condition():
    assert time.monotonic() < end, 'it did not happen'
    time.sleep(0.05)


@pytest.mark.parametrize('status', [0, 1, 2])
def test_the_exit_status_is_passed_on(environment, tmp_path, status):
  done = run(HOST, env=environment, DO=f'exit {status}')
  assert (done.returncode, starts(tmp_path)) == (status, 1)


def test_arguments_arrive_as_they_are(environment, tmp_path):
  arguments = ['--gin.MESH=(-1, 1, 1)', '--gin.A="$HOME `id`"', '', "'"]
  assert run(HOST, *arguments, env=environment, DO='').returncode == 0
  (file,) = tmp_path.glob('arguments.*')
  assert file.read_text().split('\n')[:-1] == arguments


@pytest.mark.parametrize('ends', ['exit 75', 'kill -KILL $BASHPID'])
def test_75_and_a_signal_start_it_again(environment, tmp_path, ends):
  done = run(HOST, env=environment, DO=f'(( $(begun) == 3 )) || {ends}')
  assert (done.returncode, starts(tmp_path)) == (0, 3)
  assert '(2 of 20)' in done.stderr


@pytest.mark.parametrize(
  ('ends', 'status'), [('exit 75', 75), ('kill -KILL $BASHPID', 137)]
)
def test_it_gives_up(environment, tmp_path, ends, status):
  done = run(HOST, env=environment, DO=ends, MAX_RESTARTS=2)
  assert (done.returncode, starts(tmp_path)) == (status, 3)
  assert 'all of MAX_RESTARTS' in done.stderr


def test_a_long_life_ends_the_row(environment, tmp_path):
  do = '(( $(begun) == 4 )) || exit 75'
  settings = {'MAX_RESTARTS': 1, 'RESTARTS_RESET': 0}
  done = run(HOST, env=environment, DO=do, **settings)
  assert (done.returncode, starts(tmp_path)) == (0, 4)


@pytest.mark.parametrize(('own', 'status'), [(75, 75), (0, 0), (143, 75)])
def test_sigterm_is_passed_on_and_is_the_end(
  environment, tmp_path, own, status
):
  do = UNTIL_ASKED.format(status=own)
  file = tmp_path / 'trainer.pid'
  with running(HOST, env=environment, DO=do, TRAINER_PID_FILE=file) as host:
    wait_for((tmp_path / 'up').exists)
    assert int(file.read_text()) in session(host.pid)
    host.terminate()
  assert host.returncode == status
  assert (tmp_path / 'asked').exists()
  assert starts(tmp_path) == 1


def test_a_trainer_that_does_not_end_is_killed_after_the_grace(
  environment, tmp_path
):
  do = "trap '' TERM; echo > $HERE/up; while :; do sleep 0.05; done"
  with running(HOST, env=environment, DO=do, GRACE=1) as host:
    wait_for((tmp_path / 'up').exists)
    host.terminate()
  assert (host.returncode, starts(tmp_path)) == (75, 1)


def test_sigterm_between_two_starts(environment, tmp_path):
  settings = {'DO': 'exit 75', 'RESTART_WAIT': 1000}
  with running(HOST, env=environment, **settings) as host:
    assert 'again in 1000 s' in host.stderr.readline()
    host.terminate()
  assert (host.returncode, starts(tmp_path)) == (75, 1)


@pytest.mark.parametrize(
  ('setting', 'words'),
  [
    ({'MAX_RESTARTS': '-1'}, 'MAX_RESTARTS=-1 is no whole number'),
    ({'GRACE': '1; id'}, 'GRACE=1; id is no whole number'),
    ({'PYTHON': '/nowhere/python'}, 'PYTHON=/nowhere/python is not there'),
    ({'REWARD_REPLICAS': '1'}, 'give one of the two'),
  ],
)
def test_a_wrong_setting_is_one_line(environment, setting, words):
  address = '--gin.REWARD_ADDRESS=http://other:1'
  done = run(HOST, address, env=environment, **setting)
  assert done.returncode == 2
  assert words in done.stderr
  assert len(done.stderr.splitlines()) == 1


def free_port() -> int:
  with socket.socket() as listener:
    listener.bind(('127.0.0.1', 0))
    return listener.getsockname()[1]


def ready(port: int) -> bool:
  try:
    return httpx.get(f'http://127.0.0.1:{port}/readyz').status_code == 200
  except httpx.HTTPError:
    return False


def service(leader: int) -> int:
  """The process id of the one reward service of a session."""
  words = b'\0-m\0srpo_jax.reward.service\0'
  (pid,) = (
    pid
    for pid in session(leader)
    if words in Path(f'/proc/{pid}/cmdline').read_bytes()
  )
  return pid


def test_a_reward_service_beside_the_trainer(environment, tmp_path):
  port = free_port()
  settings = {
    # The first start ends when it is asked to, the second works on.
    'DO': UNTIL_ASKED.format(status=75),
    'REWARD_REPLICAS': 1,
    'REWARD_PORT': port,
    'REWARD_FLAGS': '--workers=1 --sandboxes=1',
    'TRAINER_PID_FILE': tmp_path / 'trainer.pid',
  }
  with running(HOST, env=environment, **settings) as host:
    wait_for(lambda: ready(port))
    (file,) = tmp_path.glob('arguments.*')
    address = f'--gin.REWARD_ADDRESS=http://127.0.0.1:{port}\n'
    assert file.read_text() == address
    # One that died is there again when the trainer is.
    os.kill(service(host.pid), signal.SIGKILL)
    os.kill(int((tmp_path / 'trainer.pid').read_text()), signal.SIGTERM)
    wait_for(lambda: starts(tmp_path) == 2)
    wait_for(lambda: ready(port))
    # SIGKILL leaves the script no time to end the service: it ends itself.
    host.kill()
    wait_for(lambda: not ready(port))
    os.kill(int((tmp_path / 'trainer.pid').read_text()), signal.SIGKILL)


def test_the_real_trainer(environment):
  environment['PYTHON'] = sys.executable
  flags = ['--gin_file=stage1.gin', '--gin.MESH=(-1, 1, 1)', '--dry_run']
  done = run(HOST, *flags, env=environment)
  assert (done.returncode, done.stderr) == (0, '')
  assert 'MESH = (-1, 1, 1)\n' in done.stdout


def test_hosts_on_this_machine(environment, tmp_path):
  do = 'echo "$JAX_PLATFORMS $XLA_FLAGS" > $HERE/flags.$BASHPID'
  settings = {'DO': do, 'XLA_FLAGS': '--xla_a', 'REWARD_REPLICAS': 0}
  logs = tmp_path / 'logs'
  words = ('2', '--devices=4', f'--logs={logs}', '--', '--gin.A=( 1)')
  assert run(LOCAL, *words, env=environment, **settings).returncode == 0
  got = sorted(f.read_text() for f in tmp_path.glob('arguments.*'))
  first = got[0].splitlines()
  coordinator = first[-1]
  assert coordinator.startswith('--coordinator=127.0.0.1:')
  assert [g.splitlines() for g in got] == [
    ['--gin.A=( 1)', '--hosts=2', f'--host={host}', coordinator]
    for host in range(2)
  ]
  flags = 'cpu --xla_a --xla_force_host_platform_device_count=4\n'
  assert [f.read_text() for f in tmp_path.glob('flags.*')] == [flags] * 2
  assert sorted(f.name for f in logs.iterdir()) == sorted(
    f'{name}{host}.{kind}'
    for host in range(2)
    for name, kind in (('host', 'log'), ('host', 'pid'), ('trainer', 'pid'))
  )


def test_the_other_hosts_ask_the_services_of_the_first(environment):
  settings = {'REWARD_REPLICAS': 2, 'REWARD_PORT': 9000}
  words = ('2', '--dry-run', '--', '--gin_file=stage1.gin')
  done = run(LOCAL, *words, env=environment, **settings)
  first, second = done.stdout.splitlines()
  address = '--gin.REWARD_ADDRESS=http://127.0.0.1:9000,http://127.0.0.1:9001'
  assert address not in first
  assert address in second.replace('\\', '')
  assert 'REWARD_REPLICAS=0' in second


@pytest.mark.parametrize(
  ('statuses', 'worst'),
  [((0, 75), 75), ((75, 2), 2), ((2, 1), 1), ((1, 75), 1)],
)
def test_the_worst_status_of_the_hosts(environment, statuses, worst):
  # The host is what stands behind --host=.
  do = f'a=({" ".join(map(str, statuses))}); exit "${{a[${{3#*=}}]}}"'
  words = ('2', '--', '--gin_file=stage1.gin')
  done = run(LOCAL, *words, env=environment, DO=do, MAX_RESTARTS=0)
  assert done.returncode == worst


def test_every_host_is_asked_to_stop(environment, tmp_path):
  do = UNTIL_ASKED.format(status=75)
  with running(LOCAL, '2', '--', env=environment, DO=do) as local:
    wait_for(lambda: (tmp_path / 'up').exists())
    wait_for(lambda: (tmp_path / 'up').read_text() == 'up\nup\n')
    local.terminate()
  assert local.returncode == 75
  assert (tmp_path / 'asked').read_text() == 'asked\n' * 2


@pytest.mark.parametrize(
  'words',
  [('2',), ('--',), ('0', '--'), ('2', '--devices=x', '--'), ('2', '-x', '--')],
)
def test_wrong_flags_of_local(environment, words):
  done = run(LOCAL, *words, env=environment)
  assert done.returncode == 2
  assert len(done.stderr.splitlines()) == 1
