# SPDX-License-Identifier: Apache-2.0
"""TFDS builders of prompt sets, in the form that needs no TensorFlow."""
