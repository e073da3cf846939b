# SPDX-License-Identifier: Apache-2.0
"""GSM8K from the publisher's form, from ours, and what is refused."""

import http.server
import json
import lzma
import threading

import pytest
import tensorflow_datasets as tfds

from srpo_jax.core.config import ConfigError
from srpo_jax.core.records import prompt_id
from srpo_jax.data import prompts
from srpo_jax.data.builders import gsm8k, store

PUBLISHER = (
  '{"question": "How many?", "answer": "First 2.\\n#### 1,234"}\n'
  '{"question": "How cold?", "answer": "So\\n#### -5"}\n'
)


@pytest.fixture
def cache(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  return prompts.cache_folder()


@pytest.fixture
def folder(tmp_path):
  folder = tmp_path / 'data'
  folder.mkdir()
  for split in gsm8k.SPLITS:
    (folder / f'{split}.jsonl').write_text(PUBLISHER)
  return folder


def test_publishers_rows(folder, cache):
  loaded = prompts.load('gsm8k/train', folder)
  first = loaded.by_id[prompt_id('gsm8k', 'gsm8k-train-0')]
  assert (first.question, first.answer) == ('How many?', ('1234',))
  assert (first.domain, first.match) == ('math', 'equivalence')
  second = loaded.by_id[prompt_id('gsm8k', 'gsm8k-train-1')]
  assert second.answer == ('-5',)


def test_our_copies_come_before_the_publishers(folder, cache):
  row = {'id': 'gsm8k-train-9', 'prompt': 'Why?', 'answer': '7'}
  with lzma.open(folder / 'gsm8k_train.jsonl.xz', 'wt') as f:
    f.write(json.dumps(row) + '\n')
  loaded = prompts.load('gsm8k/train', folder)
  assert list(loaded.by_id) == [prompt_id('gsm8k', 'gsm8k-train-9')]
  assert len(prompts.load('gsm8k/test', folder)) == 2


def test_a_changed_file_is_built_anew_and_an_unchanged_one_is_not(
  folder, cache, monkeypatch
):
  assert len(prompts.load('gsm8k/train', folder)) == 2
  with monkeypatch.context() as patched:
    patched.setattr(store, 'write', None)  # would fail if it were called
    assert len(prompts.load('gsm8k/train', folder)) == 2
  (folder / 'train.jsonl').write_text(PUBLISHER.splitlines()[0])
  assert len(prompts.load('gsm8k/train', folder)) == 1


def test_real_files(shared_data, cache):
  test = prompts.load('gsm8k/test', shared_data)
  assert len(test) == 1319
  assert len(prompts.load('gsm8k/train', shared_data)) == 7469
  assert test.by_id[prompt_id('gsm8k', 'gsm8k-test-0')].answer == ('18',)


@pytest.mark.parametrize(
  ('line', 'message'),
  [
    ('{', r'not JSON'),
    ('[1]', r'not a JSON object'),
    ('{"question": "q"}', r'has no answer'),
    ('{"answer": "#### 1"}', r'has no question'),
    ('{"question": " ", "answer": "#### 1"}', r'question is empty'),
    ('{"question": "q", "answer": "#### many"}', r"'many' is no number"),
  ],
)
def test_a_bad_row_names_its_file_and_line(folder, cache, line, message):
  path = folder / 'train.jsonl'
  path.write_text(PUBLISHER + line + '\n')
  with pytest.raises(ConfigError, match=rf'{path}: line 3: .*{message}') as e:
    prompts.load('gsm8k/train', folder)
  assert '\n' not in str(e.value)
  # Nothing half built stays.
  assert [p.name for p in cache.iterdir()] == ['downloads']


def test_a_damaged_archive_is_named(folder, cache):
  path = folder / 'gsm8k_test.jsonl.xz'
  path.write_bytes(lzma.compress(PUBLISHER.encode())[:-20])
  with pytest.raises(ConfigError, match=rf'{path}: cannot be read'):
    prompts.load('gsm8k/train', folder)


def test_one_split_without_the_other_is_refused(folder, cache):
  (folder / 'test.jsonl').unlink()
  with pytest.raises(ConfigError, match='without its test split'):
    prompts.load('gsm8k/train', folder)


@pytest.fixture
def publisher(folder, monkeypatch):
  """A web server in the publisher's place; its files are not the pinned."""

  class Quiet(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *args):
      super().__init__(*args, directory=folder)

    def log_message(self, *args):
      del args

  server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Quiet)
  thread = threading.Thread(target=server.serve_forever, daemon=True)
  thread.start()
  url = f'http://127.0.0.1:{server.server_port}/{{}}.jsonl'
  monkeypatch.setattr(gsm8k, 'URL', url)
  yield url
  server.shutdown()
  server.server_close()
  thread.join()


def pin(monkeypatch, url: str, folder) -> None:
  """Pins what the folder holds now."""
  infos = {
    url.format(split): tfds.download.checksums.UrlInfo(
      size=path.stat().st_size,
      checksum=store.digest(path.read_bytes()),
      filename=path.name,
    )
    for split in gsm8k.SPLITS
    if (path := folder / f'{split}.jsonl')
  }
  monkeypatch.setattr(gsm8k.Gsm8k, 'url_infos', infos)


def test_downloads_where_no_folder_is_given(
  publisher, folder, cache, monkeypatch
):
  pin(monkeypatch, publisher, folder)
  assert len(prompts.load('gsm8k/train')) == 2
  assert (cache / 'gsm8k-publisher').is_dir()


def test_a_download_that_is_not_the_pinned_file_is_refused(
  publisher, folder, cache, monkeypatch
):
  pin(monkeypatch, publisher, folder)
  (folder / 'train.jsonl').write_text(PUBLISHER.replace('1,234', '1,235'))
  with pytest.raises(ConfigError, match='SHA-256 is pinned') as e:
    prompts.load('gsm8k/train')
  assert 'DATA_DIR' in str(e.value)


def test_a_download_that_fails_names_the_remedy(
  publisher, folder, cache, monkeypatch
):
  pin(monkeypatch, publisher, folder)
  (folder / 'train.jsonl').unlink()
  with pytest.raises(ConfigError, match=r'cannot be fetched.*DATA_DIR'):
    prompts.load('gsm8k/train')


def test_pins_are_for_the_publishers_addresses():
  assert set(gsm8k.Gsm8k.url_infos) == {
    gsm8k.URL.format('train'),
    gsm8k.URL.format('test'),
  }
