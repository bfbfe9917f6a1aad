"""What workers and servers measure alike, and how Prometheus has it. Its library is imported when somebody asks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from prometheus_client.core import Metric

#: Seconds: the upper ends of the buckets of durations. Jobs take from a millisecond to an hour.
BUCKETS: Final = (0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0)
#: Names come from messages, so there is an end to how many are told apart: what is beyond it is counted as this.
OTHER: Final = "other"
TASKS: Final = 200  # tasks that are told apart; an app has tens
QUEUES: Final = 200  # queues that the server tells apart: those in which most waits
TYPES: Final = 20  # types of errors of one task
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Durations(Struct):
    """A histogram: how many fell into each bucket (the last one has no end), and their sum in seconds."""

    buckets: list[int] = msgspec.field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0

    def add(self, seconds: float, count: int = 1) -> None:
        """One more, or `count`."""
        self.buckets[bisect_left(BUCKETS, seconds)] += count
        self.seconds += seconds * count


def count_type(failures: dict[str, dict[str, int]], task: str, kind: str, count: int = 1) -> None:
    """`count` more errors of the type `kind` in `task`, in a table that has an end."""
    types = failures.setdefault(task if task in failures or len(failures) < TASKS else OTHER, {})
    name = kind if kind in types or len(types) < TYPES else OTHER
    types[name] = types.get(name, 0) + count


def render(collect: Callable[[], Iterable[Metric]]) -> bytes:
    """What `collect` gives, and what the program itself registered with prometheus-client, as text.

    Raises:
        ImportError: prometheus-client is not installed.
    """
    from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
    from prometheus_client.registry import Collector

    class Now(Collector):
        def collect(self) -> Iterable[Metric]:
            return collect()

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Now())
    return generate_latest(registry) + generate_latest(REGISTRY)


def counter(name: str, says: str, labels: list[str], found: Iterable[tuple[list[str], float]]) -> Metric:
    """A counter with its series."""
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(name, says, labels=labels)
    for values, value in found:
        family.add_metric(values, value)
    return family


def gauge(name: str, says: str, labels: list[str], found: Iterable[tuple[list[str], float]]) -> Metric:
    """A gauge with its series."""
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(name, says, labels=labels)
    for values, value in found:
        family.add_metric(values, value)
    return family


def histogram(name: str, says: str, labels: list[str], found: Iterable[tuple[list[str], Durations]]) -> Metric:
    """Durations with their series."""
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(name, says, labels=labels)
    for values, durations in found:
        total, buckets = 0, list[Any]()
        for end, count in zip([*(f"{bucket:g}" for bucket in BUCKETS), "+Inf"], durations.buckets, strict=True):
            total += count
            buckets.append((end, total))
        family.add_metric(values, buckets, durations.seconds)
    return family
