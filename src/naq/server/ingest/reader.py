"""Reading the event log into the history, a batch a transaction, with the cursor in it.

Whoever reads holds the row of the cursor while it writes, and goes on only from where that row says. So of several
servers, however often they die or come back, each batch is written once; the leadership only saves the others the work.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from sqlalchemy import select, update
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from naq import clock
from naq.backends.base import Backend, Event
from naq.config import Config
from naq.faults import fault
from naq.job import JobRecord
from naq.server.ingest.fold import Hide, clean, fold
from naq.server.ingest.said import AttemptFailed, Said, Unreadable, read
from naq.server.store import Store, bulk
from naq.server.store.rows import InvalidRow, micros
from naq.server.store.tables import cursors
from naq.server.store.write import load, lock, save

if TYPE_CHECKING:
    from naq.server.store.changes import Changes

log = logging.getLogger("naq.server.ingest")

#: Events of a transaction. What it costs by itself, and the counts by step, task and queue that many of them share, are
#: spread over as many: with 2,000 PostgreSQL took 20 % longer for each, SQLite 9. It holds the database for 180 ms.
BATCH: Final = 4_000
SLICE: Final = 50  # events made sense of at once: half a millisecond or so of the event loop
#: What databases say of a value that they cannot hold; of an integer of more than 64 bits SQLite says OverflowError.
REFUSED: Final = (DataError, IntegrityError, OverflowError)
ASKED: Final = 5.0  # seconds of one question to the log, which is answered as soon as something is stored
MAX_DATA: Final = 65_536  # bytes kept of an event that is none


Read = tuple[str, Event, "Said | Unreadable | None"]
"""An event with its cursor, and what it says."""


class Place(Struct, frozen=True):
    """How far the log has been read.

    Attributes:
        log: which log; "" before anything was read.
        cursor: of the last event read; None: the retained start.
        at: when that event happened, microseconds.
        events, invalid: how many were read, and how many of those were refused.
    """

    log: str = ""
    cursor: str | None = None
    at: int = 0
    events: int = 0
    invalid: int = 0


class Batch(Struct, frozen=True):
    """What was written: for whoever shows it live.

    Attributes:
        place: how far the log has been read with it.
        events: the events, with their cursors.
        changes: the rows as they are now.
    """

    place: Place
    events: Sequence[tuple[str, Event]]
    changes: Changes


class Moved(Exception):
    """Somebody else has written meanwhile; go on from where the row says."""


class Reader:
    """Writes batches of one log, that of `config.namespace`, into one store. One task uses it."""

    def __init__(self, backend: Backend, store: Store, config: Config, *, hide: Hide | None = None) -> None:
        self._backend = backend
        self._store = store
        self._config = config
        self._hide = hide
        self._name = config.namespace
        self.place = Place()
        self.ahead = 0  # events behind the cursor at the last look
        self.clear_at = 0.0  # UNIX seconds: when there were none the last time; what there is now is later
        self.restarts = 0  # how often the log was found to be another one
        self._next: asyncio.Task[list[Read]] | None = None
        self._checked = False

    async def find_place(self) -> None:
        """Look up where to go on; a log that was made anew or cut back is read from its retained start.

        Raises:
            NaqConnectionError: the database or the broker cannot be reached.
        """
        self.forget()
        async with self._store.reading() as connection:
            self.place = await _read_place(connection, self._name)
        if not self.place.log:
            standing = await self._backend.standing(None)
            self.ahead = standing.ahead
            await self._begin(standing.log)
        else:
            await self.look()
        self._checked = True

    async def look(self) -> None:
        """How far the log is ahead, and whether it is still the one that was read: a broker may lose its disk any time.

        Raises:
            NaqConnectionError: the database or the broker cannot be reached.
        """
        standing = await self._backend.standing(self.place.cursor)
        self._count(standing.ahead)
        if standing.log != self.place.log or not standing.known:
            log.warning("the event log is another one, or was cut back: it is read again from its retained start")
            self.forget()
            await self._begin(standing.log, again=True)
            self.restarts += 1
        elif standing.missed:
            log.error("%d events were dropped from the log before they were read", standing.missed)

    def _count(self, ahead: int) -> None:
        self.ahead = ahead
        if not ahead:
            self.clear_at = clock.now()

    def forget(self) -> None:
        """Drop what was read ahead."""
        if self._next is not None:
            if not self._next.cancel() and not self._next.cancelled():
                self._next.exception()  # seen: whoever forgets knows that something is wrong
            self._next = None
        self._checked = False

    async def step(self, *, wait: float) -> Batch | None:
        """Write the next batch, waiting at most `wait` seconds for its first event; None: nothing came.

        The question goes on where nothing came, for `ASKED` seconds: the next step takes its answer.

        Raises:
            NaqConnectionError: the database or the broker cannot be reached; nothing was written, or all.
        """
        if not self._checked:
            await self.find_place()
        reading = self._next or asyncio.ensure_future(self._read(self.place.cursor, ASKED if wait else 0.0))
        self._next = reading  # until it is answered, or forgotten
        if not (await asyncio.wait([reading], timeout=wait or None))[0]:
            return None
        self._next = None
        events = reading.result()
        if not events:
            self._count(0)
            return None
        self._count(max(self.ahead, len(events)))  # writing them may take long, where the database hangs
        if len(events) == BATCH:  # more will be there: read it while this is written
            self._next = asyncio.ensure_future(self._read(events[-1][0], 0.0))
        try:
            return await self._write(events)
        except BaseException:
            self.forget()
            raise

    async def _read(self, after: str | None, wait: float) -> list[Read]:
        """The next events and what they say: read while the database is busy with those before them.

        A few at a time, so that they fill whatever pauses there are, and never hold up who waits for the database.
        """
        found = await self._backend.read(after=after, limit=BATCH, wait=wait)
        events: list[Read] = []
        for first in range(0, len(found), SLICE):
            events += [(cursor, event, _said(self._config, event)) for cursor, event in found[first : first + SLICE]]
            await asyncio.sleep(0)
        return events

    async def _write(self, events: Sequence[Read]) -> Batch | None:
        """Write `events`, halving them where the database refuses the data, down to the one that it refuses."""
        try:
            return await self._commit(events)
        except Moved:
            log.info("another server has written meanwhile")
            self.forget()
            return None
        except REFUSED as error:
            if len(events) > 1:
                half = len(events) // 2
                first = await self._write(events[:half])
                return first and await self._write(events[half:])
            cursor, event, _ = events[0]
            log.exception("event %s of job %s was refused by the database", cursor, event.job_id)
            return await self._commit(
                [(cursor, event, Unreadable(f"the database refused it: {getattr(error, 'orig', error)}"))]
            )

    async def _commit(self, read: Sequence[Read]) -> Batch:
        """One transaction: the rows, and how far they go."""
        ids: dict[str, None] = {}
        attempted: dict[str, None] = {}
        for _, event, said in read:
            if said is None or isinstance(said, Unreadable):
                continue
            ids[event.job_id] = None
            if isinstance(said, JobRecord):
                if said.parent:
                    ids[said.parent] = None
                if said.attempt > 1 or said.run > 1 or said.errors:
                    attempted[event.job_id] = None
            elif isinstance(said, AttemptFailed):
                attempted[event.job_id] = None
        now = micros(clock.now())
        async with self._store.writing() as connection:
            place = await _read_place(connection, self._name, held=True)
            if place != self.place:
                raise Moved
            changes = await load(connection, ids, attempted)
            # All at once: in pauses the next batch would be read, which is to be done while the database works.
            for cursor, event, said in read:
                if isinstance(said, Unreadable):
                    changes.invalid.append(_invalid(cursor, event, said, now))
                elif said is not None:
                    fold(changes, event, said, hide=self._hide)
            await save(connection, changes)
            last, event, _ = read[-1]
            reached = Place(
                place.log,
                last,
                micros(event.at) if 0 <= event.at < 1e11 else now,
                place.events + len(read),
                place.invalid + len(changes.invalid),
            )
            await _keep(connection, self._name, reached, now)
            fault("ingest.before_commit")
        fault("ingest.after_commit")
        self.place = reached
        self.ahead = max(self.ahead - len(read), 0)
        return Batch(reached, [(cursor, event) for cursor, event, _ in read], changes)

    async def _begin(self, which: str, *, again: bool = False) -> None:
        """Note that the log `which` is read from its retained start; of several servers one does."""
        now = micros(clock.now())
        async with self._store.writing() as connection:
            place = await _read_place(connection, self._name, held=True)
            if place == self.place and not place.log:
                columns = ("name", "log", "at", "events", "invalid", "restarts", "saved_at")
                row = (self._name, which, 0, 0, 0, 0, now)
                await bulk.insert(connection, cursors, columns, [row], bulk.NOTHING)
            elif place == self.place and again:
                await connection.execute(
                    update(cursors)
                    .where(cursors.c.name == self._name)
                    .values(log=which, cursor=None, saved_at=now, restarts=cursors.c.restarts + 1)
                )
            self.place = await _read_place(connection, self._name)


def _said(config: Config, event: Event) -> Said | Unreadable | None:
    try:
        return read(config, event)
    except Unreadable as error:
        return error


def _invalid(cursor: str, event: Event, error: Unreadable, now: int) -> InvalidRow:
    at = micros(event.at) if 0 <= event.at < 1e11 else now
    kind, job_id, queue = clean(event.kind, 64), clean(event.job_id, 64), clean(event.queue, 64)
    reason, data = clean(str(error), 500), bytes(event.data[:MAX_DATA])
    return InvalidRow(
        at=at, seen_at=now, kind=kind, job_id=job_id, queue=queue, cursor=cursor, reason=reason, data=data
    )


async def _read_place(connection: AsyncConnection, name: str, *, held: bool = False) -> Place:
    if held:
        row = await lock(connection, name)
    else:
        row = (await connection.execute(select(cursors).where(cursors.c.name == name))).one_or_none()
    return Place() if row is None else Place(row.log, row.cursor, row.at, row.events, row.invalid)


async def _keep(connection: AsyncConnection, name: str, place: Place, now: int) -> None:
    await connection.execute(
        update(cursors)
        .where(cursors.c.name == name)
        .values(cursor=place.cursor, at=place.at, events=place.events, invalid=place.invalid, saved_at=now)
    )
