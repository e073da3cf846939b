# SPDX-License-Identifier: Apache-2.0
"""Rollouts by transformers' generate (environment torch)."""

import time

from protocol import Channel, length_of


def load(order):
  """The model of the order's folder."""
  import torch
  import transformers

  torch.manual_seed(order.seed)
  model = transformers.AutoModelForCausalLM.from_pretrained(
    order.folder, dtype=getattr(torch, order.dtype)
  )
  device = 'cuda' if torch.cuda.is_available() else 'cpu'
  return model.to(device).eval()


def prompts_of(order, model):
  """Prompts padded on the left, and their mask."""
  import torch

  length = max(map(len, order.prompts))
  pads = [length - len(ids) for ids in order.prompts]
  rows = zip(pads, order.prompts, strict=True)
  ids = torch.tensor([[0] * n + ids for n, ids in rows])
  mask = torch.tensor([[0] * n + [1] * (length - n) for n in pads])
  return {
    'input_ids': ids.to(model.device),
    'attention_mask': mask.to(model.device),
  }


def limit_rows(order, model, start: int):
  """A criterion that ends each row at its own limit."""
  import torch
  import transformers

  limit_B = torch.tensor(order.limits, device=model.device)

  class Limits(transformers.StoppingCriteria):
    def __call__(self, input_ids, scores, **_):
      return input_ids.shape[1] - start >= limit_B

  return transformers.StoppingCriteriaList([Limits()])


def main() -> None:
  channel = Channel()
  order = channel.read_order()
  import torch
  import transformers

  model = load(order)
  given = prompts_of(order, model)
  start = given['input_ids'].shape[1]
  options = {
    'do_sample': True,
    'temperature': 1.0,
    'top_k': 0,
    'top_p': 1.0,
    'max_new_tokens': order.max_new_tokens,
    'num_return_sequences': order.group_size,
    'pad_token_id': 0,
  }
  # What the folder names as its end must not end anything here.
  model.generation_config.eos_token_id = order.end_ids or None
  if order.limits is not None:
    options['stopping_criteria'] = limit_rows(order, model, start)
  ends, limits = set(order.end_ids), order.limits or [None] * order.rows

  def run() -> tuple[float, list[int]]:
    begin = time.perf_counter()
    with torch.no_grad():
      out = model.generate(**given, **options)[:, start:].tolist()
    seconds = time.perf_counter() - begin
    rows = zip(out, limits, strict=True)
    return seconds, [length_of(row, ends, limit) for row, limit in rows]

  run()
  channel.ready(
    engine='transformers',
    version=transformers.__version__,
    torch=torch.__version__,
    dtype=str(model.dtype).removeprefix('torch.'),
    threads=torch.get_num_threads(),
  )
  while channel.wait():
    channel.report(*run())


if __name__ == '__main__':
  main()
