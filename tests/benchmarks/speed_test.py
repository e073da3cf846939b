# SPDX-License-Identifier: Apache-2.0
"""Benchmarks beside other engines: orders, comparison, tables, peers."""

import contextlib
import dataclasses
import importlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / 'benchmarks'
PEERS = BENCHMARKS / 'peers'


@pytest.fixture(scope='module', autouse=True)
def beside():
  """Scripts import what lies beside them."""
  sys.path[:0] = [str(BENCHMARKS), str(PEERS)]
  yield
  del sys.path[:2]


def load(name: str):
  """A script of benchmarks/ as a module; after `beside`."""
  if name in sys.modules:
    return sys.modules[name]
  spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f'{name}.py')
  module = importlib.util.module_from_spec(spec)
  sys.modules[name] = module
  spec.loader.exec_module(module)
  return module


ORDER = {
  'task': 'rollout',
  'folder': 'somewhere',
  'prompts': [[1, 2], [3]],
  'group_size': 2,
  'max_new_tokens': 4,
  'micro_rows': 2,
}


def protocol():
  return importlib.import_module('protocol')


# --- work orders ------------------------------------------------------------


def test_an_order_is_read_as_it_was_written():
  order = protocol().parse(json.dumps({**ORDER, 'limits': [1, 2, 3, 4]}))
  again = protocol().parse(json.dumps(dataclasses.asdict(order)))
  assert again == order
  assert order.rows == 4
  assert order.advantages == [1, -1, 1, -1]


@pytest.mark.parametrize(
  ('change', 'wanted'),
  [
    ({'task': 'sleep'}, "task = 'sleep', but it must be one of"),
    ({'prompts': [[1], []]}, 'prompts: there are none, or one of them'),
    ({'limits': [1]}, 'limits: 1 given for 4 responses'),
    ({'task': 'update'}, 'responses: an update needs them'),
    ({'micro_rows': 3}, 'micro_rows = 3 does not cut 4'),
    ({'limits': [1] * 4, 'end_ids': [5]}, 'give one of the two'),
    ({'groups': 3}, "unexpected keyword argument 'groups'"),
  ],
)
def test_an_order_that_makes_no_sense_is_refused(change, wanted):
  with pytest.raises(protocol().OrderError, match=wanted):
    protocol().parse(json.dumps({**ORDER, **change}))


def test_a_line_that_is_no_order_is_refused():
  with pytest.raises(protocol().OrderError, match='no work order'):
    protocol().parse('go')


def test_a_response_ends_with_its_end_token_or_at_its_limit():
  length_of = protocol().length_of
  assert length_of([5, 6, 9, 0, 0], {9}) == 3
  assert length_of([5, 6, 7], {9}) == 3
  assert length_of([5, 6, 7, 0], set(), 2) == 2
  assert length_of([9], {9}) == 1


@pytest.mark.parametrize('case', ['long', 'forced', 'equal', 'update', 'step'])
def test_every_case_makes_an_order(case, tmp_path):
  work_orders = load('work_orders')
  size = work_orders.Size(prompts=4, group_size=4, prompt_tokens=5)
  make = lambda: work_orders.make_order(case, tmp_path, 400, size, 2, seed=3)
  order = make()
  assert make() == order
  assert all(len(ids) == 5 and min(ids) > 0 for ids in order.prompts)
  lengths = {
    'forced': order.limits,
    'update': order.responses and [len(ids) for ids in order.responses],
  }
  if case in lengths:
    assert max(lengths[case]) == 256
    assert len(lengths[case]) == 16
  if case in ('long', 'step'):
    # One token in 40: geometric lengths of mean 40.
    assert len(set(order.end_ids)) == 10
    assert 0 not in order.end_ids
  if case == 'equal':
    assert (order.max_new_tokens, order.end_ids, order.limits) == (64, [], None)


def test_words_of_the_tokenizer_are_the_ids(tmp_path):
  import tokenizers

  files = load('work_orders').tokenizer_files(50)
  path = tmp_path / 'tokenizer.json'
  path.write_text(json.dumps(files['tokenizer.json']))
  found = tokenizers.Tokenizer.from_file(str(path))
  assert found.encode('7 0 49').ids == [7, 0, 49]
  assert found.get_vocab_size() == 50


# --- comparison -------------------------------------------------------------


def test_given_lengths_must_agree_exactly():
  same = load('speed_table').same_work
  assert same([100, 100], [100, 100], 8, drawn=False)
  assert not same([100, 100], [100, 101], 8, drawn=False)
  assert not same([100, 100], [101, 101], 8, drawn=False)
  assert not same([100, 101], [101, 100], 8, drawn=False)


def test_drawn_lengths_may_differ_by_luck_alone():
  same = load('speed_table').same_work
  rng = np.random.default_rng(0)
  draw = lambda mean: rng.geometric(1 / mean, (5, 128)).sum(axis=1).tolist()
  fair = [same(draw(40), draw(40), 128, drawn=True) for _ in range(200)]
  assert np.mean(fair) > 0.99
  # A third longer is another distribution, and seen.
  unfair = [same(draw(40), draw(53), 128, drawn=True) for _ in range(200)]
  assert np.mean(unfair) < 0.2


def reports(*pairs):
  return [
    {'tokens': n, 'seconds': s, 'longest': 9, 'peak_bytes': 2e9}
    for n, s in pairs
  ]


CASE = {'case': 'equal', 'model': '30m', 'rows': 4, 'drawn': False}
ABOUT = {'version': '1', 'dtype': 'float32', 'threads': 2}


def rows(theirs):
  ours = reports((100, 1.0), (100, 2.0), (100, 1.0))
  given = {'srpo_jax': ours, 'peer': theirs}
  about = dict.fromkeys(given, ABOUT)
  return load('speed_table').rows_of(CASE, about, given)


def test_a_ratio_is_the_median_of_rounds():
  # A slow second round slows both: the ratio does not move.
  one, other = rows(reports((100, 2.0), (100, 4.0), (100, 3.0)))
  assert other['ratio'] == 2.0
  assert one['tokens_per_s'] == 100
  assert (other['tokens_per_s_low'], other['tokens_per_s_high']) == (25, 50)
  assert (one['ratio'], one['peak_gb']) == (1.0, 2.0)


def test_unequal_work_has_no_ratio():
  _, other = rows(reports((90, 2.0), (100, 4.0), (100, 3.0)))
  assert other['ratio'] is None
  assert not other['same_work']
  table = load('speed_table').markdown([{**CASE, **other}])
  assert '| not the same work |' in table.splitlines()[-1]


def test_csv_and_page_hold_the_same(tmp_path):
  speed_table = load('speed_table')
  path, page = tmp_path / 'results' / 'speed.csv', tmp_path / 'speed.md'
  found = rows(reports((100, 2.0), (100, 4.0), (100, 3.0)))
  speed_table.write_csv(path, found)
  speed_table.write_csv(path, [{**row, 'case': 'long'} for row in found])
  speed_table.write_csv(path, found)  # over those of the same case
  there = speed_table.read_csv(path)
  assert [row['case'] for row in there] == ['long', 'long', 'equal', 'equal']
  begin, end = (
    mark.format(name='side by side')
    for mark in (speed_table.BEGIN, speed_table.END)
  )
  page.write_text(f'before\n{begin}\nold\n{end}\nafter\n')
  speed_table.put_table(page, 'side by side', speed_table.markdown(there))
  text = page.read_text()
  assert text.startswith(f'before\n{begin}\n| work |')
  assert text.endswith(f'|\n{end}\nafter\n')
  assert '| equal | 30m | peer 1 | 33.3 | 25.0, 50.0 | 2.00 |' in text
  assert 'old' not in text
  with pytest.raises(ValueError, match='lacks the marks'):
    speed_table.put_table(page, 'another', '')


def test_the_page_has_the_marks():
  text = (ROOT / 'docs' / 'speed.md').read_text()
  for name in ('side by side', 'bench', 'linear'):
    for mark in (load('speed_table').BEGIN, load('speed_table').END):
      assert text.count(mark.format(name=name)) == 1


# --- peers ------------------------------------------------------------------


def python_of(name: str) -> str:
  """The Python of a peer's environment; skips where there is none."""
  path = os.environ.get(f'SRPO_PEER_{name.upper()}', '')
  if name != 'ours' and not Path(path).is_file():
    pytest.skip(f'SRPO_PEER_{name.upper()} names no Python')
  return sys.executable if name == 'ours' else path


@pytest.fixture(scope='module')
def small_folder(tmp_path_factory):
  """A Llama of 40k parameters, with random weights."""
  from srpo_jax.policy.config import DecoderConfig

  work_orders = load('work_orders')
  tiny = lambda: DecoderConfig(
    vocab_size=400,
    dim=64,
    n_layers=2,
    n_heads=4,
    n_kv_heads=2,
    head_dim=32,
    ffn_dim=96,
  )
  folder = tmp_path_factory.mktemp('small') / 'tiny'
  work_orders.SHAPES['tiny'] = tiny
  work_orders.write_folder('tiny', folder)
  del work_orders.SHAPES['tiny']
  return folder


@pytest.mark.parametrize(
  ('script', 'environment', 'case'),
  [
    ('ours.py', 'ours', 'long'),
    ('ours.py', 'ours', 'forced'),
    ('ours.py', 'ours', 'update'),
    ('ours.py', 'ours', 'step'),
    ('tunix_peer.py', 'tunix', 'long'),
    ('tunix_peer.py', 'tunix', 'equal'),
    ('tunix_peer.py', 'tunix', 'step'),
    ('transformers_peer.py', 'torch', 'forced'),
    ('trl_peer.py', 'torch', 'update'),
    ('trl_peer.py', 'torch', 'step'),
    ('vllm_peer.py', 'vllm', 'forced'),
  ],
)
def test_a_peer_does_its_order(script, environment, case, small_folder):
  python, work_orders = python_of(environment), load('work_orders')
  size = work_orders.Size(
    prompts=2, group_size=4, prompt_tokens=5, mean=4, longest=12, equal=6,
    micro_rows=4,
  )  # fmt: skip
  order = work_orders.make_order(case, small_folder, 400, size, 1, seed=0)
  ran = subprocess.run(
    [python, str(PEERS / script)],
    input=json.dumps(dataclasses.asdict(order)) + '\ngo\ngo\n',
    env={
      **os.environ,
      'JAX_PLATFORMS': 'cpu',
      # We raise where shapes are promoted; tunix promotes.
      'JAX_NUMPY_RANK_PROMOTION': 'allow',
      'PYTHONPATH': str(ROOT) if environment == 'ours' else '',
    },
    capture_output=True,
    text=True,
  )
  assert ran.returncode == 0, ran.stderr
  about, *made = map(json.loads, ran.stdout.splitlines())
  assert (about['dtype'], about['threads']) == ('float32', 1)
  assert len(made) == 2
  for report in made:
    assert report['seconds'] > 0
    assert report['longest'] <= 12
    assert 8 <= report['tokens'] <= 8 * 12
  given = {
    'forced': order.limits,
    'equal': [6] * 8,
    'update': [len(ids) for ids in order.responses or ()],
  }
  if case in given:
    assert {r['tokens'] for r in made} == {sum(given[case])}
    assert {r['longest'] for r in made} == {max(given[case])}


def test_a_peer_says_what_is_wrong_with_an_order():
  ran = subprocess.run(
    [sys.executable, str(PEERS / 'vllm_peer.py')],
    input='{"task": "sleep"}\n',
    capture_output=True,
    text=True,
  )
  assert ran.returncode == 1
  assert ran.stderr.startswith('no work order: ')
  assert ran.stdout == ''


def test_an_engine_that_ends_is_named_with_its_last_words(tmp_path):
  side_by_side = load('side_by_side')
  script = tmp_path / 'python'
  script.write_text('#!/bin/sh\nread order\necho "no such wheel" >&2\nexit 3\n')
  script.chmod(0o755)
  order = load('work_orders').make_order(
    'equal', tmp_path, 400, load('work_orders').Size(), 1, seed=0
  )
  log, wanted = tmp_path / 'vllm.log', r'(?s)vllm ended; .*no such wheel'
  with contextlib.ExitStack() as stack:
    start = lambda: side_by_side.Worker('vllm', str(script), order, log, stack)
    with pytest.raises(SystemExit, match=wanted):
      start()


def test_engines_take_turns():
  turns = []

  class Worker:
    def __init__(self, name):
      self.name = name

    def work(self):
      turns.append(self.name)
      return {'tokens': 1, 'seconds': 1.0}

  found = load('side_by_side').in_turns([Worker('a'), Worker('b')], 2)
  assert turns == ['a', 'b', 'a', 'b']
  assert [len(reports) for reports in found.values()] == [2, 2]


# --- linear cost ------------------------------------------------------------


def test_points_and_figures_of_linear_cost(tmp_path):
  linear_cost = load('linear_cost')
  found = linear_cost.points(2, 512)
  assert found['tokens_4096'] == (2, 4096)
  assert found['prompts_16'] == (32, 512)
  made = lambda P, T: {
    'request': {
      'model': 'm', 'prompts': P, 'group_size': 8, 'length_longest': T,
    },
    'rollout': {'tokens': 8 * P * T},
    'step': {'seconds': P * T / 100, 'split': {'rollout': 1, 'update': 2}},
  }  # fmt: skip
  rows = [linear_cost.row_of(n, made(*point)) for n, point in found.items()]
  # The same for all: 1 / 800 seconds a token.
  assert {row['step_ms'] for row in rows} == {1.25}
  csv_path, image = tmp_path / 'results' / 'a.csv', tmp_path / 'a.svg'
  linear_cost.write(rows, csv_path, image)
  assert len(csv_path.read_text().splitlines()) == 8
  for word in ('tokens a response', 'prompts', 'ms a token', '4,096', 'update'):
    assert f'>{word}</text>' in image.read_text()
