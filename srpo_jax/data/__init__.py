# SPDX-License-Identifier: Apache-2.0
"""Prompts and their order, templates, tokenizers, and the embedded tasks."""
