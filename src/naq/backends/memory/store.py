"""What the backends of one name share: every job, record and sign of life, under one lock."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Final, Protocol
from weakref import WeakSet

import msgspec

from naq import clock
from naq.backends.base import Claim, Signal, WorkerInfo, lease_margin
from naq.backends.base import Entry as KeptEntry
from naq.backends.memory.deadlines import Deadlines
from naq.backends.memory.line import Entry, Line
from naq.backends.memory.records import Dead, Log, Records
from naq.backends.memory.wake import Bell
from naq.job import JobRecord, JobSpec, JobState
from naq.names import check_token

MAX_JOBS: Final = 1_000_000  # not final; more than a process should hold, and a clear error beats its end by memory

_QUEUED, _RUNNING, _SCHEDULED = JobState.QUEUED, JobState.RUNNING, JobState.SCHEDULED


class Ear(Protocol):
    """Who listens to signals."""

    def hear(self, signal: Signal) -> None:
        """Take `signal` in."""
        ...


class Store:
    """The shared state. Methods are called with `lock` held and never wait for anything."""

    def __init__(self) -> None:
        self.lock: Final = threading.Lock()
        self.down = False  # as if the broker could not be reached; for tests
        self.jobs: Final[dict[str, Entry]] = {}
        self.lines: Final[dict[str, Line]] = {}
        self.keyed: Final[dict[tuple[str, str], list[Entry]]] = {}  # by queue and key, oldest first
        self.records: Final = Records()
        self.log: Final = Log()
        self.dead: Final = Dead()
        self.workers: Final[dict[str, tuple[float, WorkerInfo]]] = {}
        self.leaders: Final[dict[str, tuple[float, str]]] = {}
        self.entries: Final[dict[tuple[str, str], tuple[float, KeptEntry]]] = {}  # with the monotonic time of its end
        self.versions = 0
        self.finals: Final[dict[str, Bell]] = {}
        self.logged: Final = Bell()
        self.listeners: Final[WeakSet[Ear]] = WeakSet()  # weak: a listener nobody reads any more is gone
        self._timers: Final = Deadlines()  # by UNIX time
        self._leases: Final = Deadlines()  # by monotonic time
        self._tickets = 0
        self._numbers = 0
        self._turn = 0

    def line(self, queue: str) -> Line:
        """The queue of this name; made when first named.

        Raises:
            ConfigurationError: the name is no name.
        """
        line = self.lines.get(queue)
        if line is None:
            line = self.lines[check_token("queue", queue)] = Line(queue)
        return line

    def add(self, spec: JobSpec) -> None:
        """Let a new job wait."""
        now = clock.now()
        entry = self._keep(spec, now)
        if spec.blocked:
            self._block(entry)
        elif spec.run_at is not None and spec.run_at > now:
            self.delay(entry, spec.run_at, _SCHEDULED)
        else:
            self._ready(entry)

    def _keep(self, spec: JobSpec, enqueued_at: float) -> Entry:
        entry = self.jobs[spec.id] = Entry(spec, self.line(spec.queue), enqueued_at)
        self._numbers += 1
        entry.number = self._numbers
        if spec.key:
            self.keyed.setdefault((spec.queue, spec.key), []).append(entry)
        return entry

    def _block(self, entry: Entry) -> None:
        self._ticket(entry)
        entry.state = JobState.BLOCKED
        entry.line.blocked += 1

    def holder(self, spec: JobSpec) -> Entry | None:
        """The job that has the key of `spec` for its scope, if one has."""
        for entry in self.keyed.get((spec.queue, spec.key), ()):
            if spec.scope == "active" or entry.state is not _RUNNING:
                return entry
        return None

    def replace(self, spec: JobSpec) -> bool:
        """Let `spec` take the place of the scheduled job of its id; False where there is none."""
        entry = self.jobs.get(spec.id)
        if entry is None or entry.state is not _SCHEDULED:
            return False
        self.remove(entry, _SCHEDULED)
        self.add(spec)
        return True

    def unblock(self, entry: Entry) -> None:
        """Blocked -> queued, or scheduled where its time is to come."""
        entry.line.blocked -= 1
        entry.spec = msgspec.structs.replace(entry.spec, blocked=False)
        run_at = entry.spec.run_at
        if run_at is not None and run_at > clock.now():
            self.delay(entry, run_at, _SCHEDULED)
        else:
            self._ready(entry)

    def delay(self, entry: Entry, run_at: float, state: JobState) -> None:
        """Let `entry` wait for a time (UNIX seconds); the delivery that follows is its first."""
        self._ticket(entry)
        entry.state = state
        entry.delivered = 0
        entry.line.waiting += 1
        self._timers.push(run_at, entry)
        entry.line.bell.ring_before(clock.monotonic() + run_at - clock.now())

    def set_off(self, entry: Entry) -> None:
        """Put an entry that waits for a time in line; its timer is void from here on."""
        entry.line.waiting -= 1
        entry.spec = msgspec.structs.replace(entry.spec, run_at=None)
        self._ready(entry)

    def amend(self, entry: Entry, spec: JobSpec) -> None:
        """Give an entry that waits other contents; its place in line, or an earlier timer, is void from here on."""
        if entry.state is _QUEUED:
            self.move(entry, spec)
            return
        entry.spec = spec
        if entry.state is not JobState.BLOCKED and spec.run_at is not None:
            entry.line.waiting -= 1
            self.delay(entry, spec.run_at, entry.state)

    def move(self, entry: Entry, spec: JobSpec) -> None:
        """Let an entry that waits do so as `spec`, in its queue, behind those there; what it was is void.

        One in line that is given a time to come waits for that.
        """
        state = entry.state
        self.remove(entry, JobState.CANCELLED)  # a void one in its lane: whoever waits for the job finds the new entry
        moved = self._keep(spec, entry.enqueued_at)
        moved.delivered = entry.delivered
        if state is JobState.BLOCKED:
            self._block(moved)
        elif spec.run_at is None or (state is _QUEUED and spec.run_at <= clock.now()):
            self._ready(moved)
        else:
            self.delay(moved, spec.run_at, _SCHEDULED if state is _QUEUED else state)

    def hand_back(self, entry: Entry) -> None:
        """Running -> queued, first in line."""
        entry.line.running -= 1
        self._ready(entry, first=True)

    def again(self, entry: Entry) -> None:
        """Queue `entry` behind the others, as an attempt that was never handed out."""
        entry.delivered = 0
        self._ready(entry)

    def _ready(self, entry: Entry, *, first: bool = False) -> None:
        self._ticket(entry)
        entry.line.put(entry, first=first)
        entry.line.bell.ring()

    def _ticket(self, entry: Entry) -> None:
        self._tickets += 1
        entry.ticket = self._tickets
        entry.receipt = b""

    def claim(self, queues: Sequence[str], limit: int, lease: float, *, strict: bool = False) -> list[Claim]:
        """Hand out at most `limit` jobs, the queues in turn."""
        self.advance()
        lines = [self.line(queue) for queue in queues]
        now, started = clock.monotonic(), clock.now()
        lapses = now + lease
        deadline = lapses - lease_margin(lease)
        claims: list[Claim] = []
        turn = self._turn
        while lines and len(claims) < limit:
            turn %= len(lines)
            entry = lines[turn].take(strict=strict)
            if entry is None:
                del lines[turn]
                continue
            turn += 1
            self._tickets += 1
            entry.ticket = self._tickets
            entry.state = _RUNNING
            entry.line.running += 1
            entry.delivered += 1
            entry.started_at = started
            entry.lapses = lapses
            entry.receipt = f"{entry.ticket}.{entry.spec.id}".encode()
            self._leases.push(lapses, entry)
            claims.append(
                Claim(
                    job=entry.spec,
                    receipt=entry.receipt,
                    deadline=deadline,
                    delivered=entry.delivered,
                    claimed_at=now,
                )
            )
        self._turn = turn
        for line in {self.lines[claim.job.queue] for claim in claims}:
            line.bell.ring_before(lapses)
        return claims

    def renew(self, entry: Entry, lapses: float) -> None:
        """Let the present claim of `entry` end at `lapses` (monotonic)."""
        if lapses < entry.lapses:
            self._leases.push(lapses, entry)
        entry.lapses = lapses

    def holds(self, claim: Claim) -> Entry | None:
        """The entry that `claim` is the present claim of."""
        entry = self.jobs.get(claim.job.id)
        return entry if entry is not None and entry.receipt == claim.receipt else None

    def held(self, receipt: bytes) -> Entry | None:
        """The entry whose present claim has `receipt`."""
        entry = self.jobs.get(receipt.partition(b".")[2].decode(errors="replace"))
        return entry if entry is not None and entry.receipt == receipt else None

    def remove(self, entry: Entry, state: JobState) -> None:
        """Take `entry` out of the store; `state` is how it ended."""
        line = entry.line
        if entry.state is _QUEUED:
            line.forget(entry, state)
        elif entry.state is _RUNNING:
            line.running -= 1
            if line.limit is not None:
                line.bell.ring()
        elif entry.state is JobState.BLOCKED:
            line.blocked -= 1
        else:
            line.waiting -= 1
        entry.state = state
        entry.ticket = 0
        entry.receipt = b""
        spec = entry.spec
        if spec.key and (keyed := self.keyed.get((spec.queue, spec.key))):
            keyed.remove(entry)
            if not keyed:
                del self.keyed[spec.queue, spec.key]
        del self.jobs[spec.id]
        if (bell := self.finals.get(spec.id)) is not None:
            bell.ring()

    def finish(self, record: JobRecord, ttl: float) -> bool:
        """Store `record` unless this run has one, and drop the job; whether it was stored."""
        known = self.records.get(record.id)
        if known is not None and known.run >= record.run:
            return False
        self.records.put(record, ttl)
        self.log.append(record)
        self.logged.ring()
        entry = self.jobs.get(record.id)
        if entry is not None and entry.spec.run <= record.run:
            self.remove(entry, record.state)
        return True

    def advance(self) -> None:
        """Let time have its effect: due timers fire, lapsed claims go back."""
        now = clock.now()
        while (entry := self._timers.pop_due(now)) is not None:
            entry.line.waiting -= 1
            self._ready(entry)
        now = clock.monotonic()
        while (entry := self._leases.pop_due(now)) is not None:
            if entry.lapses > now:  # it was extended meanwhile
                self._leases.push(entry.lapses, entry)
            else:
                self.hand_back(entry)

    def next_due(self) -> float:
        """The monotonic time at which `advance` will next have something to do."""
        timer = self._timers.next() - clock.now() + clock.monotonic()
        return min(timer, self._leases.next())

    def bells(self) -> Iterable[Bell]:
        """Everything anybody may sleep on."""
        yield from (line.bell for line in self.lines.values())
        yield from self.finals.values()
        yield self.logged

    def stepped(self) -> None:
        """The clock was set: whoever sleeps must look at it again. Takes the lock itself."""
        with self.lock:
            for bell in self.bells():
                bell.ring()
