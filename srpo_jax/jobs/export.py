# SPDX-License-Identifier: Apache-2.0
"""Out: a checkpoint as a Hugging Face folder that vLLM and transformers read.

The folder's config.json and tokenizer are those that the run came from; only
weights and their dtype are new.
"""

import json
from pathlib import Path

import gin
import jax

from srpo_jax.core import config
from srpo_jax.data.template import question_only
from srpo_jax.data.tokenizer import Tokenizer
from srpo_jax.jobs import initial
from srpo_jax.jobs.export_dtype import export_dtype, stored_dtype
from srpo_jax.jobs.parts import device_mesh
from srpo_jax.jobs.settings import EXPORT_DTYPES, check_mesh
from srpo_jax.policy import huggingface, lora
from srpo_jax.policy.config import DecoderConfig
from srpo_jax.policy.policy import Params, make_policy, param_shapes
from srpo_jax.train.state import param_shardings

FOLDER = 'hugging_face'  # inside a workdir


@gin.configurable
def export(
  workdir: Path,
  *,
  init_from: str | None = gin.REQUIRED,
  dtype: str | None = gin.REQUIRED,
  mesh: tuple[int, ...] = gin.REQUIRED,
) -> None:
  """Writes WORKDIR/hugging_face.

  Args:
    init_from: workdir, checkpoint or Hugging Face folder.
    dtype: of the files; None for the one that the policy came in.
    mesh: devices over (data, fsdp, tensor) that hold it meanwhile.

  Raises:
    ConfigError: it was written before, in another dtype than is asked for.
  """
  config.choice('EXPORT_DTYPE', dtype, EXPORT_DTYPES)
  check_mesh(mesh)
  folder = Path(workdir) / FOLDER
  if (folder / 'config.json').exists():
    _check_written(folder, dtype)
    return
  source = initial.find(init_from)
  tokenizer = initial.tokenizer(source)
  decoder = initial.decoder_config(source)
  export_dtype(source.identity, dtype)
  initial.check_vocabulary(source, decoder, tokenizer, question_only())
  initial.check_weights(source, decoder)
  devices = device_mesh(mesh)
  policy = make_policy(decoder, devices)
  shardings = param_shardings(policy, devices, param_shapes(decoder))
  params = initial.params(source, decoder, shardings)
  write(folder, source.identity, decoder, params, tokenizer, dtype)
  print(f'policy: {folder}')


def _check_written(folder: Path, asked: str | None) -> None:
  """Says in what dtype a folder was written; refuses to leave another."""
  there = stored_dtype(folder)
  if asked not in (None, there):
    raise config.ConfigError(
      f'EXPORT_DTYPE = {asked!r}, but {folder} was written in {there}; remove '
      'that folder to have it written anew, or give another --workdir'
    )
  print(f'{folder}: already done, in {there}')


def write(
  folder: Path,
  identity: Path,
  decoder: DecoderConfig,
  params: Params,
  tokenizer: Tokenizer,
  dtype: str | None,
) -> None:
  """Writes a folder that says what `identity` says, with these weights.

  Adapters are merged into them.
  Every process of a run calls it; the first one writes.
  """
  if decoder.lora is not None:
    params = lora.Merging(params, decoder.lora)
  raw = json.loads((identity / 'config.json').read_text())
  dtype = export_dtype(identity, dtype)
  if jax.process_index() == 0:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in {**_generation(tokenizer), **tokenizer.files}.items():
      (folder / name).write_bytes(data)
  # config.json last: without it the folder is not taken for a whole one.
  huggingface.save(folder, decoder, params, raw, dtype=dtype)


def _generation(tokenizer: Tokenizer) -> dict[str, bytes]:
  """generation_config.json, where the folder had none: what ends a response."""
  ids = {
    'eos_token_id': list(tokenizer.end_ids),
    'pad_token_id': tokenizer.pad_id,
  }
  text = json.dumps(ids, indent=2) + '\n'
  return {'generation_config.json': text.encode()}
