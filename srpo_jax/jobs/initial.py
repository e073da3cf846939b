# SPDX-License-Identifier: Apache-2.0
"""Where a policy comes from: the package, a Hugging Face folder, a workdir.

`INIT_FROM` names a Hugging Face folder, a model of the Hub (hf://OWNER/NAME),
a GGUF file, the workdir of another run (its newest checkpoint) or one
checkpoint of it; unset, it is the embedded policy.
From a checkpoint a run may take more than weights: `carried` and
`optimizer_state`.
"""

import dataclasses
import json
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import optax
import orbax.checkpoint as ocp

from srpo_jax.core import config
from srpo_jax.core import mesh as mesh_lib
from srpo_jax.core.config import ConfigError
from srpo_jax.data.prompts import prompt_ids
from srpo_jax.data.template import AnyTemplate
from srpo_jax.data.tokenizer import (
  MODEL_NAME,
  SentencePieceTokenizer,
  Tokenizer,
)
from srpo_jax.data.tokenizer_json import NAME as JSON_NAME
from srpo_jax.data.tokenizer_json import JsonTokenizer
from srpo_jax.jobs import gguf_policy, hub
from srpo_jax.policy import huggingface, lora
from srpo_jax.policy.config import DecoderConfig, Lora
from srpo_jax.policy.policy import Params, param_shapes
from srpo_jax.srpo.history import Ledger
from srpo_jax.train.checkpoint import newest_sound, split_history
from srpo_jax.train.state import TrainState

LORA_NAME = 'lora.json'  # what a run with adapters says of them
# Rows are padded for the hardware's sake: Qwen2.5 7B leaves 399 of 152,064
# unused. More than this share is said at the start; our choice.
UNUSED = 0.05
EMBEDDED = Path(__file__).parents[1] / 'assets' / 'policy'


class Source(NamedTuple):
  """Attributes:
  identity: folder with config.json and a tokenizer.
  checkpoint: Orbax checkpoint with the weights; None if they lie in
    `identity` as model.safetensors.
  """

  identity: Path
  checkpoint: Path | None


def find(init_from: str | None) -> Source:
  """What `INIT_FROM` points at.

  Raises:
    ConfigError: nothing there that weights can be read from.
  """
  if init_from is None:
    return Source(EMBEDDED, None)
  config.check(
    isinstance(init_from, str | Path),
    'INIT_FROM',
    init_from,
    'be a name or None',
    'try --gin.INIT_FROM=FOLDER',
  )
  if str(init_from).startswith(hub.PREFIX):
    return Source(hub.fetch(init_from), None)
  path = Path(init_from)
  if path.suffix == '.gguf':
    cache = gguf_policy.cache_folder()
    found = gguf_policy.locate(init_from, cache)
    return Source(gguf_policy.convert(found, cache), None)
  if (path / 'config.json').exists():
    return Source(path, None)
  if (path / 'checkpoints').is_dir():
    newest = newest_sound(path / 'checkpoints')
    if newest is not None:
      return Source(path / 'policy', newest)
  if path.parent.name == 'checkpoints' and path.is_dir():
    return Source(path.parent.parent / 'policy', path)
  raise ConfigError(
    f'INIT_FROM = {init_from!r}: neither a Hugging Face folder (config.json) '
    'nor a .gguf file nor a workdir with a sound checkpoint; name one of those '
    'or hf://OWNER/NAME'
  )


def begun(workdir: Path) -> Source | None:
  """What a run that goes on has of its own; None before its first checkpoint.

  So it does not need what it came from any more, and would not follow it if
  that changed.
  """
  folder = Path(workdir) / 'checkpoints'
  own = [p for p in folder.glob('*') if p.name.isdigit()]
  identity = Path(workdir) / 'policy'
  if not own or not (identity / 'config.json').exists():
    return None
  return Source(identity, max(own, key=lambda path: int(path.name)))


def tokenizer(source: Source) -> Tokenizer:
  """The tokenizer that lies beside the weights.

  Where both files are there it is tokenizer.json: chat tokens and the like
  were often added to it alone.
  """
  model = source.identity / MODEL_NAME
  if model.exists() and not (source.identity / JSON_NAME).exists():
    return SentencePieceTokenizer(model)
  return JsonTokenizer(source.identity)


def decoder_config(source: Source) -> DecoderConfig:
  """The numbers of the decoder."""
  return huggingface.config_from_json(source.identity / 'config.json')


def check_vocabulary(
  source: Source,
  decoder: DecoderConfig,
  found: Tokenizer,
  template: AnyTemplate,
) -> tuple[str, ...]:
  """Refuses a tokenizer with tokens that the policy has not.

  A special token beyond the policy's may be there if nothing uses it: Gemma 3
  1B has the larger ones' token for images, and no row for it
  (huggingface/transformers, issue 37011).

  Returns:
    Lines to say at the start: one if the policy has far more tokens.
  """
  size, where = decoder.vocab_size, source.identity
  remedy = 'use the tokenizer that belongs to it'
  if found.plain_size > size:
    raise ConfigError(
      f'{where}: the tokenizer has {found.plain_size} tokens, the policy '
      f'{size}; {remedy}'
    )
  used = {
    'start': found.start_ids,
    'end': found.end_ids,
    'pad': (found.pad_id,),
    'template': prompt_ids('1', found, template),
  }
  for name, ids in used.items():
    if max(ids, default=0) >= size:
      raise ConfigError(
        f'{where}: the {name} token {max(ids)} is none of the {size} tokens '
        f'that the policy has; {remedy}'
      )
  unused = size - found.vocab_size
  line = (
    f'{where}: {unused} of the {size} tokens that the policy has are none of '
    'the tokenizer; is it the one that belongs to it?'
  )
  return (line,) if unused > UNUSED * size else ()


def check_weights(source: Source, decoder: DecoderConfig) -> None:
  """Refuses a folder whose files do not fit its config.json."""
  if source.checkpoint is None:
    huggingface.check(source.identity, decoder)


def params(source: Source, decoder: DecoderConfig, shardings=None) -> Params:
  """The weights, laid out on devices; adapters of a run are merged.

  Args:
    source: from `find`.
    decoder: from `decoder_config`.
    shardings: tree like params; None for the first device.
  """
  if shardings is None:
    one = mesh_lib.first_device()
    shardings = jax.tree.map(lambda _: one, param_shapes(decoder))
  if source.checkpoint is None:
    return huggingface.load(source.identity, decoder, shardings)
  adapters = _adapters(source)
  if adapters is None:
    return _restore(source, param_shapes(decoder), shardings)
  shapes = param_shapes(dataclasses.replace(decoder, lora=adapters))
  whole = mesh_lib.replicated(jax.tree.leaves(shardings)[0].mesh)
  small = jax.tree.map(lambda _: whole, lora.split(shapes)[0])
  found = _restore(source, shapes, lora.join(small, shardings))
  merge = lambda trained, frozen: lora.merged(
    lora.join(trained, frozen), adapters
  )
  merge = jax.jit(merge, out_shardings=shardings, donate_argnums=1)
  return merge(*lora.split(found))


def _restore(source: Source, shapes: Params, shardings) -> Params:
  """Parameters of a checkpoint, whatever devices wrote it."""
  place = lambda x, sharding: ocp.ArrayRestoreArgs(
    sharding=sharding, global_shape=x.shape, dtype=x.dtype
  )
  # Without the optimizer's moments.
  wanted = ocp.args.PyTreeRestore(
    item={'params': shapes},
    restore_args={'params': jax.tree.map(place, shapes, shardings)},
    partial_restore=True,
  )
  with ocp.PyTreeCheckpointer() as reader:
    folder = source.checkpoint.absolute() / 'state'
    return reader.restore(folder, args=wanted)['params']


def _adapters(source: Source) -> Lora | None:
  """The adapters of the run that wrote the checkpoint."""
  path = source.identity / LORA_NAME
  if not path.exists():
    return None
  raw = json.loads(path.read_text())
  return Lora(**{**raw, 'targets': tuple(raw['targets'])})


class Carried(NamedTuple):
  """What a run has behind it when it goes on where another one ended.

  Attributes:
    ledger: of that run; its steps count down to 0, its last.
    kept: ids that its last stage had kept.
  """

  ledger: Ledger
  kept: np.ndarray


def carried(source: Source) -> Carried | None:
  """Ledger and kept ids of a checkpoint; None where there is none."""
  if source.checkpoint is None:
    return None
  with ocp.StandardCheckpointer() as reader:
    restored = reader.restore(source.checkpoint.absolute() / 'history')
  own, ledger = split_history(restored)
  step = ledger.step - int(source.checkpoint.name)
  ledger = dataclasses.replace(ledger, step=step.astype(np.int32))
  return Carried(ledger, own['kept'])


def optimizer_state(source: Source, like: TrainState) -> optax.OptState:
  """The optimizer's state of a checkpoint, laid out as in `like`.

  Raises:
    ConfigError: it is that of another optimizer.
  """
  folder = source.checkpoint.absolute() / 'state'
  abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
  try:
    with ocp.StandardCheckpointer() as reader:
      return reader.restore(folder, abstract).opt_state
  except (ValueError, KeyError) as error:
    raise ConfigError(
      f'{source.checkpoint}: its optimizer is another one '
      f'({str(error).splitlines()[0][:120]}); try --gin.FRESH_OPTIMIZER=True'
    ) from error


def save_identity(
  workdir: Path, source: Source, decoder: DecoderConfig, found: Tokenizer
) -> None:
  """WORKDIR/policy: what a later run needs beside a checkpoint."""
  folder = Path(workdir) / 'policy'
  folder.mkdir(parents=True, exist_ok=True)
  # The folder's own config.json, with all that other programs find in it.
  own = (source.identity / 'config.json').read_bytes()
  files = {**found.files, 'config.json': own}
  if decoder.lora is not None:
    files[LORA_NAME] = json.dumps(dataclasses.asdict(decoder.lora)).encode()
  for name, data in files.items():
    (folder / name).write_bytes(data)
