# SPDX-License-Identifier: Apache-2.0
"""What the service tells Prometheus; docs/reward.md lists the names.

What is counted here is counted as it happens; what the parts of the service
know themselves (queue, caches, workers) is read when somebody asks.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import (
  CONTENT_TYPE_LATEST,
  CollectorRegistry,
  Counter,
  Histogram,
  Info,
  ProcessCollector,
  generate_latest,
)
from prometheus_client.core import (
  CounterMetricFamily,
  GaugeMetricFamily,
  Metric,
)
from prometheus_client.registry import Collector

__all__ = ['CONTENT_TYPE_LATEST', 'Metrics']

PREFIX = 'srpo_reward_'
BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

# Reads label value -> number; the value is '' for a metric without a label.
Read = Callable[[], Mapping[str, float]]


class Readings(Collector):
  """Numbers that are read from elsewhere at the time of asking."""

  def __init__(self) -> None:
    self._rows: list[tuple[type, str, str, str, Read]] = []

  def add(
    self, family: type, name: str, text: str, label: str, read: Read
  ) -> None:
    """A metric; `label` is its label's name, or '' if it has none."""
    self._rows.append((family, name, text, label, read))

  def collect(self) -> Iterator[Metric]:
    """Reads all of them."""
    for kind, name, text, label, read in self._rows:
      family = kind(PREFIX + name, text, labels=[label] if label else [])
      for value, number in read().items():
        family.add_metric([value] if label else [], number)
      yield family


class Metrics:
  """The counters of one service.

  Attributes:
    requests: answered ones, by status code.
    items: results, by status and domain.
    request_seconds: from a request's head to the end of its answer.
    item_seconds: that workers or sandboxes spent on an item.
  """

  def __init__(self, build: Mapping[str, str]):
    self.registry = CollectorRegistry()
    shared: dict[str, Any] = {'registry': self.registry}
    self.requests = Counter(
      f'{PREFIX}requests', 'Answered requests to score', ['code'], **shared
    )
    self.items = Counter(
      f'{PREFIX}items', 'Judged items', ['status', 'domain'], **shared
    )
    self.request_seconds = Histogram(
      f'{PREFIX}request_seconds',
      'From the head of a request to the end of its answer',
      buckets=BUCKETS_S,
      **shared,
    )
    self.item_seconds = Histogram(
      f'{PREFIX}item_seconds',
      'Spent in a worker or sandbox on an item',
      ['domain'],
      buckets=BUCKETS_S,
      **shared,
    )
    Info(f'{PREFIX}build', 'What is running', **shared).info(dict(build))
    ProcessCollector(registry=self.registry)
    self._readings = Readings()
    self.registry.register(self._readings)

  def gauge(self, name: str, text: str, read: Read, label: str = '') -> None:
    """A number that goes up and down, read when asked for."""
    self._readings.add(GaugeMetricFamily, name, text, label, read)

  def counter(self, name: str, text: str, read: Read, label: str = '') -> None:
    """A number that only grows, read when asked for."""
    self._readings.add(CounterMetricFamily, name, text, label, read)

  def text(self) -> bytes:
    """All of it in Prometheus' format."""
    return generate_latest(self.registry)
