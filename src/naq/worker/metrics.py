"""What workers count as Prometheus has it, for ``/metrics``. docs/observability.md lists all names.

Nothing is registered and nothing kept: the numbers are put into words when somebody asks. What the program itself
registers with prometheus-client (its own metrics, those of `naq.middleware.Prometheus`) comes behind them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from naq import measures
from naq._version import __version__
from naq.measures import counter, gauge, histogram
from naq.worker.tally import Counts
from naq.worker.vitals import Numbers

if TYPE_CHECKING:
    from prometheus_client.core import Metric

MISSING: Final = "metrics need prometheus-client: pip install 'naq[prometheus]'"
#: Gauges by their names in `Numbers`: what they are called, and what they say.
GAUGES: Final = {
    "ready": ("naq_worker_ready", "Whether it takes jobs (1) or not (0)"),
    "concurrency": ("naq_worker_slots", "Jobs that it runs at once at most"),
    "running": ("naq_worker_jobs_running", "Jobs whose code runs"),
    "unsettled": ("naq_worker_jobs_unsettled", "Jobs that have ended and whose outcome is not stored yet"),
    "loop_lag": ("naq_worker_loop_lag_seconds", "How long its event loop has been blocked"),
    "leases_renewed_ago": ("naq_worker_leases_renewed_ago_seconds", "How long ago it last looked after its leases"),
    "claims_cached": ("naq_worker_claims_cached", "Jobs that were delivered and not taken yet"),
    "claims_asked": ("naq_worker_claims_asked", "Jobs that the broker was asked for and has not delivered yet"),
    "events_bytes": ("naq_worker_events_bytes", "Events of jobs that wait to be written, in memory and in the file"),
    "events_capacity": ("naq_worker_events_capacity_bytes", "What there is room for of them"),
    "events_spilled": ("naq_worker_events_spilled_bytes", "Those of them that are in the file"),
}


def render(processes: Mapping[str, Numbers]) -> bytes:
    """The numbers of worker processes by their label `process` ("" for one alone), as text.

    Raises:
        ImportError: prometheus-client is not installed.
    """
    return measures.render(lambda: families(processes))


def families(processes: Mapping[str, Numbers]) -> Iterator[Metric]:
    """Each metric with all its series."""
    labels = ["process"] if any(processes) else []
    each = [([name] if labels else [], numbers) for name, numbers in processes.items()]
    yield gauge("naq_worker_info", "Its version", [*labels, "version"], (([*who, __version__], 1) for who, _ in each))
    for key, (name, says) in GAUGES.items():
        yield gauge(name, says, labels, ((who, one.gauges[key]) for who, one in each if key in one.gauges))
    jobs = [([*who, task, queue], counts) for who, one in each for task, queue, counts in _jobs(one)]
    where = [*labels, "task", "queue"]
    yield counter(
        "naq_worker_jobs", "Attempts that ended, by how", [*where, "outcome"],
        (([*who, end], count) for who, counts in jobs for end, count in counts.ends.items()),
    )  # fmt: skip
    yield counter(
        "naq_worker_failures", "Attempts that failed, by the type of their error", [*labels, "task", "type"],
        (
            ([*who, task, kind], count)
            for who, one in each
            for task, kinds in one.tally.failures.items()
            for kind, count in kinds.items()
        ),
    )  # fmt: skip
    yield histogram(
        "naq_worker_job_run_seconds", "How long the code of jobs ran", where, ((who, one.ran) for who, one in jobs)
    )
    yield histogram(
        "naq_worker_job_wait_seconds", "From when jobs could run to when they did", where,
        ((who, one.waited) for who, one in jobs),
    )  # fmt: skip
    yield counter("naq_worker_claims", "Jobs taken", labels, ((who, one.tally.claimed) for who, one in each))
    yield counter(
        "naq_worker_claim_timeouts", "Times that no job came as long as is waited for one", labels,
        ((who, one.tally.idle) for who, one in each),
    )  # fmt: skip
    yield counter(
        "naq_worker_leases_lost", "Jobs that were somebody else's before their outcome was stored", labels,
        ((who, one.tally.lost) for who, one in each),
    )  # fmt: skip
    yield counter(
        "naq_worker_events_dropped", "Events of jobs that were dropped, by kind", [*labels, "kind"],
        (([*who, kind], count) for who, one in each for kind, count in one.dropped.items()),
    )  # fmt: skip


def _jobs(numbers: Numbers) -> Iterator[tuple[str, str, Counts]]:
    for task, queues in numbers.tally.jobs.items():
        for queue, counts in queues.items():
            yield task, queue, counts
