# SPDX-License-Identifier: Apache-2.0
"""Dropped prompts and what became of them."""

import json
import re

import pyarrow as pa
import pyarrow.parquet as pq

from srpo_jax.study import explorer, groups, ledgers, read

G = 4


def write(workdir, epochs, rule='keep_unsolved', kept=None, evals=None):
  """A workdir of {(stage, epoch): {prompt: right of 4}}; a step an epoch.

  Args:
    kept: (stage, epoch) -> prompts that the ledger says are kept after it,
      None where it says nothing.
    evals: (set, step) -> {prompt: right of 1}.
  """
  (workdir / 'config.gin').write_text(f'HISTORY = @{rule}\n')
  (workdir / 'ledger').mkdir()
  (workdir / 'evals').mkdir()
  lines = []
  for step, ((stage, epoch), right) in enumerate(epochs.items(), start=1):
    n = len(right)
    table = {
      'prompt': pa.array(list(right), pa.uint64()),
      'stage': [stage] * n,
      'epoch': [epoch] * n,
      'step': [step] * n,
      'judged': [G] * n,
      'correct': list(right.values()),
      'length_mean': [1.0] * n,
      'truncated': [0] * n,
      'statuses': [
        json.dumps({'correct': x, 'wrong': G - x}) for x in right.values()
      ],
    }
    if kept:
      stays = kept[stage, epoch]
      table['kept'] = [None if stays is None else x in stays for x in right]
    path = workdir / 'ledger' / f'epoch_{stage}_{epoch}.parquet'
    pq.write_table(pa.table(table), path)
    line = {'step': step, 'stage': stage, 'epoch': epoch, 'history/kept': n}
    lines.append(json.dumps(line) + '\n')
  for (name, step), right in (evals or {}).items():
    path = workdir / 'evals' / f'{name}_step_{step:06d}.parquet'
    ids = pa.array(list(right), pa.uint64())
    accuracy = pa.array(list(right.values()), pa.float32())
    pq.write_table(pa.table({'prompt': ids, 'accuracy': accuracy}), path)
  (workdir / 'metrics.jsonl').write_text(''.join(lines))
  return read.read_run(workdir, 'x')


def dropped(run):
  return {x.prompt: x for x in ledgers.dropped(run, ledgers.read_epochs(run))}


TWO_STAGES = {
  (1, 1): {1: 4, 2: 2, 3: 4, 4: 0},
  (1, 2): {2: 4, 4: 1},
  (2, 1): {1: 3, 2: 4, 3: 4, 4: 4},
}


def test_what_left_and_what_came_back_wrong(tmp_path):
  found = dropped(write(tmp_path, TWO_STAGES))
  # 1 and 3 leave stage 1 after its first epoch, 2 after its second, and by
  # the paper's rule 2, 3 and 4 leave stage 2 after the last epoch.
  run = read.read_run(tmp_path, 'x')
  events = ledgers.dropped(run, ledgers.read_epochs(run))
  assert [(x.prompt, x.stage, x.epoch) for x in events] == [
    (1, 1, 1),
    (3, 1, 1),
    (2, 1, 2),
    (2, 2, 1),
    (3, 2, 1),
    (4, 2, 1),
  ]
  (seen,) = found[1].later
  assert seen == ledgers.Seen('stage 2, epoch 1', 3, 0.75)
  assert found[1].forgotten
  first = [x for x in events if x.stage == 1]
  assert [x.forgotten for x in first] == [True, False, False]
  assert [len(x.later) for x in first] == [1, 1, 1]
  assert [x.asked for x in first] == [1, 1, 2]
  assert first[0].right == 1


def test_solved_prompts_when_asked_next(tmp_path):
  epochs = ledgers.read_epochs(write(tmp_path, TWO_STAGES))
  # 1 (then 3 of 4), 3 (then right), 2 (then right).
  assert sorted(ledgers.solved_again(epochs).tolist()) == [0, 0, 1]


def test_a_run_that_keeps_all_drops_nothing(tmp_path):
  epochs = {(1, 1): {1: 4, 2: 4}, (1, 2): {1: 2, 2: 4}}
  run = write(tmp_path, epochs, rule='keep_all')
  assert dropped(run) == {}
  again = ledgers.solved_again(ledgers.read_epochs(run))
  assert sorted(again.tolist()) == [0, 1]


def test_the_ledger_says_itself_what_is_kept(tmp_path):
  # A rule of the user's: 2 leaves at half right, and comes back for review.
  epochs = {(1, 1): {1: 4, 2: 2}, (1, 2): {1: 4}, (1, 3): {1: 4, 2: 1}}
  kept = {(1, 1): {1}, (1, 2): {1, 2}, (1, 3): {1}}
  run = write(tmp_path, epochs, rule='mine', kept=kept)
  found = dropped(run)
  assert list(found) == [2]
  # It leaves again after the review; the first time is the one that counts.
  assert len(ledgers.dropped(run, ledgers.read_epochs(run))) == 1
  assert found[2].epoch == 1
  assert found[2].right == 0.5
  assert found[2].later[0].where == 'stage 1, epoch 3'
  assert found[2].forgotten


def test_where_the_ledger_says_nothing_the_next_epoch_does(tmp_path):
  # Epoch 1 was taken over from another run.
  epochs = {(1, 1): {1: 4, 2: 2, 3: 1}, (2, 1): {2: 2, 3: 4}}
  run = write(tmp_path, epochs, kept={(1, 1): None, (2, 1): {2, 3}})
  assert list(dropped(run)) == [1]


def test_an_epoch_cut_short_does_not_drop_who_was_not_reached(tmp_path):
  epochs = {(1, 1): {1: 4, 2: 2, 3: 2}, (1, 2): {2: 2}}
  run = write(tmp_path, epochs)
  # Both 2 and 3 were kept; the run ended before 3 was asked.
  run.metrics['history/kept'][1] = 2
  assert list(dropped(run)) == [1]


def test_evaluations_of_dropped_prompts_count(tmp_path):
  evals = {
    ('trained', 1): {1: 1.0, 3: 1.0},
    ('trained', 3): {1: 0.0, 3: 1.0},
    ('held_out', 3): {77: 0.0},
  }
  epochs = {(1, 1): {1: 4, 3: 4, 4: 1}, (1, 2): {4: 1}}
  found = dropped(write(tmp_path, epochs, evals=evals))
  # What was evaluated at the step of the drop came no later.
  assert found[1].later == (ledgers.Seen('trained', 3, 0.0),)
  assert found[1].forgotten
  assert not found[3].forgotten


def test_the_forgetting_table(tmp_path):
  run = write(tmp_path, TWO_STAGES)
  named = [groups.Group('x', (run,), {})]
  found = explorer.collect(named)
  looks = explorer.forgotten(*found['x'])
  assert (looks.dropped, looks.again) == (6, 3)
  assert [x.sum() for x in looks.shares] == [1, 1, 1]
  text = ''.join(explorer.parts(named, found))
  assert '1 of 3: 0.333' in text
  assert 'Every prompt: 6 prompts dropped' in text
  explorer.write(named, found, tmp_path / 'out.csv')
  rows = (tmp_path / 'out.csv').read_text().splitlines()
  assert len(rows) == 7
  assert rows[1] == 'x,x,x,1,1,1,1,1,1.0,1,1,"stage 2, epoch 1",3,0.75'


def test_what_was_forgotten_stands_first(tmp_path):
  # 3, which was wrong later, leaves after 1, which was not.
  epochs = {(1, 1): {1: 4, 3: 4, 4: 0}, (1, 2): {4: 0}}
  epochs |= {(2, 1): {1: 4, 3: 1, 4: 0}}
  named = [groups.Group('x', (write(tmp_path, epochs),), {})]
  table = explorer.parts(named, explorer.collect(named))[-1]
  # The cells after the question: left after, step, epochs asked, right then,
  # seen again, wrong again.
  rows = [re.findall(r'<td>(.*?)</td>', x) for x in table.split('<tr>')[2:]]
  assert [row[5] for row in rows] == ['1', '0', '0']
  assert [row[4] for row in rows] == ['1', '1', '0']


def test_questions_lose_their_template(two_stages):
  run = read.read_run(two_stages, 'x')
  gone = ledgers.dropped(run, ledgers.read_epochs(run))
  texts = explorer.questions(run, gone)
  assert set(texts) >= {x.prompt for x in gone}
  # Of a text like: Question: what is 16 <add> 3?
  prompt = gone[0].prompt
  assert texts[prompt].startswith(f'{prompt % 97} <')
  assert texts[prompt].endswith('>')
