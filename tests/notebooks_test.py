# SPDX-License-Identifier: Apache-2.0
"""The notebooks: every cell runs, and each is as a reader on Colab needs it."""

import ast
import json
import os
import re
import sys
from pathlib import Path

import nbclient
import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / 'notebooks').glob('*.ipynb'))
README = (ROOT / 'README.md').read_text()

# Where the notebooks are to be found. No address is known to the checkout
# yet; whoever publishes it changes this and what the tests then name. GitHub
# allows no two hyphens in a row: nobody can take the name before.
REPOSITORY = 'your--account/srpo_jax'
COLAB = 'https://colab.research.google.com/github'

# What a notebook is given here in place of its own sizes, so that it takes
# seconds. A notebook without an entry runs with its own.
RUN = {
  'PROMPTS_PER_STEP': 16,
  'GROUP_SIZE': 4,
  'MAX_NEW_TOKENS': 24,
  'EVAL_SAMPLES': 1,
  'REWARD_WORKERS': 1,
  'SEED': 0,
}
SHORT = {
  '1_one_step': {'PROMPTS': 4, 'GROUP_SIZE': 4, 'MAX_NEW_TOKENS': 24},
  # Prompts of at most 6 tokens are 34: a few epochs in a few steps.
  '2_history': {
    'STEPS': 7,
    'SIZES': {
      **RUN,
      'MAX_PROMPT_TOKENS': 6,
      'EVAL_EVERY': 50,
    },
  },
  '3_two_stages': {
    'STAGE1_STEPS': 2,
    'STAGE2_STEPS': 2,
    # Nine of the held-out programs are asked for in so few tokens.
    'SIZES': {
      **RUN,
      'MAX_PROMPT_TOKENS': 18,
      'MAX_NEW_TOKENS': 32,
      'EVAL_EVERY': 50,
    },
  },
  '4_real_model': {
    'STEPS': 2,
    'SIZES': {**RUN, 'MAX_PROMPT_TOKENS': 6, 'EVAL_EVERY': 50},
  },
}

every_notebook = pytest.mark.parametrize(
  'path', NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS]
)


def tagged(notebook, tag: str) -> list[int]:
  """Places of the cells with that tag."""
  cells = enumerate(notebook.cells)
  return [i for i, cell in cells if tag in cell.metadata.get('tags', [])]


def code_cells(notebook) -> list:
  return [cell for cell in notebook.cells if cell.cell_type == 'code']


def assigned(source: str) -> set[str]:
  """Names that the statements of a cell give a value."""
  statements = ast.parse(source).body
  return {
    target.id
    for statement in statements
    if isinstance(statement, ast.Assign)
    for target in statement.targets
  }


@pytest.fixture(scope='session')
def kernel(tmp_path_factory) -> KernelSpecManager:
  """One kernel, and it is this interpreter, with the checkout before all."""
  folder = tmp_path_factory.mktemp('kernels')
  paths = [str(ROOT), os.environ.get('PYTHONPATH', '')]
  spec = {
    'argv': [
      sys.executable,
      *('-m', 'ipykernel_launcher', '-f', '{connection_file}'),
    ],
    'display_name': 'Python 3',
    'language': 'python',
    'env': {
      'JAX_PLATFORMS': 'cpu',
      'PYTHONPATH': os.pathsep.join(filter(None, paths)),
      # Nothing is read or written in the home folder of who runs the tests.
      'IPYTHONDIR': str(folder / 'ipython'),
      # Two runs of a notebook compile the same programs.
      'JAX_COMPILATION_CACHE_DIR': str(folder / 'compiled'),
      'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0',
      'JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES': '0',
    },
  }
  (folder / 'python3').mkdir()
  (folder / 'python3' / 'kernel.json').write_text(json.dumps(spec))
  return KernelSpecManager(
    kernel_dirs=[str(folder)], ensure_native_kernel=False
  )


def execute(notebook, kernel: KernelSpecManager, folder: Path) -> None:
  """Runs all cells in a folder; raises CellExecutionError where one fails."""
  manager = AsyncKernelManager(
    kernel_name='python3',
    kernel_spec_manager=kernel,
    # Sockets in a folder: no port of the machine is taken.
    transport='ipc',
    connection_file=str(folder / 'kernel.json'),
  )
  nbclient.NotebookClient(
    notebook,
    km=manager,
    # pytest has a limit of its own; a loaded machine shall change nothing.
    timeout=None,
    startup_timeout=600,
    iopub_timeout=600,
    raise_on_iopub_timeout=True,
    resources={'metadata': {'path': str(folder)}},
  ).execute()


def outputs(notebook) -> str:
  """All text that a run printed."""
  streams = (
    output.text
    for cell in code_cells(notebook)
    for output in cell.outputs
    if output.output_type == 'stream'
  )
  return '\n'.join(streams)


def test_there_are_notebooks_and_each_is_in_the_readme():
  stems = {path.stem for path in NOTEBOOKS}
  assert set(SHORT) <= stems
  assert len(NOTEBOOKS) >= 3
  assert {x for x in stems if f'(notebooks/{x}.ipynb)' not in README} == set()


@every_notebook
def test_it_runs_from_top_to_bottom(path, kernel, tmp_path):
  notebook = nbformat.read(path, as_version=4)
  short = SHORT.get(path.stem, {})
  lines = [f'{name} = {value!r}' for name, value in short.items()]
  (at,) = tagged(notebook, 'parameters')
  injected = nbformat.v4.new_code_cell('\n'.join(lines))
  notebook.cells.insert(at + 1, injected)
  execute(notebook, kernel, tmp_path)
  text = outputs(notebook)
  assert text
  # The panel of a terminal would fill the page with its frames.
  assert '\x1b[' not in text
  last = [cell.execution_count for cell in code_cells(notebook)]
  assert last == list(range(1, len(last) + 1))


@every_notebook
def test_what_is_injected_are_its_own_parameters(path):
  notebook = nbformat.read(path, as_version=4)
  (at,) = tagged(notebook, 'parameters')
  names = assigned(notebook.cells[at].source)
  assert 'INIT_FROM' in names
  assert set(SHORT.get(path.stem, {})) <= names


@every_notebook
def test_it_is_committed_as_it_should_be(path):
  raw = json.loads(path.read_text())
  notebook = nbformat.read(path, as_version=4)
  nbformat.validate(notebook)
  assert (raw['nbformat'], raw['nbformat_minor']) == (4, 5)
  assert raw['metadata']['kernelspec']['name'] == 'python3'
  ids = [cell['id'] for cell in raw['cells']]
  assert len(set(ids)) == len(ids)
  for cell in code_cells(notebook):
    assert cell.outputs == [], f'{cell.id}: commit it without outputs'
    assert cell.execution_count is None


@every_notebook
def test_it_opens_on_colab(path):
  cells = nbformat.read(path, as_version=4).cells
  title, install = cells[0], next(c for c in cells if c.cell_type == 'code')
  assert title.source.startswith('# ')
  link = f'{COLAB}/{REPOSITORY}/blob/main/notebooks/{path.name}'
  assert f'colab-badge.svg)]({link})' in title.source
  assert f"REPOSITORY = '{REPOSITORY}'" in install.source
  assert '%pip install' in install.source
  assert 'git+https://github.com/{REPOSITORY}' in install.source
  assert "find_spec('srpo_jax') is None" in install.source
  assert 'apt-get -qq install bubblewrap' in install.source


@every_notebook
def test_the_install_comes_first_and_the_parameters_next(path):
  notebook = nbformat.read(path, as_version=4)
  (at,) = tagged(notebook, 'parameters')
  code = [i for i, c in enumerate(notebook.cells) if c.cell_type == 'code']
  assert code[1] == at


@every_notebook
def test_links_lead_somewhere(path):
  notebook = nbformat.read(path, as_version=4)
  text = '\n'.join(
    cell.source for cell in notebook.cells if cell.cell_type == 'markdown'
  )
  links = re.findall(r'\]\(([^)#]+)\)', text)
  inside = [link for link in links if not link.startswith('http')]
  assert [x for x in inside if not (path.parent / x).exists()] == []


def test_a_cell_that_fails_fails_the_run(kernel, tmp_path):
  notebook = nbformat.v4.new_notebook(
    cells=[nbformat.v4.new_code_cell("raise ValueError('on purpose')")]
  )
  with pytest.raises(nbclient.exceptions.CellExecutionError, match='purpose'):
    execute(notebook, kernel, tmp_path)


def test_the_kernel_is_this_interpreter_and_this_checkout(kernel, tmp_path):
  source = 'import sys, srpo_jax; print(sys.prefix, srpo_jax.__file__)'
  notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
  execute(notebook, kernel, tmp_path)
  where = f'{sys.prefix} {ROOT / "srpo_jax" / "__init__.py"}'
  assert outputs(notebook).strip() == where
