"""What goes over the seam: small frozen values, the same for every backend."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

from msgspec import Struct

from naq.job import JobSpec

LEASE = 30.0  # seconds a claim lasts unless extended; a crashed worker's jobs run again after this
LEASE_MARGIN = 2.0  # seconds before the broker's deadline at which a claim's own deadline lies: never settle in between
SHORT_LEASE_SHARE = 0.25  # of a lease: the margin where LEASE_MARGIN would be more than that (leases under 8 s, tests)
RECORD_TTL = 7 * 86400.0  # seconds a final record is kept, and with it the identity of the job


def lease_margin(lease: float) -> float:
    """Seconds before the end of a `lease` at which its claim's `deadline` lies."""
    return min(LEASE_MARGIN, lease * SHORT_LEASE_SHARE)


class EnqueueResult(Struct, frozen=True, gc=False):
    """`job_id` is stored. `duplicate`: a job of this id, or with this key, was there already, and nothing was added.

    `dropped`: a rate limit above the seam dropped it, and nothing was stored; no backend says that.
    """

    job_id: str
    duplicate: bool = False
    dropped: bool = False


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
    blocked: int = 0


class Storage(Struct, frozen=True, kw_only=True):
    """What the store of a backend holds, or a part of it.

    Attributes:
        part: its name; "": the whole, with whatever else is kept there.
        used: bytes.
        limit: bytes that it takes at most, and then refuses more; None: nobody has set one.
    """

    part: str = ""
    used: int
    limit: int | None = None


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


class Running(Struct, frozen=True):
    """A job that a worker runs: its id, its task, and when the task's code began (UNIX seconds)."""

    id: str
    task: str
    at: float


class WorkerInfo(Struct, frozen=True, kw_only=True):
    """A worker as it last described itself; it vanishes when it stops saying so.

    Attributes:
        concurrency: its slots now; 0: it is paused.
        slots: those it was started with; 0: not said.
        running, processed, failed: jobs that hold a slot, and those ended since it started.
        version, code, python: of naq, of the user's code (setting `code_version`), of Python.
        claims: the receipts it holds, so that somebody else can hand them back if it dies.
        memory, children_memory: bytes held by its process, and by the child processes of its tasks.
        cpu: cores that its process kept busy since its word before.
        loop_lag: seconds at most that its event loop owed an answer since its word before.
        threads, threads_busy, children: threads for plain functions, those with a job, and child processes.
        leads: what it does for the whole fleet at present.
        facts: settings and surroundings, for people.
        jobs: those that run, the oldest first and not all of very many.
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
    slots: int = 0
    code: str = ""
    python: str = ""
    memory: int = 0
    children_memory: int = 0
    cpu: float = 0.0
    loop_lag: float = 0.0
    threads: int = 0
    threads_busy: int = 0
    children: int = 0
    leads: list[str] = []
    facts: dict[str, str | int | float | bool] = {}
    jobs: list[Running] = []


class Event(Struct, frozen=True, kw_only=True):
    """Something that happened to a job, for the history. `data` is an encoded JSON object.

    `id` is for those that count by the piece: given to `append` again soon (where it was not known to be stored), the
    event is stored once where the store can tell. It is not stored itself.
    """

    kind: str
    job_id: str
    queue: str
    data: bytes
    at: float = 0.0
    id: str = ""


class Standing(Struct, frozen=True):
    """Where a cursor stands in the event log.

    Attributes:
        log: which log it is; another one after the old one was lost or made anew, whose cursors then mean nothing.
        ahead: how many events lie behind the cursor, at most.
        known: whether the log has reached the cursor; False: it was cut back, or is another one.
        missed: how many events behind the cursor are gone already, at most.
    """

    log: str
    ahead: int = 0
    known: bool = True
    missed: int = 0


class Signal(Struct, frozen=True, kw_only=True):
    """A hint between processes; may be lost. `subject` is a job id, a queue, or of an order a worker id."""

    kind: Literal["wake", "cancel", "pause", "resume", "order"]
    subject: str


class Health(Struct, frozen=True):
    """Whether the backend works right now. `ready` is True only when it was heard of within 15 s.

    Attributes:
        detail: in words.
        cached: jobs that were delivered here and not fetched yet.
        asked: jobs that the store was asked for and has not delivered yet.
    """

    ready: bool
    detail: str = ""
    cached: int = 0
    asked: int = 0


class Entry(Struct, frozen=True, kw_only=True):
    """A small value kept under a name.

    Attributes:
        kind: what sort of thing it is; keys are apart by kind.
        key: one to four names joined by ``.``.
        value: up to the limit of a payload; opaque to backends.
        version: changes with every `put`; for compare-and-set only, since it may be used again after a loss of data.
    """

    kind: str
    key: str
    value: bytes
    version: int
