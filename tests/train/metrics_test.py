# SPDX-License-Identifier: Apache-2.0
"""metrics.jsonl and TensorBoard: names, bytes, damage and cutting back."""

import json
import pathlib

import numpy as np
import pytest
from tensorboardX.proto import event_pb2
from tensorboardX.record_writer import masked_crc32c

from srpo_jax.core import config
from srpo_jax.train import metrics

REPO = pathlib.Path(__file__).parents[2]


def step_of(step, seconds=1.0):
  return {
    'time/step': seconds,
    'verdict/correct': 0.5,
    'reward/mean': np.float32(0.1) * step,
    'accuracy/math': 0.5,
    'history/kept': np.int64(40),
    'eval/embedded_math/pass@1': float('nan'),
    'step': step,
    'stage': 1,
    'epoch': 1,
  }


def lines(workdir):
  text = (workdir / 'metrics.jsonl').read_text()
  return [json.loads(line) for line in text.splitlines()]


def board_events(workdir):
  """(step, what) of TensorBoard's events, oldest file first."""
  events = []
  for path in sorted((workdir / 'tb').iterdir()):
    data = path.read_bytes()
    while data:
      size = int.from_bytes(data[:8], 'little')
      body = data[12 : 12 + size]
      crc = int.from_bytes(data[12 + size : 16 + size], 'little')
      assert crc == masked_crc32c(body)
      events.append(event_pb2.Event.FromString(body))
      data = data[16 + size :]
  return events


def test_a_line_a_step_in_the_order_of_the_table(tmp_path):
  with metrics.MetricsWriter(tmp_path) as writer:
    writer.write(step_of(0))
    writer.write(step_of(1))
  text = (tmp_path / 'metrics.jsonl').read_text()
  assert text.splitlines()[0] == (
    '{"step": 0, "stage": 1, "epoch": 1, "reward/mean": 0.0, '
    '"accuracy/math": 0.5, "history/kept": 40, "verdict/correct": 0.5, '
    '"eval/embedded_math/pass@1": null, "time/step": 1.0}'
  )
  assert lines(tmp_path)[1]['reward/mean'] == float(np.float32(0.1))


def test_equal_runs_differ_in_times_only(tmp_path):
  for name, seconds in (('a', 1.0), ('b', 2.5)):
    with metrics.MetricsWriter(tmp_path / name) as writer:
      values = step_of(3, seconds)
      if name == 'b':
        values = dict(reversed(values.items()))
      writer.write(values)

  def timeless(name):
    return [
      [pair for pair in line.items() if not timed(pair[0])]
      for line in lines(tmp_path / name)
    ]

  def timed(name):
    return name.startswith(metrics.TIME_PREFIXES)

  # Lists of pairs: the order of the keys counts too.
  assert timeless('a') == timeless('b')
  assert lines(tmp_path / 'a') != lines(tmp_path / 'b')


@pytest.mark.parametrize(
  'name',
  [
    'rewards/mean',
    'accuracy/<domain>',
    'accuracy/maths',
    'verdict/unknown',
    'eval/a/b/pass@1',
    'eval//pass@1',
    'loss2',
    'mismatch',
  ],
)
def test_unknown_names_are_refused(tmp_path, name):
  with (
    metrics.MetricsWriter(tmp_path) as writer,
    pytest.raises(ValueError, match='unknown metric'),
  ):
    writer.write({'step': 1, name: 0.0})
  assert not (tmp_path / 'metrics.jsonl').exists()


def test_every_name_of_the_table_is_accepted(tmp_path):
  example = {'<domain>': 'code', '<set>': 'a-1.b', '<status>': 'timeout'}
  names = list(metrics.METRICS)
  for place, word in example.items():
    names = [name.replace(place, word) for name in names]
  line = json.loads(metrics.to_line(dict.fromkeys(reversed(names), 1)))
  assert list(line) == names


def test_design_names_are_in_the_table():
  named = (
    'step stage epoch reward/mean accuracy/<domain> format/mean '
    'response_length/mean response_length/<domain> truncated/share '
    'groups/all_correct groups/all_wrong groups/effective history/kept '
    'history/dropped loss grad_norm entropy clip/share mismatch/kl '
    'tokens/rollout tokens/train time/rollout time/reward time/update '
    'time/step speed/rollout_tokens_per_s speed/train_tokens_per_s '
    'eval/<set>/pass@1 verdict/<status>'
  )
  assert set(named.split()) <= set(metrics.METRICS)


def test_bad_values_are_refused(tmp_path):
  writer = metrics.MetricsWriter(tmp_path)
  with pytest.raises(ValueError, match='without a step'):
    writer.write({'loss': 1.0})
  with pytest.raises(ValueError, match='one number, not an array'):
    writer.write({'step': 1, 'loss': np.zeros(2)})
  writer.write({'step': 1})
  with pytest.raises(ValueError, match='step 1 after those of step 1'):
    writer.write({'step': 1})
  writer.close()
  assert lines(tmp_path) == [{'step': 1}]


def test_infinity_is_null(tmp_path):
  assert json.loads(metrics.to_line({'step': 1, 'loss': float('inf')})) == {
    'step': 1,
    'loss': None,
  }


def test_cut_back_drops_later_steps_and_half_a_line(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  with metrics.MetricsWriter(tmp_path) as writer:
    for step in range(5):
      writer.write(step_of(step))
  whole = path.read_bytes()
  path.write_bytes(whole + b'{"step": 5, "loss": 1.')
  with metrics.MetricsWriter(tmp_path) as writer:
    writer.cut_back(2)
    assert path.read_bytes() == b''.join(whole.splitlines(True)[:3])
    for step in (3, 4):
      writer.write(step_of(step))
  assert path.read_bytes() == whole
  assert not list(tmp_path.glob('*.tmp'))


def test_a_last_line_without_its_end_is_cut(tmp_path):
  # Kept, it would run into the next line.
  path = tmp_path / 'metrics.jsonl'
  path.write_text('{"step": 0}\n{"step": 1}')
  with metrics.MetricsWriter(tmp_path) as writer:
    writer.cut_back(1)
  assert path.read_text() == '{"step": 0}\n'


def test_a_line_is_on_the_disk_when_write_returns(tmp_path, monkeypatch):
  synced = []

  def fsync(_):
    synced.append((tmp_path / 'metrics.jsonl').read_text())

  monkeypatch.setattr(metrics.os, 'fsync', fsync)
  # TensorBoard's file is synced too.
  monkeypatch.setattr(metrics.MetricsWriter, '_write_board', lambda *_: None)
  with metrics.MetricsWriter(tmp_path) as writer:
    writer.write({'step': 1})
  assert synced == ['{"step": 1}\n']


def test_cut_back_of_an_empty_workdir(tmp_path):
  with metrics.MetricsWriter(tmp_path / 'new') as writer:
    writer.cut_back(-1)
    writer.write({'step': 0})
  assert lines(tmp_path / 'new') == [{'step': 0}]


def test_damage_inside_is_an_error_that_names_the_line(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  path.write_text('{"step": 0}\n{"st\n{"step": 2}\n')
  with pytest.raises(config.ConfigError, match=r'metrics\.jsonl, line 2'):
    metrics.MetricsWriter(tmp_path).cut_back(2)
  assert path.read_text() == '{"step": 0}\n{"st\n{"step": 2}\n'


def test_tensorboard_hides_what_was_cut_back(tmp_path):
  with metrics.MetricsWriter(tmp_path) as writer:
    writer.write({'step': 1, 'eval/embedded_math/pass@1': 0.25})
    writer.write({'step': 2, 'loss': 0.5})
    writer.cut_back(1)
    writer.write({'step': 2, 'loss': 0.75})
  events = board_events(tmp_path)
  scalars = [
    (event.step, value.tag, value.simple_value)
    for event in events
    for value in event.summary.value
  ]
  assert scalars == [
    (1, 'eval/embedded_math/pass_at_1', 0.25),
    (2, 'loss', 0.5),
    (2, 'loss', 0.75),
  ]
  starts = [event.step for event in events if event.HasField('session_log')]
  assert starts == [2]


def test_the_page_is_the_table():
  page = (REPO / 'docs' / 'metrics.md').read_text()
  assert page == metrics.metrics_page(), (
    'METRICS changed: run python -m srpo_jax.train.metrics > docs/metrics.md'
  )
  assert '| `truncated/share` |' in page
