# SPDX-License-Identifier: Apache-2.0
"""Groups of a comparison: what differs, labels, seeds that pair."""

import pathlib

import pytest

from srpo_jax.core import config
from srpo_jax.study import groups, read


def run(name, **bindings):
  """A run of which only the config matters."""
  texts = {k.replace('__', '.'): v for k, v in bindings.items()}
  return read.Run(pathlib.Path(name), name, {}, texts, {}, {}, [])


def labels(found):
  return [group.label for group in found]


def test_seeds_of_one_setting_are_a_group():
  runs = [
    run('a0', SEED='0', HISTORY='@keep_all', DATA_DIR="'/x'"),
    run('b0', SEED='0', HISTORY='@keep_unsolved', DATA_DIR="'/x'"),
    run('a1', SEED='1', HISTORY='@keep_all', DATA_DIR="'/y'"),
  ]
  first, second = groups.group(runs)
  # One function against another: its name says enough.
  assert (first.label, second.label) == ('keep_all', 'keep_unsolved')
  assert [x.name for x in first.runs] == ['a0', 'a1']
  assert first.seeds == ('0', '1')
  assert second.differs == {'HISTORY': '@keep_unsolved'}
  assert groups.shared_seeds(first, second) == [(0, 0)]
  assert groups.shared_seeds(second, first) == [(0, 0)]


def test_a_label_has_the_differences_macros_first():
  base = {'A': '1', 'B': "'x'", 'f__p': '2', 'C': '3'}
  other = {'A': '2', 'B': "'y'", 'f__p': '3', 'C': '4'}
  found = groups.group([run('a', **base), run('b', **other)])
  assert labels(found) == ['A=1, B=x, C=3, 1 more', 'A=2, B=y, C=4, 1 more']
  assert list(found[0].differs) == ['A', 'B', 'C', 'f.p']
  found = groups.group([run('a', A='1'), run('b', A='2')])
  assert labels(found) == ['A=1', 'A=2']
  found = groups.group([run('a', A='1'), run('b', A='1', B='2')])
  assert labels(found) == ['B=–', 'B=2']


def test_a_seed_may_start_from_a_first_stage_of_its_own():
  where = "'/runs/one.{}/policy'".format
  runs = [run(f'x{i}', SEED=str(i), INIT_FROM=where(i)) for i in range(3)]
  (found,) = groups.group(runs)
  assert found.label == 'all seeds'
  assert len(found.runs) == 3


def test_the_same_again_is_told_apart_by_its_folder():
  twice = [run('a', SEED='0', A='1'), run('b', SEED='0', A='1')]
  assert labels(groups.group(twice)) == ['a', 'b']
  # Without a config nothing says that two runs belong together.
  assert labels(groups.group([run('a'), run('b')])) == ['a', 'b']
  three = [*twice, run('c', SEED='0', A='2')]
  assert labels(groups.group(three)) == ['a', 'b', 'A=2']


def test_labels_of_the_user():
  runs = [run('a', SEED='0', A='1'), run('b', SEED='1', A='1')]
  runs += [run('c', SEED='0', A='2')]
  assert labels(groups.group(runs, ['one', 'two'])) == ['one', 'two']
  # One for each run says what belongs together.
  found = groups.group(runs, ['x', 'y', 'x'])
  assert [(g.label, len(g.runs)) for g in found] == [('x', 2), ('y', 1)]
  with pytest.raises(config.ConfigError, match=r'4 given.*3 runs.*2 groups'):
    groups.group(runs, list('abcd'))
