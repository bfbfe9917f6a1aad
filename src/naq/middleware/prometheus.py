"""Prometheus: how many jobs are enqueued and run, how long they wait and take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from naq import clock
from naq.context import Context
from naq.exceptions import ConfigurationError
from naq.measures import BUCKETS
from naq.middleware.base import Call, Middleware, NewJob, Store
from naq.middleware.ends import read_end

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class Prometheus(Middleware):
    """Counts and times jobs of this process. Serving them is the program's (``prometheus_client.start_http_server``).

    Metrics, all with the labels ``task`` and ``queue``: ``naq_jobs_enqueued_total``, ``naq_attempts_running``,
    ``naq_attempt_seconds`` (also by ``end``: returned, raised, asked, timeout, interrupted), and ``naq_wait_seconds``
    from the enqueue to the first attempt.

    Args:
        registry: where the metrics are registered. Default: the global one of prometheus-client.
        buckets: upper bounds of the histograms, in seconds.

    Raises:
        ConfigurationError: prometheus-client is not installed.
        ValueError: the registry has these metrics already; make one `Prometheus` for all apps of a process.
    """

    def __init__(self, registry: CollectorRegistry | None = None, *, buckets: Sequence[float] = BUCKETS) -> None:
        try:
            from prometheus_client import REGISTRY, Counter, Gauge, Histogram
        except ImportError as error:
            raise ConfigurationError("Prometheus() needs prometheus-client: pip install 'naq[prometheus]'") from error
        into = REGISTRY if registry is None else registry
        labels = ("task", "queue")
        self._enqueued = Counter("naq_jobs_enqueued", "Jobs stored by this process", labels, registry=into)
        self._running = Gauge("naq_attempts_running", "Attempts that run in this process", labels, registry=into)
        self._seconds = Histogram(
            "naq_attempt_seconds", "How long attempts ran", (*labels, "end"), registry=into, buckets=buckets
        )
        self._waited = Histogram(
            "naq_wait_seconds", "From the enqueue to the first attempt", labels, registry=into, buckets=buckets
        )

    async def enqueue(self, jobs: Sequence[NewJob], call_next: Store) -> None:
        """Count what was stored; duplicates are not."""
        await call_next()
        for job in jobs:
            if not job.duplicate:
                self._enqueued.labels(job.task, job.queue).inc()

    async def run(self, context: Context, call_next: Call) -> Any:
        """Time the attempt."""
        names = (context.task, context.queue)
        if context.attempt == 1 and context.enqueued_at:
            self._waited.labels(*names).observe(max(0.0, clock.now() - context.enqueued_at))
        end, began = "returned", clock.monotonic()
        running = self._running.labels(*names)
        running.inc()
        try:
            return await call_next()
        except BaseException as error:
            end = read_end(error, context)
            raise
        finally:
            running.dec()
            self._seconds.labels(*names, end).observe(clock.monotonic() - began)
