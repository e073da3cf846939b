# SPDX-License-Identifier: Apache-2.0
"""Policies of the Hugging Face Hub: hf://OWNER/NAME, or hf://OWNER/NAME@REVISION.

Fetched once into the user's cache by huggingface_hub, which checks the digest
of what it fetches and goes on where it was interrupted. It reads HF_ENDPOINT,
HF_TOKEN and HF_HOME from the environment.
"""

import re
from pathlib import Path

from srpo_jax.core.config import ConfigError

PREFIX = 'hf://'
NAME = re.compile(r'([\w.-]+/[\w.-]+)(?:@([\w./-]+))?')
# Weights in safetensors and what stands beside them; no pickles, no code.
WANTED = ('*.json', '*.safetensors', '*.jinja', 'tokenizer.model')
# The same weights once more: Mistral's own layout, and what lies in folders
# (a star of the Hub's patterns takes a slash along).
UNWANTED = ('consolidated*', '*/*')


def fetch(name: str) -> Path:
  """The folder of a model, fetched if it is not here yet.

  Raises:
    ConfigError: no such name, no such model, no way to the Hub.
  """
  found = NAME.fullmatch(name.removeprefix(PREFIX))
  if found is None:
    raise ConfigError(
      f'INIT_FROM = {name!r} names no model; write hf://OWNER/NAME, such as '
      'hf://Qwen/Qwen2.5-0.5B'
    )
  # Here, because it takes long to import and most runs need none of it.
  import huggingface_hub

  repository, revision = found.groups()
  try:
    folder = huggingface_hub.snapshot_download(
      repository,
      revision=revision,
      allow_patterns=list(WANTED),
      ignore_patterns=list(UNWANTED),
    )
  except Exception as error:  # its transport raises classes of its own
    reason = (str(error).strip() or 'no reason given').splitlines()[0][:160]
    raise ConfigError(
      f'INIT_FROM = {name!r}: cannot be fetched ({type(error).__name__}: '
      f'{reason}); correct the name, set HF_TOKEN if it asks for one, or name '
      'a folder that is here'
    ) from error
  return Path(folder)
