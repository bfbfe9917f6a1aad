"""The seam: what a backend must do, in job transitions on a lease. Bytes in, bytes out.

No streams, subjects, keys or SQL in any signature. `naq.testing.conformance` is the specification: a backend is right
when it passes. Every method raises only errors of `naq.exceptions`; `NaqConnectionError` whenever the store cannot be
reached by the call's deadline, and at once after `close`. Whatever takes a name (queue, job id, worker id, leadership,
holder) refuses one that is none with `ConfigurationError`, before anything else happens.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from enum import StrEnum
from typing import Literal, Protocol, runtime_checkable

from msgspec import Struct

from naq.job import JobRecord, JobSpec, JobState

LEASE = 30.0  # seconds a claim lasts unless extended; a crashed worker's jobs run again after this
LEASE_MARGIN = 2.0  # seconds before the broker's deadline at which a claim's own deadline lies: never settle in between
SHORT_LEASE_SHARE = 0.25  # of a lease: the margin where LEASE_MARGIN would be more than that (leases under 8 s, tests)
RECORD_TTL = 7 * 86400.0  # seconds a final record is kept, and with it the identity of the job


def lease_margin(lease: float) -> float:
    """Seconds before the end of a `lease` at which its claim's `deadline` lies."""
    return min(LEASE_MARGIN, lease * SHORT_LEASE_SHARE)


class EnqueueResult(Struct, frozen=True, gc=False):
    """`job_id` is stored. `duplicate`: a job of this id was there already, and nothing was added."""

    job_id: str
    duplicate: bool = False


class Claim(Struct, frozen=True, kw_only=True):
    """A worker's exclusive right to a job until `deadline`.

    Attributes:
        job: what to run.
        receipt: opaque; what the backend needs to settle or extend, on any connection.
        deadline: monotonic seconds (`naq.clock.monotonic`) after which the holder must not settle it.
        delivered: how often this attempt was handed out, this time included; more than 1 means that a holder was
            lost or gave it back. Counted anew after `retry`, and after `release` with a delay.
        claimed_at: monotonic seconds.
    """

    job: JobSpec
    receipt: bytes
    deadline: float
    delivered: int = 1
    claimed_at: float = 0.0


class Extended(Struct, frozen=True):
    """What `extend` learned: new deadlines by job id, and the ids known to be cancelled or lost."""

    deadlines: Mapping[str, float]
    cancelled: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()


class Settled(StrEnum):
    """How a settling ended."""

    DONE = "done"
    SUPERSEDED = "superseded"  # somebody else's final record was there first; ours was dropped


class CancelResult(StrEnum):
    """What `cancel` did."""

    REMOVED = "removed"  # it was waiting and will never run
    REQUESTED = "requested"  # it is running; its worker is told, and told again if it dies
    FINISHED = "finished"  # it had ended already
    UNKNOWN = "unknown"  # no such job


class Maintained(Struct, frozen=True):
    """What one round of upkeep mended; all zero is the normal case."""

    overdue: int = 0  # due timers that had got stuck
    repaired: int = 0  # messages stored but not deliverable
    rescued: int = 0  # claims of dead workers handed back


class QueueStats(Struct, frozen=True):
    """A queue at one moment. Counts are of jobs."""

    queue: str
    queued: int = 0
    running: int = 0
    scheduled: int = 0  # scheduled or retrying
    paused: bool = False
    limit: int | None = None  # fleet-wide concurrency


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A job that failed for good (`failed`), or a message that is no job at all (`malformed`), kept for a person.

    `payload` are the raw bytes as they arrived; `headers` too. Nothing of a malformed one was ever interpreted.
    """

    id: str
    kind: Literal["failed", "malformed"]
    queue: str
    reason: str
    payload: bytes
    headers: dict[str, str] = {}
    at: float = 0.0


class WorkerInfo(Struct, frozen=True, kw_only=True):
    """A worker as it last described itself; it vanishes when it stops saying so.

    `claims` are the receipts it holds, so that somebody else can hand them back if it dies.
    """

    id: str
    queues: list[str]
    tasks: list[str] = []
    concurrency: int = 1
    running: int = 0
    processed: int = 0
    failed: int = 0
    host: str = ""
    pid: int = 0
    version: str = ""
    started_at: float = 0.0
    seen_at: float = 0.0
    state: Literal["starting", "running", "stopping", "stopped"] = "running"
    claims: list[bytes] = []


class Event(Struct, frozen=True, kw_only=True):
    """Something that happened to a job, for the history. `data` is an encoded JSON object."""

    kind: str
    job_id: str
    queue: str
    data: bytes
    at: float = 0.0


class Signal(Struct, frozen=True, kw_only=True):
    """A hint between processes; may be lost. `subject` is a job id or a queue."""

    kind: Literal["wake", "cancel", "pause", "resume"]
    subject: str


class Health(Struct, frozen=True):
    """Whether the backend works right now. `ready` is True only when it was heard of within 15 s."""

    ready: bool
    detail: str = ""


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

    async def requeue(self, job_id: str) -> bool:
        """The dead letter of a failed job -> queued, as a new run from attempt 1; the letter is gone.

        False if there is none with this id.
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
        """Remove every waiting job of `queue` (queued, scheduled, retrying); how many. Running ones go on.

        No record remains of them, so their ids are free again.
        """
        ...

    async def stats(self, queues: Sequence[str] = ()) -> list[QueueStats]:
        """Counts by queue, zeros for an unknown one; all known queues where none is named."""
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


class EventLog(Protocol):
    """The durable log that feeds the history."""

    async def append(self, events: Sequence[Event]) -> None:
        """Store `events` in order."""
        ...

    async def read(self, *, after: str | None = None, limit: int = 1000, wait: float = 0.0) -> list[tuple[str, Event]]:
        """Events after the cursor `after` (None: from the retained start), each with its own cursor.

        Final records appear as events of kind ``record``. Waits at most `wait` seconds for the first.
        """
        ...


class Registry(Protocol):
    """Who is there, and who leads."""

    async def register(self, worker: WorkerInfo, *, ttl: float) -> None:
        """Say that `worker` lives; forgotten after `ttl` seconds without another word."""
        ...

    async def unregister(self, worker_id: str) -> None:
        """Say that it has gone; does nothing if it is unknown."""
        ...

    async def workers(self) -> list[WorkerInfo]:
        """Who said within their `ttl` that they live."""
        ...

    async def lead(self, name: str, holder: str, *, ttl: float) -> float | None:
        """Take or renew the leadership `name` for `holder`; monotonic deadline until which it holds, or None."""
        ...

    async def resign(self, name: str, holder: str) -> None:
        """Give the leadership up at once, if `holder` has it."""
        ...


class Signals(Protocol):
    """Best effort: everything must also work with every signal lost."""

    async def send(self, signal: Signal) -> None:
        """Tell whoever listens; never waits for anybody."""
        ...

    def listen(self) -> AsyncIterator[Signal]:
        """Signals from now on, until the iterator is closed."""
        ...


@runtime_checkable
class Backend(JobQueue, JobAdmin, EventLog, Registry, Signals, Protocol):
    """All five protocols in one object; what `naq.backends.from_url` returns."""
