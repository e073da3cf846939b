# SPDX-License-Identifier: Apache-2.0
"""Rollouts by vLLM (environment vllm)."""

import os
import time

from protocol import Channel

# In this process, so that its memory is counted and nothing runs beside it.
SETTINGS = {
  'VLLM_ENABLE_V1_MULTIPROCESSING': '0',
  'VLLM_CPU_KVCACHE_SPACE': '2',  # GB; all rows fit
  'VLLM_CPU_OMP_THREADS_BIND': 'nobind',  # the cores are chosen already
  'VLLM_NO_USAGE_STATS': '1',
  'VLLM_LOGGING_LEVEL': 'WARNING',
}


def sampling(order, vllm, row: int, n: int):
  """How n samples are drawn, from the given row on."""
  limit = order.max_new_tokens if order.limits is None else order.limits[row]
  return vllm.SamplingParams(
    n=n,
    temperature=1.0,
    max_tokens=limit,
    ignore_eos=True,
    stop_token_ids=order.end_ids or None,
    detokenize=False,
  )


def requests(order, vllm):
  """Prompts and how each is sampled: one a group, or one a row.

  Rows of different limits are different requests; they share their prompt by
  the prefix cache, as the samples of one request do.
  """
  G, prompts, how = order.group_size, [], []
  n = G if order.limits is None else 1
  for p, ids in enumerate(order.prompts):
    for g in range(0, G, n):
      prompts.append({'prompt_token_ids': ids})
      how.append(sampling(order, vllm, p * G + g, n))
  return prompts, how


def main() -> None:
  channel = Channel()
  order = channel.read_order()
  os.environ.update(SETTINGS)
  import torch
  import vllm

  engine = vllm.LLM(
    model=order.folder,
    dtype=order.dtype,
    skip_tokenizer_init=True,
    max_model_len=max(map(len, order.prompts)) + order.max_new_tokens,
    max_num_seqs=order.rows,
    seed=order.seed,
  )
  prompts, how = requests(order, vllm)

  def run() -> tuple[float, list[int]]:
    begin = time.perf_counter()
    outputs = engine.generate(prompts, how, use_tqdm=False)
    seconds = time.perf_counter() - begin
    rows = [row for output in outputs for row in output.outputs]
    return seconds, [len(row.token_ids) for row in rows]

  run()
  channel.ready(
    engine='vllm',
    version=vllm.__version__,
    torch=torch.__version__,
    dtype=order.dtype,
    threads=torch.get_num_threads(),
  )
  while channel.wait():
    channel.report(*run())


if __name__ == '__main__':
  main()
