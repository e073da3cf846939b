# SPDX-License-Identifier: Apache-2.0
"""What a reply of the service means to the client."""

from collections.abc import Sequence

import httpx

Results = list[dict]


class RetryError(Exception):
  """An attempt failed in a way that may pass; `after_s` is when."""

  def __init__(self, text: str, after_s: float = 0.0):
    super().__init__(text)
    self.after_s = after_s


def read_results(reply: httpx.Response, items: Sequence[dict]) -> Results:
  """The results of a reply; RetryError or ValueError if it has none."""
  code = reply.status_code
  if code in (408, 429) or code >= 500:
    raise RetryError(f'status {code}', retry_after(reply))
  try:
    body = reply.json()
  except ValueError as error:
    raise RetryError('the reply is no JSON') from error
  if code != 200:
    reason = body.get('error', body) if isinstance(body, dict) else body
    raise ValueError(f'the reward service refused the items: {reason}')
  results = body.get('results') if isinstance(body, dict) else None
  if not isinstance(results, list) or not fit(results, items):
    raise RetryError('the reply does not hold one result for each item')
  return results


def fit(results: list, items: Sequence[dict]) -> bool:
  """True if there is one result for each item, in order."""
  return len(results) == len(items) and all(
    isinstance(result, dict) and result.get('id') == item.get('id')
    for result, item in zip(results, items, strict=True)
  )


def retry_after(reply: httpx.Response) -> float:
  """Seconds that a reply asks us to wait; 0 if it does not say."""
  text = reply.headers.get('retry-after', '')
  return float(text) if text.isascii() and text.isdigit() else 0.0
