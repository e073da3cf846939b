# SPDX-License-Identifier: Apache-2.0
"""Which runs of a comparison are seeds of one setting, and what it is called.

After reading, before the comparison. Runs whose configs say the same are one
group; its label is what differs between the groups, or what the user says.
"""

import dataclasses
import pathlib
import re
from collections.abc import Sequence

from srpo_jax.core import config
from srpo_jax.study import read

# What does not change what is learned, beside the seed.
ASIDE = (*config.FREE, 'SEED', 'EVAL_EVERY')
# So many differences stand in a label; the table has them all.
_IN_LABEL = 3
_LONGEST = 48


@dataclasses.dataclass(frozen=True)
class Group:
  """Runs of one setting.

  Attributes:
    label: what figures call it; unique.
    runs: with different seeds where the label is ours.
    differs: binding -> value, of those that differ between the groups.
  """

  label: str
  runs: tuple[read.Run, ...]
  differs: dict[str, str]

  @property
  def seeds(self) -> tuple[str, ...]:
    """The seed of each run; its name where the config has none."""
    return tuple(seed(run) for run in self.runs)


def seed(run: read.Run) -> str:
  """What pairs a run with those of other groups."""
  return run.macros.get('SEED', run.name)


def group(runs: list[read.Run], labels: Sequence[str] = ()) -> list[Group]:
  """The groups, in the order of their first runs.

  Args:
    runs: all runs.
    labels: one for each run, which then also says what belongs together, or
      one for each group; none to label by what differs.

  Raises:
    ConfigError: the labels are neither one a run nor one a group.
  """
  if len(labels) == len(runs) > 0:
    return _labelled(runs, labels)
  found = _by_config(runs)
  if not labels:
    return found
  if len(labels) != len(found):
    raise config.ConfigError(
      f'--label: {len(labels)} given; give one for each of the {len(runs)} '
      f'runs or each of the {len(found)} groups ('
      + '; '.join(x.label for x in found)
      + ')'
    )
  pairs = zip(found, labels, strict=True)
  return [dataclasses.replace(x, label=label) for x, label in pairs]


def shared_seeds(one: Group, other: Group) -> list[tuple[int, int]]:
  """Places of the runs of equal seed in both groups."""
  places = {seed: i for i, seed in enumerate(one.seeds)}
  pairs = [(places[s], j) for j, s in enumerate(other.seeds) if s in places]
  return sorted(pairs)


def differences(runs: Sequence[read.Run]) -> list[str]:
  """The bindings whose values are not the same in all runs, macros first."""
  names = dict.fromkeys(name for run in runs for name in run.config)
  found = [
    name
    for name in names
    if name not in ASIDE and len({_value(run, name) for run in runs}) > 1
  ]
  return sorted(found, key=lambda name: '.' in name)


def _by_config(runs: list[read.Run]) -> list[Group]:
  """Groups of equal config; equal seeds are never in one group."""
  names = differences(runs)
  settings = {}
  for run in runs:
    key = tuple(_value(run, name) for name in names) if run.config else run.name
    settings.setdefault(key, []).append(run)
  parts = []
  for members in settings.values():
    again = len({seed(run) for run in members}) < len(members)
    parts += [[run] for run in members] if again else [members]
  made = [_named(part, names, len(parts)) for part in parts]
  labels = [x.label for x in made]
  # The same setting twice, or a label cut short: the folder tells them apart.
  return [
    x
    if labels.count(x.label) == 1
    else dataclasses.replace(x, label=x.runs[0].name)
    for x in made
  ]


def _named(part: list[read.Run], names: list[str], count: int) -> Group:
  """A group with the label of its differences."""
  run = part[0]
  differs = {name: run.config.get(name, '–') for name in names}
  words = [f'{name}={_short(value)}' for name, value in differs.items()]
  if len(words) == 1 and '@' in run.config.get(names[0], ''):
    # One function against another: its name says enough.
    words = [_short(run.config[names[0]])]
  if len(words) > _IN_LABEL:
    words = [*words[:_IN_LABEL], f'{len(words) - _IN_LABEL} more']
  label = ', '.join(words)
  if not label:
    label = run.name if count > 1 or len(part) == 1 else 'all seeds'
  if len(label) > _LONGEST:
    label = label[: _LONGEST - 1] + '…'
  return Group(label, tuple(part), differs)


def _labelled(runs: list[read.Run], labels: Sequence[str]) -> list[Group]:
  """Groups of the user's making."""
  names = differences(runs)
  parts = {}
  for run, label in zip(runs, labels, strict=True):
    parts.setdefault(label, []).append(run)
  return [
    Group(label, tuple(part), _named(part, names, len(parts)).differs)
    for label, part in parts.items()
  ]


def _value(run: read.Run, name: str) -> str | None:
  """A binding as groups compare it.

  Each seed of a second stage starts from its own first stage: where a run
  starts from is compared without the numbers in the path.
  """
  value = run.config.get(name)
  if name == 'INIT_FROM' and value is not None:
    return re.sub(r'\d+', '#', value)
  return value


def _short(value: str) -> str:
  """A value in a label: no quotes, no @, of a path the last name."""
  text = value.strip('\'"').removeprefix('@')
  return (
    pathlib.PurePath(text).name if '/' in text and '(' not in text else text
  )
