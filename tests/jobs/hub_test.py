# SPDX-License-Identifier: Apache-2.0
"""A model of the Hub, from a server in the Hub's place on this machine."""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading

import pytest

from srpo_jax.core.config import ConfigError
from srpo_jax.jobs import hub, initial

NAME, COMMIT = 'someone/small-model', '0123456789abcdef' * 2 + '01234567'
FILES = {
  **{path.name: path.read_bytes() for path in initial.EMBEDDED.iterdir()},
  'pytorch_model.bin': b'a pickle, which nobody asks for',
  'consolidated.safetensors': b'the same once more, in another layout',
  'original/params.json': b'{}',
  'onnx/model.safetensors': b'and once more',
}
NOT_ASKED_FOR = tuple(list(FILES)[-4:])


class Hub(http.server.BaseHTTPRequestHandler):
  """What huggingface_hub asks of the Hub: the list of files, and each file."""

  def log_message(self, *args):
    del args

  def do_HEAD(self):
    self.answer(with_body=False)

  def do_GET(self):
    self.answer(with_body=True)

  def answer(self, with_body):
    path = self.path.split('?')[0]
    self.server.asked.append(path)
    if path.startswith(f'/api/models/{NAME}/tree'):
      tree = [
        {'type': 'file', 'path': name, 'size': len(body), 'oid': 'x'}
        for name, body in FILES.items()
      ]
      return self.send(json.dumps(tree).encode(), with_body)
    if path.startswith(f'/api/models/{NAME}'):
      files = [{'rfilename': name} for name in FILES]
      info = {'id': NAME, 'sha': COMMIT, 'siblings': files}
      return self.send(json.dumps(info).encode(), with_body)
    name = path.removeprefix(f'/{NAME}/resolve/{COMMIT}/')
    if name in FILES:
      return self.send(FILES[name], with_body)
    self.send_response(404)
    self.send_header('X-Error-Code', 'RepoNotFound')
    self.send_header('Content-Length', '0')
    return self.end_headers()

  def send(self, body, with_body):
    self.send_response(200)
    self.send_header('Content-Length', str(len(body)))
    self.send_header('ETag', f'"{hashlib.sha256(body).hexdigest()}"')
    self.send_header('X-Repo-Commit', COMMIT)
    self.end_headers()
    if with_body and self.server.cut and len(body) > 10_000:
      self.wfile.write(body[: len(body) // 2])
      self.close_connection = True
    elif with_body:
      self.wfile.write(body)


@pytest.fixture
def server():
  made = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Hub)
  made.asked, made.cut = [], False
  threading.Thread(target=made.serve_forever, daemon=True).start()
  yield made
  made.shutdown()
  made.server_close()


def export(name, workdir, server, cache):
  """Runs the export job in a process of its own: the Hub's address is read
  when its library is imported."""
  command = [sys.executable, '-m', 'srpo_jax.main', '--gin_file=export.gin']
  flags = [f"--gin.INIT_FROM='{name}'", f'--workdir={workdir}']
  here = f'http://127.0.0.1:{server.server_port}'
  return subprocess.run(
    [*command, *flags],
    env={**os.environ, 'HF_ENDPOINT': here, 'HF_HOME': str(cache)},
    capture_output=True,
    text=True,
    check=False,
  )


def test_a_model_is_fetched_once(server, tmp_path):
  cache = tmp_path / 'cache'
  done = export(f'hf://{NAME}', tmp_path / 'a', server, cache)
  assert done.returncode == 0, done.stderr
  weights = (tmp_path / 'a/hugging_face/model.safetensors').read_bytes()
  assert weights == FILES['model.safetensors']
  unwanted = [path for path in server.asked if path.endswith(NOT_ASKED_FOR)]
  assert unwanted == []
  server.asked.clear()
  done = export(f'hf://{NAME}@{COMMIT}', tmp_path / 'b', server, cache)
  assert done.returncode == 0, done.stderr
  assert not any('safetensors' in path for path in server.asked)


def test_a_model_that_is_not_there_is_one_line(server, tmp_path):
  done = export('hf://no/such', tmp_path / 'a', server, tmp_path / 'cache')
  assert done.returncode == 2
  assert len(done.stderr.strip().splitlines()) == 1, done.stderr
  assert "INIT_FROM = 'hf://no/such': cannot be fetched" in done.stderr


def test_a_download_that_is_cut_off_is_one_line_and_can_be_had_again(
  server, tmp_path
):
  server.cut, cache = True, tmp_path / 'cache'
  done = export(f'hf://{NAME}', tmp_path / 'a', server, cache)
  assert done.returncode == 2
  (line,) = [x for x in done.stderr.splitlines() if 'INIT_FROM' in x]
  assert 'Traceback' not in done.stderr
  assert f"INIT_FROM = 'hf://{NAME}': cannot be fetched" in line
  assert not (tmp_path / 'a' / 'hugging_face').exists()
  server.cut = False
  done = export(f'hf://{NAME}', tmp_path / 'a', server, cache)
  assert done.returncode == 0, done.stderr
  weights = (tmp_path / 'a/hugging_face/model.safetensors').read_bytes()
  assert weights == FILES['model.safetensors']


@pytest.mark.parametrize(
  'name', ['hf://', 'hf://one', 'hf://a/b/c', 'hf://a/ b']
)
def test_what_is_no_name_is_refused(name):
  with pytest.raises(ConfigError, match='names no model'):
    hub.fetch(name)
