# SPDX-License-Identifier: Apache-2.0
"""The look of a report: colours for light and dark, and the style sheet."""

# Distinguishable with any colour vision, and text in each of them has a
# contrast of at least 4.5 on its ground (WCAG AA): a test computes it.
LIGHT = {
  'ground': '#ffffff',
  'panel': '#f6f7f9',
  'ink': '#1b1f24',
  'muted': '#5a6470',
  'rule': '#dde1e6',
  'series-0': '#0b5fa5',
  'series-1': '#b84a00',
  'series-2': '#00725a',
  'series-3': '#a0307a',
  'series-4': '#7a5f00',
  'series-5': '#4a5568',
}
DARK = {
  'ground': '#14171b',
  'panel': '#1d2126',
  'ink': '#e6e9ed',
  'muted': '#9aa4b0',
  'rule': '#333a42',
  'series-0': '#6cb4ff',
  'series-1': '#ff9d5c',
  'series-2': '#45cfa3',
  'series-3': '#f29bd2',
  'series-4': '#e2c044',
  'series-5': '#b3bdca',
}
# What the runs of a comparison can be aligned by.
UNITS = ('steps', 'rollouts', 'tokens')


def style_sheet() -> str:
  """The CSS of a report."""
  light, dark = _variables(LIGHT), _variables(DARK)
  shown = '\n'.join(
    f'body:has(#by-{unit}:checked) .aligned:not(.by-{unit})'
    ' { display: none; }'
    for unit in UNITS
  )
  return (
    f':root {{ color-scheme: light dark; {light} }}\n'
    f'@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n{_RULES}'
    f'{shown}\n'
  )


def _variables(colors: dict[str, str]) -> str:
  return ' '.join(f'--{name}: {value};' for name, value in colors.items())


_RULES = """
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 68rem;
  background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial,
    'DejaVu Sans', sans-serif;
}
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .75rem; }
h2 { font-size: 1.2rem; margin: 2.75rem 0 .75rem; }
h3 { font-size: 1rem; margin: 0; }
p { margin: 0 0 .6rem; max-width: 46rem; }
a { color: var(--series-0); }
.lede { font-size: 1.1rem; }
.note, figcaption { color: var(--muted); font-size: .85rem; }
.figures {
  display: grid; gap: 2rem 2.5rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr));
}
figure { margin: 0; }
figure .unit { color: var(--muted); font-weight: normal; font-size: .9rem; }
figure svg { display: block; width: 100%; height: auto; margin: .25rem 0; }
figure svg text { font-family: inherit !important; }
.legend {
  display: flex; flex-wrap: wrap; gap: .35rem 1.5rem; list-style: none;
  margin: 0 0 1.25rem; padding: 0;
}
.legend svg { width: 3.4em; height: .62em; margin-right: .5em; }
.chooser {
  position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap;
  gap: .2rem 1.25rem; margin: 1.25rem 0; padding: .6rem 0; border: 0;
  border-bottom: 1px solid var(--rule); background: var(--ground);
}
.chooser legend { float: left; padding: 0; margin-right: 1.25rem; }
.chooser input { accent-color: var(--series-0); }
.aligned + .aligned { margin-top: 2rem; }
.scroll { overflow-x: auto; }
table {
  border-collapse: collapse; font-variant-numeric: tabular-nums;
  font-size: .9rem;
}
th, td {
  padding: .3rem .9rem .3rem 0; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--rule);
}
th { color: var(--muted); font-weight: 600; }
th[scope=row] { color: var(--ink); font-weight: normal; }
th:first-child, td:first-child, .facts td { text-align: left; }
.facts td { white-space: normal; overflow-wrap: anywhere; }
.prompts { font-size: .85rem; }
.prompts td, .prompts th, .outcome td, .outcome th { vertical-align: top; }
.prompts th { white-space: normal; min-width: 3.5rem; }
.prompts th[scope=row] { min-width: 12rem; overflow-wrap: anywhere; }
.outcome, .forgetting { font-size: .85rem; }
.forgetting th, .forgetting td { padding-right: .6rem; }
.forgetting th { white-space: normal; min-width: 4rem; }
.outcome th:nth-child(2), .outcome td:nth-child(2) { text-align: left; }
.outcome th[scope=row] { white-space: normal; min-width: 9rem; }
.outcome tr:has(th[scope=row]:empty) th { border-top: 0; }
.outcome td:last-child, .outcome th:last-child { padding-right: 0; }
th button {
  all: unset; cursor: pointer; text-decoration: underline dotted;
  text-underline-offset: .2em;
}
th button:focus-visible { outline: 2px solid var(--series-0); }
th[aria-sort=ascending] button::after { content: ' ↑'; }
th[aria-sort=descending] button::after { content: ' ↓'; }
details { margin-top: .75rem; }
summary { cursor: pointer; }
.samples {
  display: grid; gap: 1rem; margin: .4rem 0 1.5rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr));
}
.sample {
  background: var(--panel); border-radius: .4rem; padding: .8rem 1rem;
  min-width: 0;
}
.sample pre {
  margin: .3rem 0 .6rem; white-space: pre-wrap; overflow-wrap: anywhere;
  font: .85rem/1.45 ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono',
    monospace;
}
.sample .what { color: var(--muted); font-size: .8rem; }
@media print { body { max-width: none; } details { display: block; } }
"""
