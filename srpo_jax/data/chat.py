# SPDX-License-Identifier: Apache-2.0
"""Chat templates: the folder's own Jinja text around one user message.

A model that was trained to converse expects its turns written as in training;
its folder says how (chat_source.py).
"""

import dataclasses
import datetime
from collections.abc import Mapping

import jinja2

from srpo_jax.core import config
from srpo_jax.core.config import ConfigError
from srpo_jax.data.chat_source import REMEDY, environment, source
from srpo_jax.data.template import INSTRUCTION, UNTAGGED
from srpo_jax.data.tokenizer import Tokenizer

THINK = '<think>'
BOXED = (
  'Please reason step by step, and put your final answer within \\boxed{}; a '
  'program goes into one fenced block of Python.'
)
# What templates are tried out with before the first question.
PROBE, REPLY = 'What is 17 + 25?', 'It is 42.'
# The day that templates take for today; our choice, and it is the one that
# Llama 3.2's template falls back on. The calendar's would change the prompts
# of a run that is resumed the day after. gin/chat.gin has it too.
TODAY = '2024-07-26'


@dataclasses.dataclass(frozen=True)
class ChatTemplate:
  """One user message, and the beginning of the assistant's.

  Attributes:
    compiled: the folder's template.
    name: of its file, for messages.
    variables: what it finds beside the messages.
    system: in front of the user's message; None for none.
    before, ending: around the question, in the same message.
    after: behind the beginning of the assistant's message.
    opened_think, tags, own_start, control, end_ids: as in data/template.py.
  """

  compiled: jinja2.Template
  name: str
  variables: dict
  system: str | None = None
  before: str = ''
  ending: str = ''
  after: str = ''
  opened_think: bool = False
  tags: Mapping[str, str | None] | None = None
  own_start: bool = True
  control: frozenset[str] = frozenset()
  end_ids: tuple[int, ...] = ()

  def render(self, question: str) -> str:
    """The text that the policy continues."""
    return self._text(self.before + question + self.ending) + self.after

  def closed(self) -> str:
    """What stands behind a reply of the assistant; '' if it is left out."""
    _, there, behind = self._text(PROBE, reply=REPLY).rpartition(REPLY)
    return behind if there else ''

  def _text(self, user: str, reply: str | None = None) -> str:
    messages = [{'role': 'user', 'content': user}]
    if self.system is not None:
      messages.insert(0, {'role': 'system', 'content': self.system})
    if reply is not None:
      messages.append({'role': 'assistant', 'content': reply})
    try:
      return self.compiled.render(
        messages=messages,
        add_generation_prompt=reply is None,
        **{'tools': None, 'documents': None, **self.variables},
      )
    except Exception as error:  # it is a program, and may raise anything
      raise ConfigError(
        f'{self.name}: the chat template fails ({_first_line(error)}); {REMEDY}'
      ) from error


def chat_template(
  tokenizer: Tokenizer | None,
  *,
  system_prompt: str | None = None,
  today: str = TODAY,
  variables: dict | None = None,
) -> ChatTemplate:
  """The folder's own, for a model that was trained to converse.

  Args:
    tokenizer: of the folder.
    system_prompt: a message in front of the user's; None for none.
    today: YYYY-MM-DD, for templates that write the day into the prompt.
    variables: more that the template asks for, such as 'enable_thinking'.

  Raises:
    ConfigError: no template, one that fails or leaves the question out, or
      one that takes no system message.
  """
  if tokenizer is None:
    raise ConfigError(
      'TEMPLATE = @chat_template, but a tokenizer that is only being made has '
      'no chat template; try --gin.TEMPLATE=@short_template'
    )
  text, name = source(tokenizer)
  more = {} if variables is None else variables
  config.check(
    isinstance(more, dict),
    'CHAT_VARIABLES',
    variables,
    'be a dictionary',
    """try --gin.CHAT_VARIABLES="{'enable_thinking': True}" """,
  )
  day = _day(today)
  try:
    compiled = environment(day).from_string(text)
  except Exception as error:  # Jinja's own, or a RecursionError and the like
    raise ConfigError(
      f'{name}: the chat template is no Jinja ({_first_line(error)}); {REMEDY}'
    ) from error
  # What it writes itself must not be forged. White space never is a turn.
  control = (t for t in tokenizer.added if t in text and not t.isspace())
  made = ChatTemplate(
    compiled,
    name,
    {**tokenizer.names, **more},
    control=frozenset(control),
  )
  _check_question(made)
  made = _with_system(made, system_prompt)
  return dataclasses.replace(
    made,
    opened_think=made.render(PROBE).rstrip().endswith(THINK),
    tags=UNTAGGED,
    end_ids=_turn_end(made, tokenizer),
  )


def chat_think_template(
  tokenizer: Tokenizer | None,
  *,
  system_prompt: str | None = None,
  today: str = TODAY,
  variables: dict | None = None,
) -> ChatTemplate:
  """The folder's own with our instruction, opened inside the think tag.

  So a model that was trained to converse can earn the reward for the format.
  The instruction stands in the user's message, since not every template takes
  a system message; place, wording and the newline after the tag are our
  choice (Qwen3 and DeepSeek-R1's distilled models have that newline).

  Args and Raises: as `chat_template`.
  """
  made = chat_template(
    tokenizer, system_prompt=system_prompt, today=today, variables=variables
  )
  after = '' if made.opened_think else f'{THINK}\n'
  before = f'{INSTRUCTION}\n\n'
  return dataclasses.replace(
    made, before=before, after=after, opened_think=True, tags=None
  )


def chat_boxed_template(
  tokenizer: Tokenizer | None,
  *,
  system_prompt: str | None = None,
  today: str = TODAY,
  variables: dict | None = None,
) -> ChatTemplate:
  """The folder's own, with the request to box the answer.

  For evaluating a model that was trained to converse, and for training one
  that is too small for tags: no tags are asked for. Place and wording are our
  choice, after what Qwen2.5-Math and DeepSeek-R1 recommend for themselves.

  Args and Raises: as `chat_template`.
  """
  made = chat_template(
    tokenizer, system_prompt=system_prompt, today=today, variables=variables
  )
  return dataclasses.replace(made, ending=f'\n{BOXED}')


def _day(today: str) -> datetime.date:
  try:
    return datetime.date.fromisoformat(today)
  except (TypeError, ValueError):
    remedy = f'try --gin.CHAT_TODAY={TODAY}'
    config.check(False, 'CHAT_TODAY', today, 'be a day, YYYY-MM-DD', remedy)


def _check_question(made: ChatTemplate) -> None:
  if PROBE not in made.render(PROBE):
    raise ConfigError(
      f'{made.name}: the chat template leaves out a question that is plain '
      f'text; {REMEDY}'
    )


def _with_system(made: ChatTemplate, system: str | None) -> ChatTemplate:
  """The template with a system message, if it takes one."""
  if system is None:
    return made
  is_text = isinstance(system, str) and system.strip() != ''
  try_none = 'try --gin.SYSTEM_PROMPT=None'
  config.check(is_text, 'SYSTEM_PROMPT', system, 'be a text', try_none)
  found = dataclasses.replace(made, system=system)
  try:
    why = 'it leaves it out'
    taken = system.strip() in found.render(PROBE)
  except ConfigError as error:
    taken, why = False, _first_line(error.__cause__)
  need = f'be None: {made.name} takes no system message ({why})'
  config.check(taken, 'SYSTEM_PROMPT', system, need, try_none)
  return found


def _turn_end(made: ChatTemplate, tokenizer: Tokenizer) -> tuple[int, ...]:
  """The token that closes an assistant's turn, if one does.

  A response must end with it, even if no file of the folder says so.
  """
  try:
    behind = made.closed().lstrip()
  except ConfigError:
    return ()  # it takes no reply: what ends one is what the folder says
  there = [text for text in tokenizer.added if behind.startswith(text)]
  return (tokenizer.added[max(there, key=len)],) if there else ()


def _first_line(error: BaseException) -> str:
  return (str(error).splitlines() or [type(error).__name__])[0][:120]
