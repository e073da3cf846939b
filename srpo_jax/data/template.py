# SPDX-License-Identifier: Apache-2.0
"""Templates: how a question becomes the text that the policy continues.

No chat tokens: a base model has not seen any. A job is given a Template by
reference, so each is a plain function without arguments.
"""

import dataclasses

QUESTION = '{question}'

# In the manner of DeepSeek-R1-Zero, which the released model's evaluation
# prompt follows: a conversation, thinking between tags, then an answer between
# tags, and the response starts inside the think tag. The paper's own wording
# and tag names are not known; the wording and the tags below are our choice,
# and so is one template for mathematics and code alike.
R1_ZERO = (
  'The User asks a question and the Assistant solves it. The Assistant first '
  'thinks the problem through, step by step, and only then gives the User the '
  'answer. The thinking stands between <think> and </think>, the answer after '
  'it between <answer> and </answer>, like this: <think> the thinking '
  '</think><answer> the answer </answer>. The final result of a mathematics '
  'question is written in \\boxed{}; a program is one fenced block of '
  'Python.\n'
  'User: {question}\n'
  'Assistant: <think>'
)


@dataclasses.dataclass(frozen=True)
class Template:
  """A text around a question.

  Attributes:
    text: holds '{question}' exactly once; no other brace is special.
    opened_think: True if the text ends inside the think tag, so that the
      response holds only its end.
  """

  text: str
  opened_think: bool

  def __post_init__(self):
    if self.text.count(QUESTION) != 1:
      raise ValueError(f'a template holds {QUESTION} once: {self.text!r}')

  def render(self, question: str) -> str:
    """The text that the policy continues."""
    before, after = self.text.split(QUESTION)
    return f'{before}{question}{after}'


def short_template() -> Template:
  """The embedded policy's: the question, then the opened think tag."""
  return Template(f'{QUESTION}\n<think>', opened_think=True)


def r1_zero_template() -> Template:
  """For a real base model: instruction, question, the opened think tag."""
  return Template(R1_ZERO, opened_think=True)


def question_only() -> Template:
  """The question as it is, for evaluating what a model does by itself."""
  return Template(QUESTION, opened_think=False)
