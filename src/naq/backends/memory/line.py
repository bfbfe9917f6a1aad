"""One queue: three lanes, its counts, and who waits for it."""

from __future__ import annotations

from collections import deque
from typing import Final

from naq.backends.memory.wake import Bell
from naq.job import PRIORITIES, JobSpec, JobState

# Whose turn it is: of ten jobs six high, three normal, one low, so that the low lane is never starved.
_TURNS: Final = (0, 1, 0, 0, 1, 0, 2, 0, 1, 0)
_SLACK: Final = 1024  # void entries in the lanes that are not worth a sweep
_LANE: Final = {priority: lane for lane, priority in enumerate(PRIORITIES)}


class Entry:
    """A job that is not final, and where it stands. Changed only under the store's lock.

    Attributes:
        spec: the job, as its next or present attempt will see it.
        line: the queue it belongs to.
        state: where it stands; a final one marks an entry that has left the store but still lies in a lane.
        ticket: grows with every change of state; a timer or lease of an older ticket is void.
        number: grows from each job to the next one stored.
        receipt: what the present holder's claim carries; empty where nobody holds it.
        lapses: monotonic time at which the present claim ends.
        delivered: how often this attempt was handed out.
        cancelled: somebody asked for its end while it ran.
        enqueued_at, started_at: UNIX seconds.
    """

    __slots__ = (
        "cancelled",
        "delivered",
        "enqueued_at",
        "lapses",
        "line",
        "number",
        "receipt",
        "spec",
        "started_at",
        "state",
        "ticket",
    )

    def __init__(self, spec: JobSpec, line: Line, enqueued_at: float) -> None:
        self.spec = spec
        self.line = line
        self.state = JobState.QUEUED
        self.ticket = 0
        self.number = 0
        self.receipt = b""
        self.lapses = 0.0
        self.delivered = 0
        self.cancelled = False
        self.enqueued_at = enqueued_at
        self.started_at = 0.0


class Line:
    """One queue. `queued`, `waiting` (for a time), `blocked` and `running` count its entries."""

    __slots__ = (
        "_lanes",
        "_turn",
        "_void",
        "bell",
        "blocked",
        "limit",
        "name",
        "paused",
        "queued",
        "running",
        "waiting",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.paused = False
        self.limit: int | None = None
        self.queued = 0
        self.waiting = 0
        self.blocked = 0
        self.running = 0
        self.bell = Bell()
        self._lanes: tuple[deque[Entry], ...] = (deque(), deque(), deque())
        self._turn = 0
        self._void = 0

    def put(self, entry: Entry, *, first: bool = False) -> None:
        """Let `entry` wait for a worker: behind the others of its priority, or before them."""
        entry.state = JobState.QUEUED
        self.queued += 1
        lane = self._lanes[_LANE[entry.spec.priority]]
        if first:
            lane.appendleft(entry)
        else:
            lane.append(entry)

    def take(self, *, strict: bool = False) -> Entry | None:
        """The entry whose turn it is; None where there is none, or none may be handed out now.

        `strict`: it is the turn of the highest priority that there is.
        """
        if self.paused or (self.limit is not None and self.running >= self.limit):
            return None
        high, normal, low = lanes = self._lanes
        while self.queued:
            lane = high if strict else lanes[_TURNS[self._turn]]
            self._turn = (self._turn + 1) % len(_TURNS)
            entry = (lane or high or normal or low).popleft()
            if entry.state is JobState.QUEUED:  # else it was cancelled or purged where it stood
                self.queued -= 1
                return entry
            self._void -= 1
        return None

    def forget(self, entry: Entry, state: JobState) -> None:
        """Let a queued `entry` end as `state`; it stays where it lies until its turn, or until many are void."""
        entry.state = state
        self.queued -= 1
        self._void += 1
        if self._void > self.queued + _SLACK:
            self._void = 0
            high, normal, low = self._lanes
            self._lanes = (_swept(high), _swept(normal), _swept(low))


def _swept(lane: deque[Entry]) -> deque[Entry]:
    return deque(entry for entry in lane if entry.state is JobState.QUEUED)
