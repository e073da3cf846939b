# SPDX-License-Identifier: Apache-2.0
"""Is a final answer the right one? Exact text, number, or equivalence.

Text and numbers are compared in the service itself. Equivalence is
math-verify's, which can run for ever on a short text such as 9^{9^{9^9}}, so
the two functions at the end run in a worker that can be killed.
"""

import functools
import logging
import re
import types
from collections.abc import Sequence
from fractions import Fraction

DIGITS = r'(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)'
DECIMAL = rf'(?:{DIGITS}(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{{1,3}})?'
NUMBER = re.compile(rf'([+-]?)\s*({DECIMAL})(?:\s*/\s*({DECIMAL}))?')
FRAC = re.compile(r'([+-]?)\s*\\[dt]?frac\{([0-9]+)\}\{([0-9]+)\}')

# Longer texts are no number or final expression anybody meant; without a
# bound a response could buy seconds of a worker with every sample.
MAX_NUMBER = 200
MAX_EXPRESSION = 2000

# Runs of letters that are mathematics, not words.
FUNCTIONS = frozenset(
  (
    *('sin', 'cos', 'tan', 'cot', 'sec', 'csc', 'arcsin', 'arccos', 'arctan'),
    *('sinh', 'cosh', 'tanh', 'exp', 'log', 'sqrt', 'max', 'min', 'gcd', 'lcm'),
    *('mod', 'det', 'inf', 'sup', 'lim', 'deg', 'dim', 'ker', 'arg'),
  )
)
TEXT_COMMAND = re.compile(
  r'\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mbox|operatorname)'
  r'\s*\{([^{}]*)\}'
)


def parse_number(text: str) -> Fraction | None:
  """The exact value of an integer, decimal or fraction; None if it is none.

  Reads `-1,234.5`, `1e-3`, `3/4`, `\\frac{3}{4}`, with or without `$` around;
  commas only between groups of three digits. 1/3 is not 0.3333333333.
  """
  if len(text) > MAX_NUMBER:
    return None
  text = text.strip().replace('\N{MINUS SIGN}', '-')
  if len(text) > 2 and text[0] == text[-1] == '$':
    text = text[1:-1].strip()
  match = NUMBER.fullmatch(text) or FRAC.fullmatch(text)
  if match is None:
    return None
  sign, top, bottom = match.groups()
  denominator = Fraction((bottom or '1').replace(',', ''))
  if denominator == 0:
    return None
  value = Fraction(top.replace(',', '')) / denominator
  return -value if sign == '-' else value


def same_text(answer: str, gold: str) -> bool:
  """Equal but for white space; case counts."""
  return answer.split() == gold.split()


def plain_words(text: str) -> str:
  """Small letters, single spaces, no `\\text{}` and the like, no last stop."""
  words = ' '.join(TEXT_COMMAND.sub(r' \1 ', text).casefold().split())
  return words.rstrip('. ')


def is_words(text: str) -> bool:
  """True if a text is words and nothing that mathematics could act on.

  Such a gold answer is compared as text: to math-verify `abc` is a product
  of three symbols and so equal to `cba`. One letter (a choice, a variable)
  and anything with a digit or an operator stay mathematics.
  """
  words = plain_words(text)
  letters = re.fullmatch(r"[^\W\d_]+(?:[ ,.;:!?']+[^\W\d_]+)*[!?]?", words)
  # A single letter beside another, as in `x, y`, is a list of symbols.
  return letters is not None and re.search(r'[^\W\d_]{2}', words) is not None


def same_words(answer: str, gold: str) -> bool:
  """Equal words: case, white space, `\\text{}` and a last stop aside."""
  return plain_words(answer) == plain_words(gold)


def keeps_words(answer: str, gold: str) -> bool:
  """False if the answer has letters but not the words that the gold has.

  For golds such as `abc+1` or `dog-cat`: letters within a word commute for
  math-verify, so an answer must spell the words as the gold does.
  """
  wanted, given = words_in(gold), words_in(answer)
  return not wanted or not has_letters(answer) or set(wanted) <= set(given)


def words_in(text: str) -> list[str]:
  """Runs of three letters or more that are neither command nor function."""
  text = re.sub(r'\\[A-Za-z]+', ' ', plain_words(text))
  runs = re.findall(r'[^\W\d_]{3,}', text)
  return [run for run in runs if run not in FUNCTIONS]


def has_letters(text: str) -> bool:
  """True if any letter stands outside LaTeX commands."""
  text = re.sub(r'\\[A-Za-z]+', ' ', plain_words(text))
  return re.search(r'[^\W\d_]', text) is not None


def check_golds(golds: Sequence[str]) -> str:
  """In a worker: '' if every gold can be matched, else what is wrong."""
  for gold in golds:
    parsed = parse_latex(gold, True)
    # A gold equals itself at a glance. Against any other answer it is worked
    # out, and one that takes for ever must be found now, not with a response.
    _verify(parsed, parse_latex('1', True))
    if not parsed or not _verify(parsed, parsed):
      return f'the gold answer {gold[:200]!r} cannot be read as mathematics'
  return ''


def equivalent(answer: str, boxed: bool, golds: Sequence[str]) -> bool:
  """In a worker: does math-verify find the answer equal to one of the golds?

  Args:
    answer: the final answer.
    boxed: whether it stood in a `\\boxed{}`.
    golds: accepted answers that `check_golds` has passed.
  """
  parsed = parse_latex(answer, boxed)
  return any(_equal(answer, parsed, gold) for gold in golds)


def _equal(answer: str, parsed: list, gold: str) -> bool:
  """Equal by math-verify, and in its words where they became symbols."""
  parsed_gold = parse_latex(gold, True)
  symbols = any(each.free_symbols for each in parsed_gold)
  if symbols and not keeps_words(answer, gold):
    return False  # `3 apples` is the number 3: its words stay out of it.
  return _verify(parsed_gold, parsed)


def _verify(parsed_gold: list, parsed: list) -> bool:
  """math-verify's comparison, without its own limits."""
  return _library().verify(parsed_gold, parsed, timeout_seconds=None)


@functools.lru_cache(maxsize=1024)
def parse_latex(text: str, boxed: bool) -> list:
  """math-verify's reading of a text; empty if it has none.

  A text is one expression as it stands; only one that was not boxed and
  marks its formulas itself, as in `it is $5$`, is searched for them.
  """
  whole = boxed or not re.search(r'\$|\\\(|\\\[', text)
  return _library().parse(
    f'\\boxed{{{text}}}' if whole else text,
    fallback_mode='no_fallback',
    parsing_timeout=None,
  )


@functools.lru_cache(maxsize=1)
def _library() -> types.ModuleType:
  """math-verify, imported where it is first used: only workers pay for it.

  Its own limits are alarms, which fail in threads and leak; the worker's
  owner has a harder one, so they are off, and so is the warning about that.
  """
  import math_verify

  logging.getLogger('math_verify').setLevel(logging.ERROR)
  return math_verify
