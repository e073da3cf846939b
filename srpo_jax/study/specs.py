# SPDX-License-Identifier: Apache-2.0
"""Which numbers the figures of training show, and under which titles.

Read by curves for one run and by compare for several.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Spec:
  """A figure: which metrics, and how they are drawn.

  Attributes:
    title, unit: as in Plot.
    names: metric -> label in a plot of one run.
    share: True if the values are shares.
    stepped: True if a value holds over an epoch: drawn as a stair.
    exact: True if the values are not smoothed.
    seldom: True if it is left out where every value is 0.
    instead: drawn for a run that has none of `names`.
  """

  title: str
  unit: str
  names: dict[str, str]
  share: bool = False
  stepped: bool = False
  exact: bool = False
  seldom: bool = False
  instead: dict[str, str] = dataclasses.field(default_factory=dict)


_KINDS = ('recheck', 'hesitation', 'exploration')
TRAINING = (
  Spec('Reward', 'mean of a step', {'reward/mean': ''}),
  Spec(
    'Accuracy in training',
    'share of rollouts',
    {'accuracy/math': 'math', 'accuracy/code': 'code'},
    share=True,
  ),
  Spec(
    'Response length',
    'tokens',
    {'response_length/math': 'math', 'response_length/code': 'code'},
    instead={'response_length/mean': ''},
  ),
  Spec(
    'Groups',
    "share of the step's groups",
    {
      'groups/effective': 'effective',
      'groups/all_correct': 'all correct',
      'groups/all_wrong': 'all wrong',
    },
    share=True,
  ),
  Spec(
    'Prompts kept',
    'prompts in the epoch',
    {'history/kept': ''},
    stepped=True,
    exact=True,
  ),
  Spec(
    'Refill',
    'rollouts replaced in a step',
    {'refill/rollouts': ''},
    seldom=True,
  ),
  Spec(
    'Tokens spent', 'tokens sampled so far', {'total/tokens': ''}, exact=True
  ),
)
RESPONSES = (
  Spec(
    'Reflection',
    'share of responses',
    {f'pattern/{kind}/share': kind for kind in _KINDS},
    share=True,
  ),
  Spec(
    'Length of responses with reflection',
    'tokens',
    {f'pattern/{kind}/length': kind for kind in (*_KINDS, 'none')},
  ),
  Spec(
    'Code in mathematics answers',
    'share of answers',
    {'code_in_math/share': ''},
    share=True,
  ),
  Spec(
    'Length of mathematics answers',
    'tokens',
    {
      'code_in_math/length': 'with code',
      'no_code_in_math/length': 'without code',
    },
  ),
)
LOSS = Spec('Loss', 'mean over tokens', {'loss': ''})


def verdicts(means: dict[str, float]) -> Spec:
  """Shares of the verdict statuses, the most frequent first.

  Args:
    means: verdict/<status> -> its mean share.
  """
  ordered = sorted(means, key=lambda name: -means[name])
  labels = {x: x.removeprefix('verdict/').replace('_', ' ') for x in ordered}
  return Spec('Verdicts', 'share of rollouts', labels, share=True)
