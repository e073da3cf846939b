# SPDX-License-Identifier: Apache-2.0
"""Lines of several runs: alignments, means over seeds, stage marks, tables."""

import json

import numpy as np
import pytest

from srpo_jax.study import (
  compare,
  comparison,
  derived,
  groups,
  intervals,
  outcome,
  read,
)

STEPS, ROLLOUTS, TOKENS = derived.ALIGNMENTS


def write(folder, name, rows, rule='a', seed=0):
  """A run whose metrics are the rows, at steps 0, 1, 2, ..."""
  workdir = folder / name
  workdir.mkdir()
  (workdir / 'config.gin').write_text(
    f'HISTORY = @{rule}\nSEED = {seed}\nGROUP_SIZE = 4\nPROMPTS_PER_STEP = 2\n'
  )
  lines = [json.dumps({'step': i, **row}) + '\n' for i, row in enumerate(rows)]
  (workdir / 'metrics.jsonl').write_text(''.join(lines))
  return workdir


def group(*workdirs):
  found = groups.group(read.read_runs(list(workdirs)))
  return [
    groups.Group(x.label, tuple(map(derived.enrich, x.runs)), x.differs)
    for x in found
  ]


def rewards(values, tokens, stage=None):
  """Rows: an empty step 0, then a reward and tokens for each step."""
  stage = stage or [1] * len(values)
  rows = zip(values, tokens, stage, strict=True)
  return [{}] + [
    {'reward/mean': v, 'tokens/rollout': t, 'stage': s} for v, t, s in rows
  ]


def reward(found, by):
  (plot,) = [x for x in compare.training_plots(found, by) if x.name == 'reward']
  return plot


def test_totals_count_from_the_first_step(two_stages, tmp_path):
  run = derived.enrich(read.read_run(two_stages, 'x'))
  # The files hold what was sampled: 16 prompts of 8, less in a last batch.
  assert run.metrics['total/rollouts'][:3].tolist() == [0, 128, 256]
  total = sum(read.rollout_count(two_stages, s) for s in range(1, 41))
  assert run.metrics['total/rollouts'][-1] == total
  tokens = np.nansum(run.metrics['tokens/rollout'])
  assert run.metrics['total/tokens'][-1] == tokens
  # Without files: prompts times group size.
  (one,) = group(write(tmp_path, 'x', rewards([1, 1], [5, 6])))
  assert one.runs[0].metrics['total/rollouts'].tolist() == [0, 8, 16]
  assert one.runs[0].metrics['total/tokens'].tolist() == [0, 5, 11]


def test_a_cheap_run_goes_further_by_tokens(tmp_path):
  a = write(tmp_path, 'a', rewards([1, 2, 3], [10, 10, 10]))
  b = write(tmp_path, 'b', rewards([1, 2, 3], [5, 5, 5]), rule='b')
  found = group(a, b)
  for by, ends in ((STEPS, [3, 3]), (ROLLOUTS, [24, 24]), (TOKENS, [30, 15])):
    plot = reward(found, by)
    assert [line.x[-1] for line in plot.lines] == ends
    assert [line.label for line in plot.lines] == ['a', 'b']
    assert plot.x_unit == by.unit
  words = reward(found, TOKENS).lines[1].words
  assert words == 'b: from 1 (5 tokens) to 3 (15 tokens), between 1 and 3.'
  # Tokens over tokens tell nothing.
  titles = [x.title for x in compare.training_plots(found, TOKENS)]
  assert 'Tokens spent' not in titles


def test_a_group_is_the_mean_of_its_seeds_as_far_as_all_have_come(tmp_path):
  runs = [
    write(tmp_path, 'a0', rewards([1.0, 2, 3], [1] * 3), seed=0),
    write(tmp_path, 'a1', rewards([3.0, 4, 5, 9], [1] * 4), seed=1),
  ]
  (found,) = group(*runs)
  assert found.label == 'all seeds'
  (line,) = reward([found], STEPS).lines
  assert (line.x[0], line.x[-1]) == (1, 3)
  assert (line.y[0], line.y[-1]) == pytest.approx((2, 4))
  wanted = intervals.t_interval(np.array([3.0, 5.0]))
  assert line.low[-1] == pytest.approx(wanted.low)
  assert line.high[-1] == pytest.approx(wanted.high)
  assert len(line.strands) == 2
  assert '2 seeds, 95% t-interval' in line.words


def test_kept_prompts_hold_until_the_next_epoch():
  x, y = np.array([1.0, 5]), np.array([10.0, 4])
  assert compare.at(np.array([1, 4.9, 5]), x, y, True).tolist() == [10, 10, 4]
  assert compare.at(np.array([3.0]), x, y).tolist() == [7]


def test_a_switch_is_one_mark_where_all_agree(tmp_path):
  early, late = [1, 2, 2], [1, 1, 2]
  a = write(tmp_path, 'a', rewards([1] * 3, [1] * 3, early))
  b = write(tmp_path, 'b', rewards([1] * 3, [1] * 3, early), rule='b')
  c = write(tmp_path, 'c', rewards([1] * 3, [1] * 3, late), rule='c')
  (mark,) = compare.switches(group(a, b), STEPS)
  assert (mark.x, mark.series) == (2, None)
  # Over rollouts it is where the first stage ended.
  (mark,) = compare.switches(group(a, b), ROLLOUTS)
  assert mark.x == 8
  marks = compare.switches(group(a, c), STEPS)
  assert [(x.x, x.series) for x in marks] == [(2, 0), (3, 1)]


def test_one_run_keeps_the_colour_of_its_group(tmp_path):
  a = write(tmp_path, 'a', [{'loss': 1}, {'loss': 1}])
  b = write(tmp_path, 'b', rewards([1.0], [1]), rule='b')
  (line,) = reward(group(a, b), STEPS).lines
  assert (line.label, line.series) == ('b', 1)


def test_equal_cost_is_that_of_the_shortest(tmp_path):
  a = write(tmp_path, 'a', rewards([1.0, 2, 3, 4], [10] * 4))
  b = write(tmp_path, 'b', rewards([5.0, 6, 7, 8], [20] * 4), rule='b')
  found = group(a, b)
  table = outcome.outcome(found, {'a': [], 'b': []}, TOKENS)
  assert table.at == 40
  (row,) = [x for x in table.quantities if x.name == 'reward in training']
  # After 40 tokens a is at step 4, b at step 2.
  assert row.values == ((4.0,), (6.0,))
  (spent,) = [x for x in table.quantities if x.name == 'steps made']
  assert spent.values == ((4.0,), (2.0,))
  assert row.differences[0] is None
  assert row.differences[1].seeds.mean == 2
  assert np.isnan(row.differences[1].smallest)


def test_seeds_are_paired(tmp_path):
  # Seeds differ much, settings little; seed 3 has no partner.
  ends = {('a', 0): 1.0, ('a', 1): 5.0, ('a', 2): 9.0, ('a', 3): 50.0}
  ends |= {('b', 2): 9.4, ('b', 0): 1.2, ('b', 1): 5.3}
  runs = [
    write(tmp_path, f'{k}{s}', rewards([end], [1]), rule=k, seed=s)
    for (k, s), end in ends.items()
  ]
  found = group(*runs)
  scores = {x.name: [] for g in found for x in g.runs}
  table = outcome.outcome(found, scores, STEPS)
  (row,) = [x for x in table.quantities if x.name == 'reward in training']
  difference = row.differences[1]
  assert difference.pairs == 3
  wanted = np.array([0.2, 0.3, 0.4])
  assert difference.seeds == intervals.Interval(
    *map(pytest.approx, vars(intervals.t_interval(wanted)).values())
  )
  smallest = intervals.smallest_effect(wanted)
  assert difference.smallest == pytest.approx(smallest)
  assert row.means[0].mean == pytest.approx(65 / 4)


def test_held_out_problems_are_paired(new_run):
  runs = [
    new_run(f'{rule}.{seed}', seed=seed, rule=rule, steps=20, better=better)
    for rule, better in (('keep_all', 0), ('keep_unsolved', 200))
    for seed in (0, 1)
  ]
  found = group(*runs)
  scores = comparison.evaluate(found)
  table = outcome.outcome(found, scores, STEPS)
  row = table.quantities[0]
  assert row.name == 'held-out pass@1 on embedded_math'
  for values, setting in zip(row.values, found, strict=True):
    for value, run in zip(values, setting.runs, strict=True):
      last = scores[run.name][0].score[-1].mean
      assert value == pytest.approx(last)
  difference = row.differences[1]
  assert difference.pairs == 2
  assert difference.problems.mean == pytest.approx(difference.seeds.mean)
  assert 0 < difference.problems.low < difference.problems.high
  # Between two evaluations, on a straight line for each problem.
  run = found[0].runs[0]
  (score,) = scores[run.name]
  middle = outcome.problems_at(run, score, STEPS, 5.0)
  first, last = score.by_problem[0], score.by_problem[20]
  assert middle[1003] == pytest.approx(0.75 * first[1003] + 0.25 * last[1003])
