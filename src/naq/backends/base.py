"""The seam: what a backend must do, in job transitions on a lease. Bytes in, bytes out.

No streams, subjects, keys or SQL in any signature. `naq.testing.conformance` is the specification: a backend is right
when it passes. Every method raises only errors of `naq.exceptions`; `NaqConnectionError` whenever the store cannot be
reached by the call's deadline, and at once after `close`. Whatever takes a name (queue, job id, worker id, leadership,
holder) refuses one that is none with `ConfigurationError`, before anything else happens.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol, runtime_checkable

from naq.backends.aside import Entries, Registry, Signals
from naq.backends.values import (
    LEASE,
    LEASE_MARGIN,
    RECORD_TTL,
    SHORT_LEASE_SHARE,
    CancelResult,
    Claim,
    DeadLetter,
    EnqueueResult,
    Entry,
    Event,
    Extended,
    Health,
    Maintained,
    QueueStats,
    Running,
    Settled,
    Signal,
    Standing,
    Storage,
    WorkerInfo,
    lease_margin,
)
from naq.job import JobRecord, JobSpec, JobState

__all__ = [
    "LEASE",
    "LEASE_MARGIN",
    "RECORD_TTL",
    "SHORT_LEASE_SHARE",
    "Backend",
    "CancelResult",
    "Claim",
    "DeadLetter",
    "EnqueueResult",
    "Entries",
    "Entry",
    "Event",
    "EventLog",
    "Extended",
    "Flow",
    "Health",
    "JobAdmin",
    "JobQueue",
    "Maintained",
    "QueueStats",
    "Registry",
    "Running",
    "Settled",
    "Signal",
    "Signals",
    "Storage",
    "WorkerInfo",
    "lease_margin",
]


class JobQueue(Protocol):
    """The hot path: all that producers and workers need."""

    async def open(self, queues: Sequence[str] = (), *, wait: float | None = None) -> None:
        """Connect, and create what is missing for `queues`; idempotent.

        Waits at most `wait` seconds (None: the configured connect deadline), then raises `NaqConnectionError`.
        """
        ...

    async def close(self) -> None:
        """Flush what was promised, then disconnect; idempotent. Unsettled claims lapse by their lease.

        Ends what waits in this instance: a `fetch` returns nothing or raises, a `wait` raises `NaqConnectionError`,
        `listen` comes to its end.
        """
        ...

    def health(self) -> Health:
        """Whether the backend works right now; never asks it."""
        ...

    async def enqueue(self, jobs: Sequence[JobSpec], *, timeout: float | None = None) -> list[EnqueueResult]:
        """Store `jobs`; durable when it returns, results in the same order. A future `run_at` waits as scheduled.

        An id that is taken (waiting, running or recorded in the same store) is a duplicate, not an error; where the
        store learns of a finished job only later, the duplicate is dropped before it runs.

        Jobs of one call are fetched in its order.

        Raises:
            ConfigurationError: a name, priority, header or time that is not allowed; nothing was stored.
            PayloadTooLarge: over the limit; nothing was stored.
            NaqBackpressureError: the store is full.
            NaqConnectionError: not known to be stored within `timeout` seconds.
        """
        ...

    async def fetch(self, queues: Sequence[str], *, limit: int, lease: float, wait: float) -> list[Claim]:
        """Claim up to `limit` jobs, waiting at most `wait` seconds for the first; higher priorities by weight.

        Also hands out jobs whose lease has lapsed. `limit=0` touches nothing. Unreadable entries never come out: they
        go to the dead letters. Only for queues that this instance has opened, and with one and the same lease. Given
        up while it waits, it leaves the jobs to the next.
        """
        ...

    async def extend(self, claims: Sequence[Claim], *, lease: float) -> Extended:
        """Renew `claims` for `lease` seconds from now; callable from another instance (a thread of its own)."""
        ...

    async def complete(self, claim: Claim, record: JobRecord) -> Settled:
        """Running -> succeeded: store `record` if there is none for this run, then drop the job."""
        ...

    async def discard(self, claim: Claim, record: JobRecord) -> Settled:
        """Running -> failed, cancelled or expired (as `record` says); a failed job also becomes a dead letter."""
        ...

    async def retry(self, claim: Claim, *, delay: float, payload: bytes | None = None, reason: str = "") -> Settled:
        """Running -> retrying: the next attempt, numbered one higher, after `delay` seconds.

        `payload` replaces the job's (it carries the errors so far). Does nothing but say SUPERSEDED if a final record
        exists.
        """
        ...

    async def release(self, claim: Claim, *, delay: float = 0.0, reason: str = "") -> None:
        """Running -> queued, or scheduled when `delay` > 0; the attempt does not count.

        Does nothing if a final record exists.
        """
        ...

    async def reject(self, claim: Claim, *, reason: str) -> None:
        """Take a claim that is no job (undecodable, unsafe) to the dead letters, raw; nothing else of it remains."""
        ...

    async def drop(self, claim: Claim) -> None:
        """Remove a claim whose job is final already; nothing is stored."""
        ...

    async def lookup(self, claim: Claim) -> JobRecord | None:
        """What the store knows of a claimed job that should make its holder drop it: a final record or a cancel mark.

        A cancel mark is returned as a record in state ``cancelled`` that is not stored yet; it outlives the claim it
        was set under, through redelivery, `release` and `retry`. None: run it.
        """
        ...

    async def maintain(self, *, limit: int = 1000) -> Maintained:
        """One round of the upkeep this store needs; safe from every worker at once; may do nothing."""
        ...


class JobAdmin(Protocol):
    """What people and handles ask for."""

    async def get(self, job_id: str) -> JobRecord | None:
        """What is known of a job's latest run, whatever its state, or None."""
        ...

    async def wait(self, job_id: str, *, timeout: float | None = None) -> JobRecord:
        """The final record of the latest run, pushed as soon as it is stored.

        Raises:
            ResultTimeout: not final within `timeout` seconds.
            JobNotFoundError: there is no such job.
        """
        ...

    async def cancel(self, job_id: str) -> CancelResult:
        """Make sure that a waiting job never runs, and that a running one is told; never both cancelled and done."""
        ...

    async def run_now(self, job_id: str) -> bool:
        """Scheduled or retrying -> queued at once, the attempt as it was; whether this call did it.

        Of several callers one wins. False, and nothing done, for a job in any other state, or that is not known.
        """
        ...

    async def amend(self, seen: JobSpec, changed: JobSpec) -> bool:
        """A job that waits, stored as `seen` -> stored as `changed`, its state as it was.

        Whether this call did it: False, and nothing done, where it is not stored as `seen` (as `specs` gave it) any
        more, or a worker has it; one that was handed back may count as with a worker. `changed` may differ in payload,
        headers, priority and `run_at`; one that waits for a time keeps a time. One in line goes behind those there, or
        is scheduled where it is given a time to come; nothing of its queue is handed out meanwhile.

        Raises:
            ConfigurationError: they differ in anything else, or as `enqueue`.
            PayloadTooLarge: over the limit.
        """
        ...

    async def amend_many(self, jobs: Sequence[tuple[JobSpec, JobSpec]]) -> list[bool]:
        """As `amend`, for each pair of as it is stored and as it shall be; whether this call did it, for each.

        A queue is held still once for many of its jobs. Of a call that is broken off, some are changed.

        Raises:
            ConfigurationError, PayloadTooLarge: one of them may not be so; nothing was changed.
        """
        ...

    async def move(self, jobs: Sequence[tuple[JobSpec, JobSpec]]) -> list[bool]:
        """Jobs that wait (queued, scheduled, retrying, blocked) -> the same state in another queue, behind those there.

        Each is a pair: as it is stored (`specs`), and as it shall be, which differs in its queue and at most also in
        its payload. Whether this call did it, for each: a job that runs, has ended, or is not stored as was said any
        more stays, and so does one whose key a job of the other queue has. None is ever in both queues or in none: of a
        call that is broken off, some jobs have moved and the others wait where they did. While it goes on, nothing of
        the queue that they leave is handed out.

        Raises:
            ConfigurationError: they differ in anything else, or not in the queue; nothing was moved.
            PayloadTooLarge: over the limit; nothing was moved.
        """
        ...

    async def requeue(self, job_id: str, *, payload: bytes | None = None) -> bool:
        """The dead letter of a failed job -> queued, as a new run from attempt 1; the letter is gone.

        With `payload` instead of its own, where that is given. False if there is none with this id.
        """
        ...

    async def pause(self, queue: str) -> None:
        """Hand out nothing more of `queue`; what runs goes on. Lasts until `resume`, through restarts."""
        ...

    async def resume(self, queue: str) -> None:
        """End a pause; does nothing if there is none."""
        ...

    async def limit(self, queue: str, concurrency: int | None) -> None:
        """At most `concurrency` jobs of `queue` at once in the whole fleet; None: no limit of ours.

        Raises:
            ConfigurationError: less than 1; to hold a queue still there is `pause`.
        """
        ...

    async def purge(self, queue: str) -> int:
        """Remove every waiting job of `queue` (queued, scheduled, retrying, blocked); how many. Running ones go on.

        No record remains of them, so their ids are free again.
        """
        ...

    async def stats(self, queues: Sequence[str] = ()) -> list[QueueStats]:
        """Counts by queue, zeros for an unknown one; all known queues where none is named."""
        ...

    async def storage(self) -> list[Storage]:
        """What the store holds: the whole first, then its parts, as far as it knows them."""
        ...

    async def dead(self, *, limit: int = 100) -> list[DeadLetter]:
        """The newest dead letters, newest first."""
        ...

    async def jobs(
        self, *, queue: str | None = None, states: Collection[JobState] = (), limit: int = 100
    ) -> list[JobRecord]:
        """The jobs of `queue` (None: of all) in one of `states` (none given: any), each as `get` shows it.

        First those that wait or run, then those that have ended; the newest first in both. For people: it may leave
        out ended jobs that lie far back, and what changes meanwhile may be shown as it was.
        """
        ...

    async def forget(self, job_id: str) -> bool:
        """Remove what is kept of a job that has ended, its record and its dead letter; its id is free again.

        False, and nothing done, where there is nothing or the job waits or runs.
        """
        ...

    async def letter(self, letter_id: str) -> DeadLetter | None:
        """The dead letter with this id (that of its job, where it was one), or None."""
        ...

    async def bury(self, letter_id: str) -> bool:
        """Remove a dead letter; its job's record stays. False if there is none with this id."""
        ...


class Flow(Protocol):
    """Jobs that wait for others, and looking at thousands of jobs at once.

    Who waits for whom is in the jobs' own payloads; what follows from it is decided above the seam (docs/adr/0010).
    """

    async def unblock(self, job_id: str, record: JobRecord | None = None) -> bool:
        """Blocked -> queued, or scheduled where its `run_at` is to come; with `record`: -> the final state it says.

        Of several callers one wins and is told True. A job that is not blocked stays as it is. One that failed this
        way also becomes a dead letter.
        """
        ...

    async def finals(self, job_ids: Collection[str]) -> dict[str, JobRecord]:
        """The latest final record of each of `job_ids` that has one, whether or not it was put in line again."""
        ...

    async def specs(self, job_ids: Collection[str]) -> dict[str, JobSpec]:
        """Those of `job_ids` that wait or run, as they are stored; one that has just ended may still be among them."""
        ...

    async def unfinished(
        self, *, queue: str | None = None, blocked: bool = False, after: str | None = None, limit: int = 1000
    ) -> list[tuple[str, JobSpec]]:
        """A page of the jobs that wait or run, each with its cursor; an empty one is the end.

        Only those of `queue`, and only blocked ones, where that is asked for. Nothing that waits all the while is left
        out; what moves meanwhile may come twice, and one that has just ended may still come.
        """
        ...


class EventLog(Protocol):
    """The durable log that feeds the history."""

    async def append(self, events: Sequence[Event]) -> None:
        """Store `events` in order."""
        ...

    async def read(
        self, *, after: str | None = None, limit: int = 1000, wait: float = 0.0, kind: str | None = None
    ) -> list[tuple[str, Event]]:
        """Events after the cursor `after` (None: from the retained start), each with its own cursor.

        Final records appear as events of kind ``record``. Waits at most `wait` seconds for the first. Only those of
        `kind`, where it is given; cursors are the same.
        """
        ...

    async def latest(self) -> str:
        """The cursor behind the last event so far: reading after it gives what is stored from now on."""
        ...

    async def standing(self, after: str | None) -> Standing:
        """Where the cursor `after` stands (None: at the retained start), as `Standing` says."""
        ...

    async def follow(
        self,
        job_id: str,
        *,
        kinds: Collection[str] = (),
        after: str | None = None,
        limit: int = 1000,
        wait: float = 0.0,
    ) -> list[tuple[str, Event]]:
        """As `read`, the events of one job alone, pushed: those of `kinds` (none given: all), final records included.

        Of records only the latest is there. It never comes before events that were stored before it. Cursors are those
        of `read`.
        """
        ...

    async def newest(self, job_id: str, kind: str) -> tuple[str, Event] | None:
        """The last event of this kind of a job, with its cursor, or None."""
        ...


@runtime_checkable
class Backend(JobQueue, JobAdmin, Flow, EventLog, Registry, Entries, Signals, Protocol):
    """All seven protocols in one object; what `naq.backends.from_url` returns."""
