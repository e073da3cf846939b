# SPDX-License-Identifier: Apache-2.0
"""Tasks on numbers: sums, products, remainders, equations, fractions.

Every derivation goes column by column or term by term, in the order in which
a small policy can write it: no step needs more than two short numbers.
"""

import functools
import itertools
import math

import numpy as np

from srpo_jax.data.tasks.problem import Problem, draw, draw_digits, problem


def _add_columns(a: int, b: int, off: int) -> str:
  columns = itertools.zip_longest(str(a)[::-1], str(b)[::-1], fillvalue='0')
  steps, carry = [], 0
  for column, (x, y) in enumerate(columns):
    total = int(x) + int(y) + carry + (off if column == 0 else 0)
    steps.append(f'{x}+{y}{f"+{carry}" if carry else ""}={total}')
    carry = total // 10
  return ' '.join([*steps, str(a + b + off)])


def add(rng: np.random.Generator, digits: int) -> Problem:
  """'47+38': the columns from the right, then the sum."""
  a, b = draw_digits(rng, digits), draw_digits(rng, digits)
  work = functools.partial(_add_columns, a, b)
  return problem(rng, f'add{digits}', f'{a}+{b}', a + b, work)


def _subtract_columns(a: int, b: int, off: int) -> str:
  bottom = str(b).rjust(len(str(a)), '0')
  steps, digits, borrow = [], '', 0
  for x, y in zip(str(a)[::-1], bottom[::-1], strict=True):
    left = int(x) + (10 if int(x) - borrow < int(y) else 0)
    digit = (left - borrow - int(y) + (0 if digits else off)) % 10
    steps.append(f'{left}{"-1" if borrow else ""}-{y}={digit}')
    digits, borrow = f'{digit}{digits}', left >= 10
  return ' '.join([*steps, str(int(digits))])


def subtract(rng: np.random.Generator, digits: int) -> Problem:
  """'83-47', never below zero: the columns from the right, with borrowing."""
  pair = draw_digits(rng, digits), draw_digits(rng, digits)
  a, b = max(pair), min(pair)
  work = functools.partial(_subtract_columns, a, b)
  return problem(rng, f'sub{digits}', f'{a}-{b}', a - b, work)


def multiply_digits(rng: np.random.Generator) -> Problem:
  """'7*8': known by heart."""
  a, b = draw(rng, 1, 9), draw(rng, 1, 9)
  return problem(
    rng, 'mul1', f'{a}*{b}', a * b, lambda off: f'{a}*{b}={a * (b + off)}'
  )


def multiply_by_digit(rng: np.random.Generator) -> Problem:
  """'47*6': ones, then tens plus the carry."""
  tens, ones, b = draw(rng, 1, 9), draw(rng, 0, 9), draw(rng, 2, 9)

  def work(off: int) -> str:
    low = (ones + off) * b
    high = tens * b + low // 10
    total = f'{high}{low % 10}'
    return f'{ones}*{b}={low} {tens}*{b}+{low // 10}={high} {total}'

  a = 10 * tens + ones
  return problem(rng, 'mul2', f'{a}*{b}', a * b, work)


def multiply_pairs(rng: np.random.Generator) -> Problem:
  """'47*38': two partial products in one step each, which is hard."""
  a, b = draw(rng, 11, 99), draw(rng, 11, 99)

  def work(off: int) -> str:
    low, high = a * (b % 10) + 10 * off, a * (b - b % 10)
    partial = f'{a}*{b % 10}={low} {a}*{b - b % 10}={high}'
    return f'{partial} {low}+{high}={low + high}'

  return problem(rng, 'mul22', f'{a}*{b}', a * b, work)


def remainder(rng: np.random.Generator) -> Problem:
  """'83 mod 7': the multiple below, then what is left."""
  a, b = draw(rng, 10, 99), draw(rng, 2, 9)
  q = a // b
  return problem(
    rng,
    'mod',
    f'{a} mod {b}',
    a % b,
    lambda off: f'{b}*{q}={b * q} {a}-{b * q}={a % b + off}',
  )


def chain(rng: np.random.Generator, terms: int) -> Problem:
  """'3+5-2+9': a running total that never goes below zero."""
  first = total = draw(rng, 1, 20)
  signed = []
  for _ in range(terms - 1):
    term = draw(rng, 1, 9)
    signed.append(-term if total >= term and draw(rng, 0, 1) else term)
    total += signed[-1]

  def work(off: int) -> str:
    steps, running = [], first
    for i, term in enumerate(signed):
      after = running + term + (off if i == 0 else 0)
      steps.append(f'{running}{term:+d}={after}')
      running = after
    return ' '.join(steps)

  question = str(first) + ''.join(f'{term:+d}' for term in signed)
  return problem(rng, f'chain{terms}', question, total, work)


def linear(rng: np.random.Generator) -> Problem:
  """'solve 3*x+4=19': subtract, then divide."""
  a, b, x = draw(rng, 2, 9), draw(rng, 1, 20), draw(rng, 1, 12)
  c = a * x + b

  def work(off: int) -> str:
    left = c - b + a * off
    return f'{c}-{b}={left} {left}/{a}={left // a}'

  return problem(rng, 'linear', f'solve {a}*x+{b}={c}', x, work)


def _fraction(over: int, under: int) -> str:
  divisor = math.gcd(over, under)
  over, under = over // divisor, under // divisor
  return str(over) if under == 1 else f'{over}/{under}'


def fraction_sum(rng: np.random.Generator) -> Problem:
  """'1/2+1/3': over the product of the denominators, then reduced."""
  q, s = draw(rng, 2, 6), draw(rng, 2, 6)
  p, r = draw(rng, 1, q - 1), draw(rng, 1, s - 1)

  def work(off: int) -> str:
    over = p * s + r * q + off
    reduced = _fraction(over, q * s)
    return f'{p}*{s}+{r}*{q}={over} {q}*{s}={q * s} {over}/{q * s}={reduced}'

  answer = _fraction(p * s + r * q, q * s)
  question = f'{p}/{q}+{r}/{s}'
  return problem(
    rng, 'fraction_sum', question, answer, work, match='equivalence'
  )


def halvings(n: int, off: int) -> tuple[str, str]:
  """('13:1 6:0 3:1 1:1', '1101'): halve until zero, with each remainder.

  off 1 has the first remainder wrong, off 2 forgets the last one.
  """
  left, bits, steps = n, '', []
  while left:
    bit = (left + (off == 1 and not steps)) % 2
    steps.append(f'{left}:{bit}')
    left, bits = left // 2, f'{bit}{bits}'
  return ' '.join(steps), bits[off == 2 :]


def binary(rng: np.random.Generator) -> Problem:
  """'binary 13': the remainders of halving, read backwards."""
  n = draw(rng, 2, 63)

  def work(off: int) -> str:
    return ' '.join(halvings(n, off))

  return problem(rng, 'binary', f'binary {n}', f'{n:b}', work, match='exact')


def power(rng: np.random.Generator) -> Problem:
  """'3^4': one factor at a time."""
  a, b = draw(rng, 2, 9), draw(rng, 2, 4)

  def work(off: int) -> str:
    steps, value = [], a
    for i in range(b - 1):
      after = value * a + (off if i == 0 else 0)
      steps.append(f'{value}*{a}={after}')
      value = after
    return ' '.join(steps)

  return problem(rng, 'power', f'{a}^{b}', a**b, work)


def pair(rng: np.random.Generator) -> Problem:
  """'a+b=13 a*b=40': try a=1, 2, ...; either order of the answer is right."""
  a = draw(rng, 1, 6)
  b = draw(rng, a, 12)

  def work(off: int) -> str:
    # The slip stops a line too soon, or one too late where a is 1.
    last = a if not off else (a - 1 if a > 1 else a + 1)
    tried = [f'{i}*{a + b - i}={i * (a + b - i)}' for i in range(1, last + 1)]
    return ' '.join([*tried, f'{last},{a + b - last}'])

  return problem(
    rng,
    'pair',
    f'a+b={a + b} a*b={a * b}',
    f'{a},{b}',
    work,
    match='verifier:pair',
    tests={'type': 'verifier', 'entry': {'sum': a + b, 'product': a * b}},
  )
