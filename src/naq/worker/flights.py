"""The claims a worker holds right now: the one table that fetching, running, settling and keeping leases share."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from msgspec import Raw

from naq import clock
from naq.backends.base import Claim
from naq.worker.tally import Tally

if TYPE_CHECKING:
    from naq.codec.envelope import Envelope
    from naq.context import Context
    from naq.limits.declared import Needs
    from naq.retry import Retry
    from naq.task import Task
    from naq.worker.processes.handle import Child
    from naq.worker.supervisor.ledger import Ledger


_NO_LINKS: Final[list[str]] = []
_NO_VALUES: Final[Mapping[str, Raw]] = {}


class Phase(Enum):
    """How far a claim has come."""

    PREPARING = 0  # nothing of the task has run
    RUNNING = 1  # the task's code runs, and may be interrupted
    ENDED = 2  # it has ended; what is left is to tell the backend


class Verdict(Enum):
    """Why a claim was interrupted; it decides how the job ends, whatever its code makes of the interruption."""

    TIMEOUT = "timeout"
    CANCEL = "cancel"
    SHUTDOWN = "shutdown"  # the one that yields: code that ends by itself after it has its outcome kept
    LOST = "lost"  # the lease lapsed, or somebody else has the job: nothing may be settled


class Flight:
    """One claim on its way from delivery to outcome. `deadline` is the keeper's to move; the rest is the main loop's.

    Not a Struct: it is made for every job, most of it is filled in later, and it refers to what it is part of.
    """

    __slots__ = (
        "abandoned",
        "announced",
        "args",
        "arguments",
        "begun_at",
        "child",
        "claim",
        "context",
        "deadline",
        "ended_at",
        "entry",
        "envelope",
        "grace",
        "kwargs",
        "links",
        "name",
        "needs",
        "phase",
        "policy",
        "started_at",
        "task",
        "timeout",
        "values",
        "verdict",
        "waiter",
        "work",
    )

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.deadline = claim.deadline  # monotonic seconds; past it nothing is settled
        self.entry = 0  # where it stands in the ledger; 0: nowhere
        self.phase = Phase.PREPARING
        self.verdict: Verdict | None = None
        self.abandoned = False  # settled by somebody else, because its code does not end
        self.announced = False  # its `started` event was written
        self.name = ""  # the task's, once it is known
        self.begun_at = 0.0  # monotonic seconds at which the task's code began; 0 before
        self.ended_at = 0.0  # monotonic seconds at which it ended, or was given up
        self.started_at = 0.0  # `begun_at` in UNIX seconds
        self.timeout: float | None = None
        self.work: asyncio.Task[None] | None = None
        self.waiter: asyncio.Future[Any] | None = None  # what a plain function's outcome will be told to
        self.child: Child | None = None  # the process it runs in, if it has one of its own
        self.grace: asyncio.TimerHandle | None = None  # gives up on it, once it is interrupted
        self.task: Task[..., Any] | None = None
        self.envelope: Envelope | None = None
        self.policy: Retry | None = None
        self.context: Context | None = None
        self.needs: Needs | None = None  # the limits that let it in, and are told when it has ended
        self.links: list[str] = _NO_LINKS  # trace contexts of the jobs that it waited for
        self.values: Mapping[str, Raw] = _NO_VALUES  # results of other jobs that are its arguments, by place
        self.arguments: Raw | None = None  # as its record carries them
        self.args: Sequence[Any] = ()
        self.kwargs: Mapping[str, Any] = {}


class Flights:
    """Every claim in flight, by job id. Changed by the main loop only; `snapshot` and `extend` are for any thread.

    Those whose code has not ended also stand in `ledger`, for whoever takes the place of this process.

    Attributes:
        running: claims that hold a slot: their code has not ended.
        room: set whenever a slot became free or a claim was settled.
        processed, failed: jobs ended since the start.
        slots: claims that may run at once.
        tally: what is counted about them.
    """

    def __init__(self, ledger: Ledger | None = None, *, slots: int = 1) -> None:
        self._ledger = ledger
        self._by_id: dict[str, Flight] = {}
        self._lingering: set[Flight] = set()
        self._empty: asyncio.Event | None = None
        self.running = 0
        self.slots = slots
        self.room = asyncio.Event()
        self.processed = 0
        self.failed = 0
        self.tally = Tally()

    def __len__(self) -> int:
        return len(self._by_id) + len(self._lingering)

    def get(self, job_id: str) -> Flight | None:
        """The flight of this job, if this worker holds one."""
        return self._by_id.get(job_id)

    def snapshot(self) -> list[Flight]:
        """All flights, oldest first; safe in any thread (the copy is one step for the interpreter)."""
        return list(self._by_id.values())

    def add(self, flight: Flight) -> Flight | None:
        """Take `flight` in, and a slot with it. Returns the one it replaces: the same job, delivered anew, is lost."""
        job_id = flight.claim.job.id
        before = self._by_id.pop(job_id, None)
        self._by_id[job_id] = flight
        self.running += 1
        if self._ledger is not None:
            self._ledger.note(flight)
        return before

    def extend(self, flight: Flight, deadline: float) -> None:
        """The lease of `flight` was renewed until `deadline`."""
        flight.deadline = max(flight.deadline, deadline)
        if self._ledger is not None:
            self._ledger.renew(flight)

    def end(self, flight: Flight) -> None:
        """The task's code has ended, or is given up: its slot is free. Does nothing the second time."""
        if flight.phase is not Phase.ENDED:
            flight.phase = Phase.ENDED
            flight.ended_at = clock.monotonic()
            self.running -= 1
            self.room.set()
            if self._ledger is not None:
                self._ledger.strike(flight)

    def everyone(self) -> list[Flight]:
        """All flights, settled ones with callbacks under way included; for the main loop."""
        return [*self._by_id.values(), *self._lingering]

    def linger(self, flight: Flight) -> None:
        """`flight` is settled and its callbacks are called: no claim to keep, but counted, lest they pile up."""
        self._forget(flight)
        self._lingering.add(flight)

    def remove(self, flight: Flight) -> None:
        """`flight` is settled or lost, and nothing of it goes on."""
        self._forget(flight)
        if self._lingering:
            self._lingering.discard(flight)
        self.room.set()
        if self._empty is not None and not len(self):
            self._empty.set()

    def _forget(self, flight: Flight) -> None:
        job_id = flight.claim.job.id
        if self._by_id.get(job_id) is flight:
            del self._by_id[job_id]

    async def drained(self) -> None:
        """Wait until nothing is in flight."""
        if len(self):
            self._empty = asyncio.Event()
            await self._empty.wait()

    def lapsed(self, flight: Flight) -> bool:
        """Whether `flight` may not be settled any more."""
        return flight.verdict is Verdict.LOST or clock.monotonic() >= flight.deadline
