# SPDX-License-Identifier: Apache-2.0
"""Updates and whole steps by TRL's GRPOTrainer (environment torch).

Its own training loop runs; a callback holds it between two steps until there
is more to do. An update is a step whose responses are given and not drawn.
"""

import tempfile
import time
from importlib import metadata

from protocol import Channel, length_of
from transformers_peer import load


def text(ids: list[int]) -> str:
  """A prompt for the tokenizer of numbers."""
  return ' '.join(map(str, ids))


def tokenizer_of(order):
  """The folder's tokenizer; its end token is one of the order's."""
  import transformers

  found = transformers.AutoTokenizer.from_pretrained(order.folder)
  found.eos_token = str((order.end_ids or [0])[0])
  found.pad_token = '0'
  return found


def arguments(order, folder: str):
  """GRPO without a reference model, on the micro-batches of the order."""
  import trl

  generation = {'eos_token_id': order.end_ids or None}
  if not order.end_ids:
    # Something must be the end token of its tokenizer; it is not drawn.
    generation = {'min_new_tokens': order.max_new_tokens}
  return trl.GRPOConfig(
    output_dir=folder,
    use_cpu=True,
    bf16=False,
    per_device_train_batch_size=order.micro_rows,
    gradient_accumulation_steps=order.rows // order.micro_rows,
    num_generations=order.group_size,
    max_completion_length=order.max_new_tokens,
    temperature=1.0,
    top_p=1.0,
    top_k=0,
    beta=0.0,
    learning_rate=order.learning_rate,
    lr_scheduler_type='constant',
    adam_beta1=0.9,
    adam_beta2=0.95,
    weight_decay=0.0,
    max_grad_norm=1.0,
    shuffle_dataset=False,
    gradient_checkpointing=False,
    generation_kwargs=generation,
    max_steps=10**6,
    save_strategy='no',
    report_to='none',
    disable_tqdm=True,
    logging_steps=10**6,
    dataloader_pin_memory=False,
    seed=order.seed,
  )


def given_responses(order):
  """The order's responses in place of generation."""

  def rollout(prompts, trainer):
    del trainer
    rows = len(prompts)
    return {
      'prompt_ids': [
        ids for ids in order.prompts for _ in range(order.group_size)
      ][:rows],
      'completion_ids': order.responses[:rows],
      'logprobs': None,
    }

  return rollout


class Recorder:
  """Rewards of +1 and −1 in turn, and the lengths that came with them."""

  __name__ = 'signs'

  def __init__(self, order):
    self._order, self.lengths = order, []

  def __call__(self, prompts, completion_ids, **_) -> list[float]:
    ends = set(self._order.end_ids)
    self.lengths = [length_of(list(ids), ends) for ids in completion_ids]
    return self._order.advantages[: len(prompts)]


def make_pauses(order, channel, recorder):
  """A callback that times each step and waits before the next."""
  import torch
  import transformers
  import trl

  class Pauses(transformers.TrainerCallback):
    """The first step warms up."""

    warm, begin = False, 0.0

    def on_step_begin(self, args, state, control, **_):
      if self.warm and not channel.wait():
        control.should_training_stop = True
        raise EOFError
      self.begin = time.perf_counter()

    def on_step_end(self, args, state, control, **_):
      seconds = time.perf_counter() - self.begin
      if self.warm:
        channel.report(seconds, recorder.lengths)
        return
      self.warm = True
      channel.ready(
        engine='trl',
        version=trl.__version__,
        transformers=metadata.version('transformers'),
        torch=torch.__version__,
        dtype=order.dtype,
        threads=torch.get_num_threads(),
      )

  return Pauses()


def main() -> None:
  channel = Channel()
  order = channel.read_order()
  import datasets
  import trl

  model, recorder = load(order), Recorder(order)
  model.generation_config.eos_token_id = order.end_ids or None
  prompts = [{'prompt': text(ids)} for ids in order.prompts]
  given = given_responses(order) if order.task == 'update' else None
  with tempfile.TemporaryDirectory() as folder:
    trainer = trl.GRPOTrainer(
      model=model,
      reward_funcs=recorder,
      args=arguments(order, folder),
      train_dataset=datasets.Dataset.from_list(prompts),
      processing_class=tokenizer_of(order),
      callbacks=[make_pauses(order, channel, recorder)],
      rollout_func=given,
    )
    try:
      trainer.train()
    except EOFError:
      return


if __name__ == '__main__':
  main()
