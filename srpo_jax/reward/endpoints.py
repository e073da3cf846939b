# SPDX-License-Identifier: Apache-2.0
"""The addresses of reward services, and which of them is asked next."""

import asyncio
import dataclasses
import random
import time
from collections.abc import Sequence

import httpx

from srpo_jax.reward.auth import bearer

# Requests at once to each; the service works on many items of each.
CONNECTIONS = 8
CONNECT_S = 10.0
# Below the service's keep-alive, so that the client drops an idle one first.
KEEP_ALIVE_S = 30.0
LONGEST_REST_S = 60.0
UNIX = 'unix:'


def split_addresses(address: str | Sequence[str]) -> list[str]:
  """The addresses of a list, or of a string with commas between them.

  Raises:
    ValueError: one line that says what an address looks like.
  """
  parts = address.split(',') if isinstance(address, str) else address
  found = [part.strip().rstrip('/') for part in parts]
  for each in found or ['']:
    http = each.startswith(('http://', 'https://'))
    if not http and not each.startswith(f'{UNIX}/'):
      raise ValueError(
        f'reward address {each!r}: it must be such as http://127.0.0.1:8700, '
        'or unix:/run/reward.sock'
      )
  return found


@dataclasses.dataclass(eq=False)
class Endpoint:
  """One address.

  Attributes:
    in_flight: requests under way.
    rest_until: it is not asked before, unless it is the only one.
  """

  address: str
  http: httpx.AsyncClient
  in_flight: int = 0
  rest_until: float = 0.0

  @classmethod
  def open(cls, address: str, token: str | None) -> 'Endpoint':
    """An endpoint; it connects when it is first asked."""
    path = address.removeprefix(UNIX) if address.startswith(UNIX) else None
    limits = httpx.Limits(
      max_connections=CONNECTIONS,
      max_keepalive_connections=CONNECTIONS,
      keepalive_expiry=KEEP_ALIVE_S,
    )
    transport = httpx.AsyncHTTPTransport(uds=path, limits=limits)
    try:
      client = httpx.AsyncClient(
        base_url=address if path is None else 'http://reward',
        transport=transport,
        headers=bearer(token),
        trust_env=False,  # A proxy for the web is none for this.
      )
    except httpx.InvalidURL as error:
      raise ValueError(f'reward address {address!r}: {error}') from error
    return cls(address, client)

  def rest(self, seconds: float) -> None:
    """It is not asked for so long, and a little longer.

    Jitter, so that the hosts of a pod do not come back all at once.
    """
    seconds = min(seconds, LONGEST_REST_S) * random.uniform(1.0, 1.5)
    self.rest_until = max(self.rest_until, time.monotonic() + seconds)


class Endpoints:
  """All addresses; hands out the one with the least to do."""

  def __init__(self, addresses: Sequence[str], token: str | None):
    self._token = token
    self._all = [Endpoint.open(address, token) for address in addresses]
    self._retired: list[Endpoint] = []
    # More would wait in the connections' own queues, unbalanced.
    self.places = asyncio.Semaphore(CONNECTIONS * len(addresses))

  def __len__(self) -> int:
    return len(self._all)

  def __str__(self) -> str:
    return ', '.join(endpoint.address for endpoint in self._all)

  def choose(self) -> tuple[Endpoint, float]:
    """The endpoint to ask next, and the seconds until it has rested."""
    now = time.monotonic()
    awake = [e for e in self._all if e.rest_until <= now]
    if awake:
      least = min(endpoint.in_flight for endpoint in awake)
      return random.choice([e for e in awake if e.in_flight == least]), 0.0
    soonest = min(self._all, key=lambda endpoint: endpoint.rest_until)
    return soonest, soonest.rest_until - now

  def move(self, endpoint: Endpoint, address: str) -> None:
    """A service that was started anew listens elsewhere."""
    if endpoint in self._all and address != endpoint.address:
      self._all[self._all.index(endpoint)] = Endpoint.open(address, self._token)
      # Others may still be waiting for it to fail.
      self._retired.append(endpoint)

  async def close(self) -> None:
    """Closes the connections."""
    await asyncio.gather(
      *(e.http.aclose() for e in (*self._all, *self._retired))
    )
