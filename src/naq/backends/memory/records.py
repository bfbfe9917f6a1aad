"""Final records, the log they make with other events, and dead letters: what remains, in bounds."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Final

import msgspec

from naq import clock
from naq.backends.base import DeadLetter, Event
from naq.job import JobRecord, JobSpec, new_id

# Bounds of a store that lives in a process's memory: at about 1 KB each they keep it under some 200 MB.
MAX_RECORDS: Final = 100_000
MAX_EVENTS: Final = 100_000
MAX_DEAD: Final = 10_000

_encode = msgspec.json.Encoder().encode


class Records:
    """Final records by job id; the oldest go first when there are too many."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, JobRecord]] = {}

    def get(self, job_id: str) -> JobRecord | None:
        """The record of the job's latest finished run, unless it has expired."""
        kept = self._kept.get(job_id)
        if kept is None:
            return None
        if kept[0] <= clock.now():
            del self._kept[job_id]
            return None
        return kept[1]

    def put(self, record: JobRecord, ttl: float) -> None:
        """Keep `record` for `ttl` seconds, in place of the one of an earlier run."""
        kept, now = self._kept, clock.now()
        kept.pop(record.id, None)
        kept[record.id] = (now + ttl, record)
        while (first := next(iter(kept))) != record.id and (len(kept) > MAX_RECORDS or kept[first][0] <= now):
            del kept[first]

    def newest(self) -> Iterator[JobRecord]:
        """All that have not expired, the newest first."""
        now = clock.now()
        return (record for expires, record in reversed(self._kept.values()) if expires > now)

    def drop(self, job_id: str) -> bool:
        """Remove the record of a job; whether there was one."""
        return self._kept.pop(job_id, None) is not None


class Log:
    """What happened, in order. A cursor is the number of an event; numbers are never used again."""

    __slots__ = ("_items", "_next", "id")

    def __init__(self) -> None:
        self.id = new_id()
        self._items: deque[Event | JobRecord] = deque(maxlen=MAX_EVENTS)
        self._next = 1

    def append(self, item: Event | JobRecord) -> None:
        """Add one at the end; a record is encoded only when somebody reads it."""
        self._items.append(item)
        self._next += 1

    @property
    def last(self) -> str:
        """The cursor of the last event; one before all of them where there is none."""
        return str(self._next - 1)

    @property
    def held(self) -> int:
        """How many events there are."""
        return len(self._items)

    def after(self, cursor: int, limit: int, kind: str | None = None) -> list[tuple[str, Event]]:
        """At most `limit` events (of `kind`) behind `cursor`; from the retained start where it is not of this log."""
        first = self._next - len(self._items)
        start = cursor + 1 if first <= cursor + 1 <= self._next else first
        found: list[tuple[str, Event]] = []
        for number, item in enumerate(islice(self._items, start - first, None), start):
            if len(found) == limit:
                break
            if kind is None or _kind(item) == kind:
                found.append((str(number), _as_event(item)))
        return found

    def of_job(
        self, cursor: int, limit: int, job_id: str, kinds: Collection[str]
    ) -> tuple[list[tuple[str, Event]], int]:
        """At most `limit` events of one job behind `cursor`, and the cursor behind all that was looked at.

        Only those of `kinds` (none given: all), and of its records the latest.
        """
        first = self._next - len(self._items)
        start = cursor + 1 if first <= cursor + 1 <= self._next else first
        found: list[tuple[str, Event]] = []
        number = start - 1
        for number, item in enumerate(islice(self._items, start - first, None), start):
            if _job(item) == job_id and (not kinds or _kind(item) in kinds):
                found.append((str(number), _as_event(item)))
        records = [at for at, (_, event) in enumerate(found) if event.kind == "record"]
        for at in reversed(records[:-1]):
            del found[at]
        if len(found) > limit:
            return found[:limit], int(found[limit - 1][0])
        return found, number


def _job(item: Event | JobRecord) -> str:
    return item.job_id if isinstance(item, Event) else item.id


def _kind(item: Event | JobRecord) -> str:
    return item.kind if isinstance(item, Event) else "record"


def _as_event(item: Event | JobRecord) -> Event:
    if isinstance(item, Event):
        return item
    return Event(kind="record", job_id=item.id, queue=item.queue, data=_encode(item), at=item.finished_at)


class Dead:
    """Dead letters, each with the job it was, so that it can run again (None: it was never a job)."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, DeadLetter, JobSpec | None]] = {}  # with the UNIX time of its end

    def put(self, letter: DeadLetter, spec: JobSpec | None, ttl: float) -> None:
        """Keep `letter` for `ttl` seconds; the oldest goes when there are too many."""
        self._kept.pop(letter.id, None)
        self._kept[letter.id] = (clock.now() + ttl, letter, spec)
        if len(self._kept) > MAX_DEAD:
            del self._kept[next(iter(self._kept))]

    def _there(self, letter_id: str) -> tuple[float, DeadLetter, JobSpec | None] | None:
        found = self._kept.get(letter_id)
        if found is not None and found[0] <= clock.now():
            del self._kept[letter_id]
            return None
        return found

    def take(self, job_id: str) -> JobSpec | None:
        """Remove the letter of a failed job and return the job."""
        found = self._there(job_id)
        if found is None or found[2] is None:
            return None
        del self._kept[job_id]
        return found[2]

    def get(self, letter_id: str) -> DeadLetter | None:
        """The letter with this id."""
        found = self._there(letter_id)
        return None if found is None else found[1]

    def drop(self, letter_id: str) -> bool:
        """Remove a letter; whether there was one."""
        return self._there(letter_id) is not None and self._kept.pop(letter_id, None) is not None

    def newest(self, limit: int) -> list[DeadLetter]:
        """At most `limit` letters, newest first."""
        now = clock.now()
        return list(islice((letter for until, letter, _ in reversed(self._kept.values()) if until > now), limit))
