# SPDX-License-Identifier: Apache-2.0
"""Many ways to write one thing, made one: text in, text out.

The first step for final answers and for gold answers; `quantities`, `shapes`
and `symbolic` read what comes out. Nothing here works anything out, and each
function takes time in proportion to the length of its text.
"""

import functools
import re
from fractions import Fraction

# Characters that mean one thing in every answer.
SIGNS = {
  '\N{MINUS SIGN}': '-',
  '\N{EN DASH}': '-',
  '×': r'\times ',
  '·': r'\cdot ',
  '÷': '/',
  '≤': r'\le ',
  '≥': r'\ge ',
  '≠': r'\ne ',
  '≈': r'\approx ',
  '∞': r'\infty ',
  '∪': r'\cup ',
  '∩': r'\cap ',
  '∈': r'\in ',
  '∅': r'\emptyset ',
  'ℝ': r'\mathbb{R}',
  '±': r'\pm ',
  'π': r'\pi ',
  '°': r'^\circ ',
  '²': '^{2}',
  '³': '^{3}',
  '½': r'\frac{1}{2}',
  '⅓': r'\frac{1}{3}',
  '⅔': r'\frac{2}{3}',
  '¼': r'\frac{1}{4}',
  '¾': r'\frac{3}{4}',
  '\N{NO-BREAK SPACE}': ' ',
  '\N{NARROW NO-BREAK SPACE}': ' ',
  '\N{THIN SPACE}': ' ',
  '，': ',',
  '％': '%',
}
SIGN_TABLE = str.maketrans(SIGNS)

END = '(?![A-Za-z])'  # of a command's name
SPACE = r'(?:\\[,;:> !]|~|\s)'
REPLACED = tuple(
  (re.compile(old), new)
  for old, new in (
    # Brackets' sizes and commands that change nothing.
    (rf'\\(?:left|right){END}\s*\.?|\\[bB]igg?[lr]?{END}', ''),
    (rf'\\(?:displaystyle|textstyle|limits){END}', ''),
    (r'\{\s*,\s*\}|,\\!', ','),
    # One spelling of each command.
    (rf'\\[dtc]frac{END}', r'\\frac'),
    (
      r'\\(?:mbox|boldsymbol|bm|text(?:rm|bf|it|normal)|math(?:rm|bf|it))'
      r'\s*\{',
      r'\\text{',
    ),
    (rf'\\(?:leqslant|leqq|leq){END}', r'\\le '),
    (rf'\\(?:geqslant|geqq|geq){END}', r'\\ge '),
    (rf'\\neq{END}', r'\\ne '),
    (rf'\\varnothing{END}', r'\\emptyset '),
    (rf'\\lbrace{END}', r'\\{'),
    (rf'\\rbrace{END}', r'\\}'),
    (rf'\\[lr]?vert{END}', '|'),
    (rf'\\degree{END}|\^\s*\{{\s*\\circ\s*\}}', r'^\\circ '),
    (r'\*\*', '^'),
    (r'\^\(([^()^]*)\)', r'^{\1}'),
    # What people type who do not type TeX.
    (r'(?:√|(?<![\\A-Za-z])sqrt)\s*\(([^()]*)\)', r'\\sqrt{\1}'),
    (r'√\s*([0-9]+|[A-Za-z])', r'\\sqrt{\1}'),
    (r'(?<![\\A-Za-z])pi(?![A-Za-z])', r'\\pi '),
    (r'(?<![\\A-Za-z])(?:infinity|inf)(?![A-Za-z])', r'\\infty '),
    # Braces that TeX lets out.
    (r'\\frac\s*([0-9])\s*([0-9])', r'\\frac{\1}{\2}'),
    (r'\\frac\s*([0-9])\s*\{', r'\\frac{\1}{'),
    (r'(\\frac\s*\{[^{}]*\})\s*([0-9])', r'\1{\2}'),
    (r'\\text\{\s*(-?[0-9.,]+)\s*\}', r'\1'),
  )
)
# 1 234 567, with any space between.
SPACED = re.compile(rf'(?<![0-9.,])[0-9]{{1,3}}(?:{SPACE}[0-9]{{3}})+(?![0-9])')
SPACES = re.compile(r'(?<!\\)\\[,;:> ]|\\!|~|\\q?quad(?![A-Za-z])|\s+')
MIXED = re.compile(r'(?<![0-9./}])([0-9]+)\s+([0-9]+)/([0-9]+)(?![0-9./])')
LAST_MARK = re.compile(r'\s*(?<![.,;])[.,;]$')  # `0.333...` keeps its dots.
WRAPPERS = (('$$', '$$'), ('$', '$'), (r'\(', r'\)'), (r'\[', r'\]'))

NUMERALS = (
  *('zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven'),
  *('eight', 'nine', 'ten', 'eleven', 'twelve'),
)
# Words that are mathematics, where they are the whole answer.
PHRASES = {word: str(value) for value, word in enumerate(NUMERALS)}
PHRASES |= dict.fromkeys(('all real numbers', 'all reals'), r'\mathbb{R}')
PHRASES |= dict.fromkeys(
  ('no solution', 'no solutions', 'no real solutions', 'empty set'),
  r'\emptyset',
)
MULTIPLES = {'hundred': 2, 'thousand': 3, 'million': 6, 'billion': 9}
MULTIPLE = re.compile(
  rf'(?<=[0-9])\s*(?:\\text\{{\s*({"|".join(MULTIPLES)})\s*'
  rf'|({"|".join(MULTIPLES)})(?![A-Za-z]))'
)


@functools.lru_cache(maxsize=1024)
def tidy(text: str) -> str:
  r"""One spelling for what TeX and the keyboard offer many for.

  >>> print(tidy(r'$\dfrac34$.'), tidy('2 1/2'), tidy('x≤√3'))
  \frac{3}{4} 2\frac{1}{2} x\le \sqrt{3}
  >>> print(tidy(r'1\,234'), tidy('Five'))
  1234 5
  """
  text = text.translate(SIGN_TABLE)
  for old, new in REPLACED:
    text = old.sub(new, text)
  text = SPACED.sub(lambda match: re.sub(r'[^0-9]', '', match[0]), text)
  text = bare(SPACES.sub(' ', text))
  text = MIXED.sub(r'\1\\frac{\2}{\3}', text)
  text = MULTIPLE.sub(in_figures, text).replace(r'\text{}', '').strip()
  word = text.removeprefix(r'\text{').removesuffix('}').strip().casefold()
  return PHRASES.get(word, text)


def in_figures(match: re.Match) -> str:
  """The `million` of `3 million` as a power of ten."""
  word = match[1] or match[2]
  text = r'\text{' if match[1] else ''
  return rf' \cdot 10^{{{MULTIPLES[word]}}}{text}'


def bare(text: str) -> str:
  r"""Without what may stand around an answer: spaces, `$`, a last mark.

  >>> bare(' $x$. '), bare(r'\approx 3.14'), bare('$5')
  ('x', '3.14', '$5')
  """
  text = LAST_MARK.sub('', text.strip())
  for start, end in WRAPPERS:
    inner = text[len(start) : len(text) - len(end)]
    around = text.startswith(start) and text.endswith(end)
    if around and len(text) > len(start + end) and start not in inner:
      text = LAST_MARK.sub('', inner.strip())
  return text.removeprefix(r'\approx').lstrip('=').strip()


FORMULA = re.compile(r'(?<!\\)\$([^$]+)(?<!\\)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]')


def formula(text: str) -> str:
  r"""The formula in a text that holds just one, else the text.

  >>> formula('it is $5$'), formula('$5$ or $6$'), formula('$36')
  ('5', '5 or 6', '$36')
  """
  found = FORMULA.findall(text)
  if len(found) == 1:
    return ''.join(found[0])
  return FORMULA.sub(lambda match: ''.join(filter(None, match.groups())), text)


DECIMAL = re.compile(
  r'(?<![0-9.])([0-9]*)\.([0-9]*)'
  r'(?:\\(?:overline|bar|dot)\{?([0-9]+)\}?|\(([0-9]+)\)(?![0-9(]))?'
  r'(\s*(?:\\l?dots|\.\.\.))?'
)


def decimal_value(text: str) -> Fraction | None:
  r"""The value of an unsigned decimal, its repetition included; else None.

  >>> decimal_value('0.25'), decimal_value(r'0.1\overline{6}')
  (Fraction(1, 4), Fraction(1, 6))
  >>> decimal_value('0.333...'), decimal_value('3.14...'), decimal_value('x')
  (Fraction(1, 3), None, None)
  """
  match = DECIMAL.fullmatch(text)
  if match is None or not (match[1] or match[2]):
    return None
  whole, digits, again = match[1], match[2], match[3] or match[4] or ''
  if match[5] and not again:
    # Dots say how it goes on only after a digit was written three times.
    if len(digits) < 3 or len(set(digits[-3:])) > 1:
      return None
    again = digits[-1]
  value = Fraction(f'{whole or 0}.{digits or 0}')
  if again:
    value += Fraction(int(again), 10 ** len(digits) * (10 ** len(again) - 1))
  return value


BASES = {'two': 2, 'three': 3, 'four': 4, 'five': 5, 'six': 6, 'seven': 7}
BASES |= {'eight': 8, 'nine': 9, 'ten': 10, 'twelve': 12, 'sixteen': 16}
BASE = rf'_\{{?(?:\\text\{{)?\s*([0-9]{{1,2}}|{"|".join(BASES)})\s*\}}{{0,2}}'
DIGITS_IN_BASE = re.compile(rf'(?<![A-Za-z0-9_\\{{.])([0-9]+){BASE}')
NUMERAL = re.compile(rf'([0-9A-F]*[0-9][0-9A-F]*){BASE}')
DEGREES = re.compile(r'([0-9]+(?:\.[0-9]+)?)\s*\^\s*\\circ(?![A-Za-z])')
TRIGONOMETRY = re.compile(r'\\(?:sin|cos|tan|cot|sec|csc)(?![A-Za-z])')
# Figures side by side, which a parser would multiply; \log_2 8 is not that.
APART = re.compile(r'(?<![_^][0-9])(?<=[0-9])\s+(?=[0-9])')
NO_SENSE = r'\nonsense'  # A command that no reader knows.


def exact(text: str) -> str:
  r"""Decimals as fractions, `25_7` as 19, degrees in radians or bare.

  For readers of expressions, to whom a decimal is a rounded number and a base
  nothing at all.

  >>> print(exact('0.5x'), exact('25_7+1'), exact(r'90^\circ - x'))
  {\frac{1}{2}}x 19+1 90 - x
  >>> print(exact(r'\sin 30^\circ'))
  \sin {(\frac{30\pi}{180})}
  """
  text = APART.sub(lambda _: NO_SENSE, text)
  text = DIGITS_IN_BASE.sub(in_base_ten, text)
  if TRIGONOMETRY.search(text):
    text = DEGREES.sub(r'{(\\frac{\1\\pi}{180})}', text)
  text = re.sub(r'\^\s*\\circ(?![A-Za-z])', '', text)
  return DECIMAL.sub(as_fraction, text)


def in_base_ten(match: re.Match) -> str:
  r"""The value of `25_7`; for `29_7`, what nobody can read."""
  found = numeral(match[0])
  return str(int(*found)) if found else NO_SENSE


def as_fraction(match: re.Match) -> str:
  """A decimal as a TeX fraction; as it was where it is none."""
  value = decimal_value(match[0])
  if value is None:
    return match[0]
  return rf'{{\frac{{{value.numerator}}}{{{value.denominator}}}}}'


def numeral(text: str) -> tuple[str, int] | None:
  r"""Digits and base of a whole text such as `25_7`; None if it is none.

  >>> numeral('(1010)_{2}'), numeral('29_7'), numeral('25')
  (('1010', 2), None, None)
  """
  text = re.sub(r'^\((\w+)\)_|^\\text\{(\w+)\}_', r'\1\2_', text)
  match = NUMERAL.fullmatch(text)
  if match is None:
    return None
  digits, base = match[1], BASES.get(match[2]) or int(match[2])
  fits = 2 <= base <= 16 and all(int(digit, 16) < base for digit in digits)
  return (digits.lstrip('0') or '0', base) if fits else None
