"""What may be watched, and a rule: frozen data."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

Kind = Literal[
    "failure_rate", "failures", "run_p95", "wait_p95", "queue_age", "queue_depth", "no_workers", "workers_lost",
    "dead_letters", "new_errors", "schedule_missed", "invalid_events", "ingest_lag", "storage", "worker_memory",
    "broker_lost", "database_lost",
]  # fmt: skip
Unit = Literal["share", "seconds", "count", "bytes"]
Scope = Literal["task", "queue", "schedule", "worker", "store", "all"]
Basis = Literal["counted", "depths", "noted", "none"]
#: A rule that says nothing else.
LEAST, FOR, CLEAR, REPEAT = 10, 0, 120, 1800


class Watched(Struct, frozen=True, kw_only=True):
    """A kind of rule.

    Attributes:
        kind: its name.
        says: what is measured, in words: "{says} is over the threshold".
        unit: of the threshold: "share" from 0 to 1, "seconds", "count", or "bytes".
        scope: what it is measured of, each by itself; "all": of the whole.
        counts: whether it counts over `window_s`; else it looks at how things are.
        samples: whether fewer than `least` jobs say nothing.
        basis: what a preview is made of: what was "counted", the "depths" of queues, what was "noted" by the minute
            because nothing else tells, or "none".
        threshold, window_s, for_s: to begin with.
    """

    kind: Kind
    says: str
    unit: Unit
    scope: Scope
    counts: bool = False
    samples: bool = False
    basis: Basis = "none"
    threshold: float
    window_s: int = 300
    for_s: int = 0


_ALL: Final = (
    Watched(kind="failure_rate", says="the share of jobs that failed of those that ended", unit="share", scope="task",
            counts=True, samples=True, basis="counted", threshold=0.2),
    Watched(kind="failures", says="the number of jobs that failed for good", unit="count", scope="task", counts=True,
            basis="counted", threshold=10),
    Watched(kind="run_p95", says="the run time that 95 of 100 jobs stay under", unit="seconds", scope="task",
            counts=True, samples=True, basis="counted", threshold=60),
    Watched(kind="wait_p95", says="the time until they start that 95 of 100 jobs stay under", unit="seconds",
            scope="queue", counts=True, samples=True, basis="counted", threshold=60),
    Watched(kind="queue_age", says="how long the oldest queued job has waited", unit="seconds", scope="queue",
            basis="noted", threshold=900, for_s=60),
    Watched(kind="queue_depth", says="the number of queued jobs", unit="count", scope="queue", basis="depths",
            threshold=10_000, for_s=60),
    Watched(kind="no_workers", says="the number of queued jobs that no worker serves", unit="count", scope="queue",
            basis="noted", threshold=0, for_s=60),
    Watched(kind="workers_lost", says="the number of workers that vanished with jobs running", unit="count",
            scope="all", counts=True, basis="counted", threshold=0),
    Watched(kind="dead_letters", says="the number of jobs that became dead letters", unit="count", scope="queue",
            counts=True, basis="counted", threshold=0),
    Watched(kind="new_errors", says="the number of kinds of errors that are new or came back", unit="count",
            scope="task", counts=True, basis="counted", threshold=0),
    Watched(kind="schedule_missed", says="how long ago a run was due that was not made", unit="seconds",
            scope="schedule", basis="noted", threshold=300),
    Watched(kind="invalid_events", says="the number of events that could not be read", unit="count", scope="all",
            counts=True, basis="counted", threshold=10),
    Watched(kind="ingest_lag", says="how far the history is behind", unit="seconds", scope="all", basis="noted",
            threshold=60, for_s=60),
    Watched(kind="storage", says="the share that is used of what it may hold", unit="share", scope="store",
            basis="noted", threshold=0.9, for_s=60),
    Watched(kind="worker_memory", says="the memory that it and its child processes hold", unit="bytes", scope="worker",
            basis="noted", threshold=2 * 1024**3, for_s=60),
    Watched(kind="broker_lost", says="how long the broker has been away", unit="seconds", scope="all", basis="noted",
            threshold=30),
    Watched(kind="database_lost", says="how long the database has been away", unit="seconds", scope="all",
            threshold=30),
)  # fmt: skip
KINDS: Final[dict[str, Watched]] = {one.kind: one for one in _ALL}


class Rule(Struct, frozen=True, kw_only=True):
    """A rule, a row of ``alert_rules``. Times in microseconds, durations in seconds (`_s`).

    Attributes:
        name: what it is called.
        kind: what it watches (`KINDS`).
        target: the one task, queue, schedule, worker or store; empty: each of them.
        threshold: more than this is bad; in the unit of the kind.
        window_s: how far back is counted.
        least: jobs in the window below which a share or a percentile says nothing.
        for_s, clear_s: how long it must be bad before it opens, and good before it is resolved.
        repeat_s: between two messages about one incident at least; one that comes back within it is the same one.
        channels: names of those that are told.
        enabled: whether it is judged at all.
        muted_until: until when incidents are noted and nobody is told.
        version: grows with each change.
    """

    name: str
    kind: Kind
    threshold: float
    target: str = ""
    window_s: int = 300
    least: int = LEAST
    for_s: int = FOR
    clear_s: int = CLEAR
    repeat_s: int = REPEAT
    channels: tuple[str, ...] = ()
    enabled: bool = True
    muted_until: int | None = None
    version: int = 1
    changed_at: int = 0
    changed_by: str = ""

    @property
    def watched(self) -> Watched:
        """What its kind is."""
        return KINDS[self.kind]
