# SPDX-License-Identifier: Apache-2.0
"""The other objectives: by hand, against plain loops, and cut in any way."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from srpo_jax.srpo.importance import (
  no_weights,
  truncated_sequence_weights,
  truncated_weights,
)
from srpo_jax.srpo.loss import ONE, ClipConfig, Totals, srpo_loss, totals_of
from srpo_jax.srpo.loss_variants import (
  cispo_loss,
  dapo_loss,
  dr_grpo_loss,
  grpo_loss,
  gspo_loss,
)

LOSSES = {
  'srpo': srpo_loss,
  'dapo': dapo_loss,
  'grpo': grpo_loss,
  'dr_grpo': functools.partial(dr_grpo_loss, max_new_tokens=7),
  'gspo': functools.partial(gspo_loss, clip=ClipConfig(low=0.2, high=0.28)),
  'cispo': functools.partial(cispo_loss, cap=1.5),
}
CLIP = ClipConfig(low=0.2, high=0.28)


def arrays(seed=0, B=8, T=7):
  """One advantage a row, rows of many lengths, one of them empty."""
  rng = np.random.default_rng(seed)
  logprob = rng.normal(-1, 0.5, (B, T)).astype(np.float32)
  old = rng.normal(-1, 0.5, (B, T)).astype(np.float32)
  advantage = np.repeat(rng.normal(size=(B, 1)), T, axis=1).astype(np.float32)
  mask = np.arange(T)[None] < rng.integers(1, T + 1, B)[:, None]
  mask[3] = False
  return logprob, old, advantage, mask


def one_a_row(mask):
  return np.ones(np.shape(mask), np.int32)


def counted(mask):
  """Mask, segments and totals of rows with a sequence each."""
  return mask, one_a_row(mask), totals_of(mask, one_a_row(mask))


def whole(name, logprob, old, advantage, mask, segment=None):
  """Value and gradient of a loss on all rows at once."""
  segment = one_a_row(mask) if segment is None else segment
  totals = totals_of(mask, segment)
  return jax.value_and_grad(
    lambda x: LOSSES[name](x, old, advantage, mask, segment, totals)[0]
  )(jnp.asarray(logprob))


def surrogate(ratio, a, clip):
  held = min(max(ratio, 1 - clip.low), 1 + clip.high)
  return -min(ratio * a, held * a)


def reference(name, logprob, old, advantage, mask):
  """The objectives again, in plain loops over sequences and tokens."""
  ratio = np.exp(np.float64(logprob) - old)
  n_tokens, n_rows, total = mask.sum(), mask.any(axis=1).sum(), 0.0
  clip = ClipConfig(0.2, 0.2) if 'grpo' in name else CLIP
  for b in np.flatnonzero(mask.any(axis=1)):
    a, of_row = float(advantage[b, 0]), ratio[b, mask[b]]
    tokens = sum(surrogate(r, a, clip) for r in of_row)
    if name == 'gspo':
      s = np.exp(np.mean(np.log(of_row)))
      total += surrogate(s, a, clip) / n_rows
    elif name == 'cispo':
      held = np.minimum(of_row, 1.5)
      total -= np.sum(held * a * logprob[b, mask[b]]) / n_tokens
    elif name == 'grpo':
      total += tokens / len(of_row) / n_rows
    elif name == 'dr_grpo':
      total += tokens / (n_rows * 7)
    else:
      total += tokens / n_tokens
  return total


# Two sequences of 2 and 1 tokens, advantages 1 and −1; ratios 1.5, 0.5 and 2.
RATIO = jnp.array([[1.5, 0.5], [2.0, 9.0]])
ADVANTAGE = jnp.array([[1.0, 1.0], [-1.0, -1.0]])
MASK = jnp.array([[True, True], [True, False]])
BY_HAND = {
  # −(1.28 + 0.5 − 2) / 3 tokens; a negative advantage is not held above.
  'dapo': 0.22 / 3,
  # −((1.2 + 0.5) / 2 − 2) / 2 sequences.
  'grpo': 0.575,
  # −(1.2 + 0.5 − 2) / (2 sequences · 7).
  'dr_grpo': 0.3 / 14,
  # s = √0.75 = 0.866 and 2: −(0.866 − 2) / 2.
  'gspo': (2 - 0.75**0.5) / 2,
  # log π = log ratio, as the old one is 0: −(1.5 log 1.5 + 0.5 log 0.5
  # − 1.5 log 2) / 3, the third ratio held at the cap of 1.5.
  'cispo': -(1.5 * np.log(1.5) + 0.5 * np.log(0.5) - 1.5 * np.log(2)) / 3,
}


@pytest.mark.parametrize('name', BY_HAND)
def test_golden_by_hand(name):
  loss, _ = LOSSES[name](
    jnp.log(RATIO), jnp.zeros((2, 2)), ADVANTAGE, *counted(MASK)
  )
  np.testing.assert_allclose(loss, BY_HAND[name], rtol=1e-6)


def test_clipped_share_counts_tokens():
  old = jnp.zeros((2, 2))
  # Only the sequence of ratio 2 could be clipped, and its advantage is
  # negative; with a positive one it is, and has one token.
  sums = LOSSES['gspo'](jnp.log(RATIO), old, ADVANTAGE, *counted(MASK))[1]
  assert int(sums['clip/share']) == 0
  sums = LOSSES['gspo'](jnp.log(RATIO), old, -ADVANTAGE, *counted(MASK))[1]
  assert int(sums['clip/share']) == 1
  sums = LOSSES['cispo'](jnp.log(RATIO), old, ADVANTAGE, *counted(MASK))[1]
  assert int(sums['clip/share']) == 1


@pytest.mark.parametrize('name', LOSSES)
def test_golden_by_reference(name):
  got, _ = whole(name, *arrays())
  np.testing.assert_allclose(got, reference(name, *arrays()), rtol=1e-5)


@pytest.mark.parametrize('name', LOSSES)
def test_cut_into_micro_batches_the_parts_add_up(name):
  logprob, old, advantage, mask = arrays()
  value, gradient = whole(name, logprob, old, advantage, mask)
  segment = one_a_row(mask)
  totals = totals_of(mask, segment)
  for n in (2, 8):
    cut = [
      jax.value_and_grad(
        lambda x, i=i, n=n: LOSSES[name](
          x, old[i::n], advantage[i::n], mask[i::n], segment[i::n], totals
        )[0]
      )(jnp.asarray(logprob[i::n]))
      for i in range(n)
    ]
    np.testing.assert_allclose(sum(v for v, _ in cut), value, rtol=1e-5)
    for i, (_, g) in enumerate(cut):
      np.testing.assert_allclose(g, gradient[i::n], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize('name', LOSSES)
def test_padding_changes_nothing_whatever_stands_there(name):
  logprob, old, advantage, mask = arrays()
  value, gradient = whole(name, logprob, old, advantage, mask)
  pad = lambda x, fill: np.pad(x, ((0, 3), (0, 5)), constant_values=fill)
  dirty = np.where(mask, logprob, np.nan)
  padded_value, padded = whole(
    name, pad(dirty, np.nan), pad(old, 0), pad(advantage, 9), pad(mask, False)
  )
  np.testing.assert_allclose(padded_value, value, rtol=1e-6)
  np.testing.assert_allclose(padded[:8, :7], gradient, rtol=1e-5, atol=1e-8)
  assert (np.asarray(padded)[~pad(mask, False)] == 0).all()


def packed(arrays, rows=3):
  """Rows of one sequence as fewer rows of several, in a shuffled order.

  Returns the arrays, the segments, and where each token went.
  """
  mask = arrays[-1]
  B, T = mask.shape
  rng = np.random.default_rng(1)
  shape = (rows, T * -(-B // rows))
  end, number = np.zeros(rows, int), np.zeros(rows, int)
  place = np.full((B, T), -1)
  segment = np.zeros(shape, np.int32)
  for b in rng.permutation(B):
    row, length = int(np.argmin(end)), int(rng.integers(mask[b].sum(), T + 1))
    number[row] += 1
    place[b, :length] = row * shape[1] + end[row] + np.arange(length)
    segment[row, end[row] : end[row] + length] = number[row]
    end[row] += length

  def laid(x):
    out = np.zeros(rows * shape[1], x.dtype)
    out[place[place >= 0]] = x[place >= 0]
    return out.reshape(shape)

  return [laid(x) for x in arrays], segment, place


@pytest.mark.parametrize('name', LOSSES)
@pytest.mark.parametrize('seed', range(5))
def test_packed_rows_give_the_same(name, seed):
  rows = arrays(seed, B=11)
  new, segment, place = packed(rows)
  assert segment.max() > 2
  value, gradient = whole(name, *rows)
  got, slope = whole(name, *new, segment)
  np.testing.assert_allclose(got, value, rtol=1e-5)
  back = np.where(place >= 0, np.asarray(slope).ravel()[place], 0)
  apart = np.linalg.norm(back - gradient)
  assert apart <= 1e-5 * np.linalg.norm(gradient) > 0
  clipped = lambda args, segment: LOSSES[name](*args, segment)[1]['clip/share']
  assert clipped(new, segment) == clipped(rows, one_a_row(rows[-1])) > 0


@pytest.mark.parametrize(
  'weights', [no_weights, truncated_weights, truncated_sequence_weights]
)
def test_packed_rows_weigh_the_same(weights):
  logprob, old, _, mask = rows = arrays(B=11)
  new, segment, place = packed(rows)
  wanted = np.asarray(weights(logprob, old, mask, one_a_row(mask)))
  got = np.asarray(weights(new[0], new[1], new[3], segment)).ravel()[place]
  np.testing.assert_allclose(got[mask], wanted[mask], rtol=1e-5)


def test_totals_of_packed_rows_are_the_same():
  rows = arrays(B=11)
  new, segment, _ = packed(rows)
  assert totals_of(new[-1], segment) == totals_of(*counted(rows[-1])[:2])


def test_totals_are_those_of_what_counts():
  assert totals_of(*counted(MASK)[:2]) == Totals(3, 2)
  # An empty batch is divided by 1, not by 0.
  assert totals_of(*counted(MASK & False)[:2]) == Totals(1, 1)


def test_without_totals_a_loss_is_the_plain_sum():
  logprob, old, advantage, mask = arrays()
  n = mask.sum()
  total, _ = srpo_loss(logprob, old, advantage, mask, one_a_row(mask))
  mean, _ = srpo_loss(
    logprob, old, advantage, mask, one_a_row(mask), Totals(n, 1)
  )
  np.testing.assert_allclose(total, mean * n, rtol=1e-6)
  assert Totals(1, 1) == ONE


def test_dapo_is_srpo():
  value, gradient = whole('dapo', *arrays())
  other, its_gradient = whole('srpo', *arrays())
  assert float(value) == float(other)
  np.testing.assert_array_equal(gradient, its_gradient)


def test_with_equal_lengths_grpo_is_the_token_mean():
  logprob, old, advantage, mask = arrays()
  mask = np.ones_like(mask)
  args = (logprob, old, advantage, *counted(mask))
  np.testing.assert_allclose(
    grpo_loss(*args, clip=CLIP)[0], srpo_loss(*args, clip=CLIP)[0], rtol=1e-6
  )
  # Dr. GRPO's constant is that length.
  np.testing.assert_allclose(
    dr_grpo_loss(*args, max_new_tokens=7, clip=CLIP)[0],
    srpo_loss(*args, clip=CLIP)[0],
    rtol=1e-6,
  )


def test_one_token_a_sequence_gspo_is_srpo():
  logprob, old, advantage, _ = arrays()
  mask = np.arange(7)[None] == np.zeros((8, 1))
  args = (logprob, old, advantage, *counted(mask))
  np.testing.assert_allclose(
    gspo_loss(*args, clip=CLIP)[0], srpo_loss(*args, clip=CLIP)[0], rtol=1e-6
  )


@pytest.mark.parametrize('name', ['grpo', 'gspo'])
def test_on_policy_each_sequence_weighs_the_same(name):
  logprob, _, advantage, mask = arrays()
  _, gradient = whole(name, logprob, logprob, advantage, mask)
  each = advantage[:, 0] / np.maximum(mask.sum(axis=1), 1) / 7
  np.testing.assert_allclose(
    gradient, np.where(mask, -each[:, None], 0), rtol=1e-5
  )


def test_on_policy_cispo_is_srpo():
  logprob, _, advantage, mask = arrays()
  _, gradient = whole('cispo', logprob, logprob, advantage, mask)
  _, wanted = whole('srpo', logprob, logprob, advantage, mask)
  np.testing.assert_allclose(gradient, wanted, rtol=1e-6)


def test_a_clipped_token_learns_under_cispo_only():
  one = jnp.ones((1, 1))
  args = (jnp.zeros((1, 1)), one, one.astype(bool), one.astype(int))
  gradient = lambda f: float(jax.grad(lambda x: f(x, *args)[0])(one * 2)[0, 0])
  assert gradient(srpo_loss) == 0
  # The ratio e² = 7.4 is held at 5.
  assert gradient(cispo_loss) == -5


def test_no_loss_is_defined_for_shapes_that_only_broadcast():
  logprob, old, advantage, mask = arrays()
  for loss in LOSSES.values():
    with pytest.raises(AssertionError):
      loss(logprob, old, advantage[:, :1], mask, one_a_row(mask))
