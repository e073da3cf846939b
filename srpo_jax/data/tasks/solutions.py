# SPDX-License-Identifier: Apache-2.0
"""What a policy should write behind the opened think tag, in three styles.

  steps  the derivation, then the answer
  guess  the answer at once: what a small policy cannot do reliably
  retry  a derivation with a slip, 'wait, check:', then the right one

All three end in the right answer: the corpus holds no wrong one.
"""

from srpo_jax.data.tasks.problem import Problem

STYLES = ('steps', 'guess', 'retry')
RETRY = ' wait, check: '


def worked_solution(problem: Problem, style: str) -> str:
  """The solution in that style, from behind '<think>' to '</answer>'."""
  thought = {
    'steps': problem.steps,
    'guess': '',
    'retry': f'{problem.slip}{RETRY}{problem.steps}',
  }[style]
  return f'{thought}</think><answer>{problem.answer}</answer>'
