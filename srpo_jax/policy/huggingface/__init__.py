# SPDX-License-Identifier: Apache-2.0
"""Policies in the Hugging Face layout: config.json and safetensors.

config_json.py reads config.json, for which families.py and rope.py know what
each family means by it; names.py says which tensor is which, read.py and
write.py stream them: neither ever holds more than a tensor or a shard.
"""

from srpo_jax.policy.huggingface.config_json import (
  config_from_json,
  config_to_json,
)
from srpo_jax.policy.huggingface.read import check, load
from srpo_jax.policy.huggingface.write import save, save_policy

__all__ = [
  'check',
  'config_from_json',
  'config_to_json',
  'load',
  'save',
  'save_policy',
]
