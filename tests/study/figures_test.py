# SPDX-License-Identifier: Apache-2.0
"""Drawings: valid SVG that takes the page's colours and speaks for itself."""

import itertools
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from srpo_jax.study import axes, evaluations, figures, intervals, plots, style

SVG = '{http://www.w3.org/2000/svg}'


def plot(*labels, **settings):
  x = np.arange(1, 31)
  lines = tuple(
    plots.Line(label, i, x, (x + i) / 40, f'{label} words <&">')
    for i, label in enumerate(labels)
  )
  return plots.Plot('Reward', 'mean', lines, **settings)


def texts(svg):
  root = ET.fromstring(svg)
  return [''.join(node.itertext()).strip() for node in root.iter(f'{SVG}text')]


def test_svg_stands_in_a_page():
  svg = figures.draw(plot('effective', 'all wrong'), 'fig')
  root = ET.fromstring(svg)
  assert root.get('role') == 'img'
  assert 'effective words <&">' in root.get('aria-label')
  assert root.get('viewBox')
  assert root.get('width') is None
  assert 'effective 0.750' in texts(svg)
  assert 'step' in texts(svg)


def test_no_colour_is_fixed():
  svg = figures.draw(plot('a', 'b', marks=(10,)), 'fig')
  found = re.findall(r'#[0-9a-f]{6}\b', svg)
  assert found == []
  assert 'var(--series-1)' in svg
  assert 'var(--muted)' in svg
  assert 'currentColor' not in svg


def test_ids_are_of_this_figure_and_references_hold():
  svg = figures.draw(plot('a', marks=(10,)), 'fig7')
  ids = set(re.findall(r'\bid="([^"]*)"', svg))
  assert ids
  assert all(name.startswith('fig7-') for name in ids)
  used = re.findall(r'(?:href="|url\()#([^")]*)', svg)
  assert used
  assert set(used) <= ids


def test_equal_plots_give_equal_bytes():
  assert figures.draw(plot('a'), 'x') == figures.draw(plot('a'), 'x')


def test_a_share_begins_at_0_and_ends_at_1():
  x = np.arange(3)
  line = plots.Line('', 0, x, np.array([0.9, 0.95, 1.0]), 'words')
  shown = texts(figures.draw(plots.Plot('t', 'u', (line,), True), 'x'))
  ticks = [float(text) for text in shown if re.fullmatch(r'[\d.]+', text)]
  # Ticks of both axes; 0.25 must not be written as 0.2.
  assert {0.0, 0.25, 0.5, 0.75, 1.0} <= set(ticks)
  assert max(ticks) <= 2.0


def test_negative_values_are_not_cut():
  x = np.arange(3)
  line = plots.Line('', 0, x, np.array([-0.5, 0, 0.5]), 'words')
  assert '−0.5' in texts(figures.draw(plots.Plot('t', 'u', (line,)), 'x'))


def test_an_interval_below_0_opens_no_room_below_a_share():
  x, y = np.arange(3), np.array([0.1, 0.2, 0.3])
  line = plots.Line('', 0, x, y, 'w', low=y - 0.4, high=y + 0.9)
  shown = texts(figures.draw(plots.Plot('t', 'u', (line,), True), 'x'))
  assert not any('−' in text for text in shown)
  assert '1' in shown
  assert '1.25' not in shown


def test_lines_differ_in_dash_and_not_in_colour_alone():
  svg = figures.draw(plot('a', 'b', 'c'), 'x')
  dashes = re.findall(r'stroke-dasharray: ([\d.,]+)', svg)
  assert len(set(dashes)) == 2
  assert len(set(axes.DASHES)) == axes.PALETTE


def test_a_stage_has_its_name_above_in_the_colour_of_its_line():
  switches = (plots.Switch(9, 'both', 1), plots.Switch(9.5, 'hidden'))
  svg = figures.draw(plot('a', 'b', switches=switches), 'x')
  assert 'both' in texts(svg)
  # A name that would lie over another is in the words alone.
  assert 'hidden' not in texts(svg)
  label = ET.fromstring(svg).get('aria-label')
  assert 'both begins at step 9 (b).' in label
  assert 'hidden begins at step' in label


def test_files_have_a_title_and_colours_of_their_own():
  shown = plot('a', switches=(plots.Switch(9, 'both'),))
  text = figures.alone(figures.draw(shown, 'x'), 'A & B')
  root = ET.fromstring(text.split('\n', 1)[1])
  assert 'A & B' in ''.join(root.itertext())
  assert 'var(' not in text
  assert style.LIGHT['series-0'] in text
  left, top, _, height = map(float, root.get('viewBox').split())
  assert (left, top < 0) == (0, True)
  assert root.get('height') == f'{height:g}pt'
  assert figures.draw_png(shown).startswith(b'\x89PNG')


def test_one_point_with_a_band_is_drawn():
  one = [np.array([y]) for y in (0.4, 0.3, 0.5)]
  line = plots.Line('', 0, np.array([0]), one[0], 'w', low=one[1], high=one[2])
  svg = figures.draw(plots.Plot('t', 'u', (line,), True), 'x')
  assert 'nan' not in svg
  assert '0.400' in texts(svg)


def test_labels_are_spread():
  heights = axes.spread([0.5, 0.5, 0.1, 0.99], gap=0.1)
  assert heights == pytest.approx([0.5, 0.6, 0.1, 0.99])
  crowded = axes.spread([1.0, 1.0, 0.95], gap=0.1)
  assert crowded == pytest.approx([0.9, 1.0, 0.8])
  ordered = sorted(axes.spread([0.0] * 5, gap=0.1))
  gaps = [b - a for a, b in itertools.pairwise(ordered)]
  assert min(gaps) > 0.0999


def test_levels():
  one = intervals.Interval(0.5, 0.4, 0.6)
  levels = (
    evaluations.Level('add $x$', 3, 0.25, 0.75),
    evaluations.Level('gcd', 3, 0.5, 0.4),
  )
  score = evaluations.Evaluation(
    'held', (0, 9), (one, one), 6, 0.4, 0.6, one, 4, levels, {}
  )
  svg = figures.draw_levels(score, 'x')
  label = ET.fromstring(svg).get('aria-label')
  assert label == (
    'pass@1 on held by level, from step 0 to step 9: add $x$ 0.250 to 0.750; '
    'gcd 0.500 to 0.400.'
  )
  assert {'add $x$', 'gcd'} <= set(texts(svg))
  assert re.findall(r'#[0-9a-f]{6}\b', svg) == []


@pytest.mark.parametrize('colors', [style.LIGHT, style.DARK])
def test_text_can_be_read(colors):
  inks = [name for name in colors if name.startswith('series')]
  assert len(inks) == axes.PALETTE
  for name in ('ink', 'muted', *inks):
    for ground in ('ground', 'panel'):
      assert contrast(colors[name], colors[ground]) >= 4.5, (name, ground)


def contrast(one, other):
  """WCAG 2.1: (L1 + 0.05) / (L2 + 0.05) of the relative luminances."""
  high, low = sorted((luminance(one), luminance(other)), reverse=True)
  return (high + 0.05) / (low + 0.05)


def luminance(color):
  shares = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
  linear = [
    c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares
  ]
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
