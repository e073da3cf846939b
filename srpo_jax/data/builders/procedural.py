# SPDX-License-Identifier: Apache-2.0
"""The embedded prompt sets, made from our own tasks and reasoning-gym's.

Configs `embedded_math` and `embedded_code`, each with the splits `train` and
`test`; how many of which task is the table of data/tasks/catalog.py. The
built sets travel in srpo_jax/assets/prompts.
"""

import types
from collections.abc import Callable, Iterator

import tensorflow_datasets as tfds

from srpo_jax.core.records import Prompt, prompt_id
from srpo_jax.data.builders import schema
from srpo_jax.data.tasks import sampling
from srpo_jax.data.tasks.catalog import EMBEDDED_CODE, EMBEDDED_MATH
from srpo_jax.data.tasks.problem import Problem

SEED = 0
COUNTS = {'embedded_math': EMBEDDED_MATH, 'embedded_code': EMBEDDED_CODE}


def to_prompt(problem: Problem, source: str) -> Prompt:
  """The Prompt of a problem: without its worked solution."""
  is_code = problem.domain == 'code'
  return Prompt(
    id=prompt_id(source, f'{problem.level}: {problem.question}'),
    domain=problem.domain,
    source=source,
    question=problem.question,
    answer=() if is_code else (problem.answer,),
    tests=problem.tests,
    match=problem.match,
    level=problem.level,
  )


class Procedural(tfds.core.GeneratorBasedBuilder):
  """Short tasks in mathematics and code, from a fixed seed."""

  VERSION = tfds.core.Version('1.0.0')
  BUILDER_CONFIGS = tuple(tfds.core.BuilderConfig(name=name) for name in COUNTS)
  # Nothing is downloaded. Left unset, TFDS looks for a checksum file and
  # needs importlib_resources for it, which it does not ask for.
  url_infos = types.MappingProxyType({})

  def _info(self) -> tfds.core.DatasetInfo:
    return tfds.core.DatasetInfo(builder=self, features=schema.features())

  def _split_generators(self, dl_manager):
    del dl_manager
    counts = COUNTS[self.builder_config.name]
    train = {level: n for level, (n, _) in counts.items()}
    test = {level: n for level, (_, n) in counts.items()}
    return {
      'train': self._generate_examples(sampling.train_problems, train),
      'test': self._generate_examples(sampling.test_problems, test),
    }

  def _generate_examples(
    self, draw: Callable, counts: dict[str, int]
  ) -> Iterator[tuple[str, dict]]:
    source = self.builder_config.name
    for problem in draw(SEED, counts):
      prompt = to_prompt(problem, source)
      where = f'data/tasks: {problem.level} {problem.question!r}'
      yield str(prompt.id), schema.to_row(schema.checked(prompt, where))
