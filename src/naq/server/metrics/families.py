"""All numbers of a server as Prometheus has them. docs/observability.md lists all names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from naq._version import __version__
from naq.measures import Durations, counter, gauge, histogram
from naq.server.metrics.asked import Asked

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from naq.server.core import Core


def families(core: Core, asked: Asked) -> Iterator[Metric]:
    """Each metric with all its series."""
    yield from _of_broker(asked)
    yield from _of_history(core)
    yield from _of_server(core)


def _of_broker(asked: Asked) -> Iterator[Metric]:
    queues = asked.queues
    yield gauge(
        "naq_queue_jobs", "Jobs of a queue, by state", ["queue", "state"],
        (
            ([one.queue, state], getattr(one, state))
            for one in queues
            for state in ("queued", "running", "scheduled", "blocked")
        ),
    )  # fmt: skip
    yield gauge(
        "naq_queue_oldest_seconds", "How long the job of a queue that waits longest could have run", ["queue"],
        (([queue], age) for queue, age in asked.queue_ages.items()),
    )  # fmt: skip
    yield gauge("naq_queue_paused", "Whether it is paused", ["queue"], (([one.queue], one.paused) for one in queues))
    yield gauge(
        "naq_queue_limit", "Jobs at once in the whole fleet at most, where there is a limit", ["queue"],
        (([one.queue], one.limit) for one in queues if one.limit is not None),
    )  # fmt: skip
    serving = [(one.queue, [w for w in asked.workers if one.queue in w.queues]) for one in queues]
    yield gauge("naq_queue_workers", "Workers that serve it", ["queue"], (([name], len(ws)) for name, ws in serving))
    yield gauge(
        "naq_queue_slots", "Jobs that they run at once at most", ["queue"],
        (([name], sum(w.concurrency for w in ws)) for name, ws in serving),
    )  # fmt: skip
    stores = asked.stores.items()
    yield gauge(
        "naq_store_bytes", "What is stored, in the broker (and each of its streams) and the database", ["store"],
        (([store], used) for store, (used, _) in stores),
    )  # fmt: skip
    yield gauge(
        "naq_store_limit_bytes", "What may be stored, where that is known", ["store"],
        (([store], limit) for store, (_, limit) in stores if limit is not None),
    )  # fmt: skip
    states = Counter(worker.state for worker in asked.workers)
    yield gauge("naq_workers", "Workers, by state", ["state"], (([state], n) for state, n in states.items()))
    depths = asked.task_depths.items()
    yield gauge(
        "naq_task_jobs_queued", "Queued jobs of a task, counted to 100,000", ["task"],
        (([task], count) for task, (count, _) in depths),
    )  # fmt: skip
    yield gauge(
        "naq_task_oldest_seconds", "How long ago the oldest queued job of a task was made", ["task"],
        (([task], age) for task, (_, age) in depths),
    )  # fmt: skip


def _of_history(core: Core) -> Iterator[Metric]:
    tally = core.tally
    yield counter("naq_task_events", "What happened to jobs of a task", ["task", "event"], _pairs(tally.tasks))
    yield counter("naq_queue_events", "What happened to jobs of a queue", ["queue", "event"], _pairs(tally.queues))
    yield histogram("naq_task_run_seconds", "How long jobs of a task ran", ["task"], _each(tally.ran))
    yield histogram("naq_queue_wait_seconds", "How long jobs of a queue waited", ["queue"], _each(tally.waited))
    yield counter(
        "naq_task_errors", "Errors of a task, by type", ["task", "type"],
        (([task, kind], count) for task, kinds in tally.errors.items() for kind, count in kinds.items()),
    )  # fmt: skip
    if core.ingest is None:
        return
    lag = core.ingest.lag()
    yield gauge("naq_history_leading", "Whether this server reads the event log", [], [([], lag.leading)])
    if lag.leading:  # others do not know how far it is
        yield gauge(
            "naq_history_lag_events", "Events of the log that are not in the history yet", [], [([], lag.events)]
        )
        yield gauge("naq_history_lag_seconds", "How long ago the next of them happened", [], [([], lag.seconds)])
        yield counter("naq_history_events", "Events read, ever", [], [([], lag.read)])
        yield counter("naq_history_events_invalid", "Events that could not be read, ever", [], [([], lag.invalid)])


def _of_server(core: Core) -> Iterator[Metric]:
    tally, alerts = core.tally, core.alerts
    yield gauge("naq_server_info", "Its version", ["version"], [([__version__], 1)])
    yield gauge(
        "naq_server_up", "Whether it reaches broker and database", ["part"],
        (([breaker.part], breaker.since is None) for breaker in (core.broker, core.database)),
    )  # fmt: skip
    yield gauge("naq_server_streams", "Event streams that are open", [], [([], core.hub.count)])
    yield counter(
        "naq_server_requests", "Requests answered", ["method", "route", "status"],
        ((list(key), count) for key, count in tally.requests.items()),
    )  # fmt: skip
    yield histogram(
        "naq_server_request_seconds", "How long that took", ["method", "route"],
        ((list(key), durations) for key, durations in tally.answered.items()),
    )  # fmt: skip
    yield gauge("naq_alerts_leading", "Whether this server judges alert rules", [], [([], alerts.leading)])
    if alerts.leading:
        yield gauge(
            "naq_incidents", "Incidents, by state", ["state"],
            (([state], alerts.incidents.get(state, 0)) for state in ("pending", "open", "acknowledged")),
        )  # fmt: skip
    yield counter(
        "naq_alert_messages", "Messages about incidents, by what came of them", ["result"],
        [(["sent"], alerts.courier.sent), (["failed"], alerts.courier.failed)],
    )  # fmt: skip


def _pairs(found: Counter[tuple[str, str]]) -> Iterable[tuple[list[str], float]]:
    return ((list(key), count) for key, count in found.items())


def _each(found: dict[str, Durations]) -> Iterable[tuple[list[str], Durations]]:
    return (([name], durations) for name, durations in found.items())
