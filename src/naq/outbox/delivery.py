"""One round of a relay: rows are taken, sent, and removed; in this order, so that a death in between loses nothing."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from naq import clock
from naq.codec.sealing import seal_for
from naq.exceptions import ConfigurationError, JobNotFoundError, NaqConnectionError, NaqException, SerializationError
from naq.faults import fault
from naq.flow.store import announce, missing_of
from naq.limits.gate import store_gated
from naq.outbox.rows import Kept, Spec, read_event_row, read_row

if TYPE_CHECKING:
    from naq.backends.base import Backend
    from naq.config import Config
    from naq.job import JobSpec
    from naq.outbox.desk import Desk
    from naq.outbox.store import Store

log = logging.getLogger("naq.outbox")

BATCH: Final = 500  # rows taken at once: some tens of milliseconds of work
BYTES: Final = 8 * 1024 * 1024  # of payloads taken at once, as far as the rows before let one guess
#: Seconds until a row is tried again: doubling from the first, up to the last.
FIRST, MOST = 0.5, 15.0
TRIES: Final = 10  # after which a row that fails in a way that nobody foresaw is left to a person
WAIT: Final = 0.5  # seconds until a job is looked at again that waits for one that is still a row
SKEW: Final = 300.0  # seconds by which the clocks of relays and broker may differ, and a record be gone before its time
#: What says that this very job cannot be stored, now or later. All else is the broker's trouble, and passes.
REFUSED: Final = (ConfigurationError, SerializationError, JobNotFoundError)


class _Item:
    """A row on its way."""

    __slots__ = ("job", "row", "spec")

    def __init__(self, row: Kept, job: JobSpec, spec: Spec) -> None:
        self.row: Final = row
        self.job: Final = job
        self.spec: Final = spec


class Delivery:
    """Rounds over one table, to one backend.

    Attributes:
        full: whether the last round took as many rows as it could, so that there may be more.
    """

    def __init__(self, backend: Backend, config: Config, desk: Desk, *, lease: float) -> None:
        self._backend: Final = backend
        self._config: Final = config
        self._desk: Final = desk
        self._lease: Final = lease
        self._limit = BATCH // 10
        self.full = False

    async def round(self) -> int:
        """Take rows that are due and send them; how many were dealt with.

        Raises:
            NaqException: the database or the broker is in trouble; what was taken and not sent is put back.
        """
        self.full = False
        health = self._backend.health()
        if not health.ready:  # rows are better left where they are than taken and put back
            raise NaqConnectionError(f"nothing is sent: {health.detail or 'the broker cannot be reached'}")
        begin, now = clock.monotonic(), clock.now()
        rows = await self._desk.do(lambda store: store.claim(self._limit, now, now + self._lease))
        if not rows:
            return 0
        fault("outbox.claimed")
        self.full = len(rows) == self._limit
        size = sum(len(row.payload) for row in rows) // len(rows) + 1
        self._limit = max(1, min(BATCH, 2 * self._limit, BYTES // size))
        await _Batch(
            self._backend, self._config, self._desk, rows, until=begin + self._lease, wall=now + self._lease
        ).go()
        return len(rows)


class _Batch:
    """The rows of one round. Each ends as sent, set aside, or put back."""

    def __init__(
        self, backend: Backend, config: Config, desk: Desk, rows: Sequence[Kept], *, until: float, wall: float
    ) -> None:
        self._backend: Final = backend
        self._config: Final = config
        self._desk: Final = desk
        self._rows: Final = rows
        # Both clocks: the one steps when somebody sets it, the other may stand still while the machine sleeps.
        self._until: Final = until
        self._wall: Final = wall
        self._open = {row.id: row for row in rows}  # not settled yet
        self._sent: Final[list[int]] = []
        self._there: Final[set[str]] = set()  # ids of the jobs that were sent in this round
        # The rows to be put back: for how long, why, and whether it is certain that they were not sent.
        self._back: Final[dict[tuple[float, str, bool], list[int]]] = {}

    async def go(self) -> None:
        """Send all that can be sent."""
        try:
            items = await self._without_known([item for row in self._rows if (item := await self._read(row))])
            events, items = _apart(items, lambda each: each.spec.is_event)
            await self._put([each for each in items if not (each.spec.gate or each.spec.blocked)], self._plain)
            await self._put([each for each in items if each.spec.gate and not each.spec.blocked], self._gated)
            await self._put(await self._ready([each for each in items if each.spec.blocked]), self._blocked)
            await self._put(events, self._publish)
        except NaqException as error:
            self._later(str(error))
            raise
        except Exception as error:  # the rows say why they wait; the relay's loop logs it
            self._later(f"{type(error).__name__}: {error}")
            raise
        finally:
            # A relay that is told to stop, or dies, leaves what is open to the end of its lease.
            await self._write_down()

    async def _read(self, row: Kept) -> _Item | None:
        try:
            return _Item(row, *read_row(row))
        except SerializationError as error:
            await self._aside(row, str(error))
            return None

    async def _without_known(self, items: list[_Item]) -> list[_Item]:
        """`items` without those that a relay has sent which died before it could remove them.

        What neither waits nor has a record was never stored, as long as a record would still be there. After that
        nobody can know, and a person has to say. An event may be stored again: what handles it is there, or has a
        record, as any job.
        """
        again = {each.row.job_id: each for each in items if each.row.tries > 1}
        if not again:
            return items
        events = {each.row.job_id for each in items if each.spec.is_event}
        unknown = events | await missing_of(self._backend, [job_id for job_id in again if job_id not in events])
        oldest = clock.now() - self._config.record_ttl + SKEW
        kept: list[_Item] = []
        for each in items:
            if each.row.tries > 1 and each.row.job_id not in unknown:
                self._done([each])
            elif each.row.tries > 1 and (each.row.tried_at or 0.0) < oldest:
                await self._aside(
                    each.row,
                    "a relay took it long ago and was not heard of again: whether it was sent and has run cannot be "
                    "known any more, since its record would have expired (record_ttl). Say retry, or discard",
                )
            else:
                kept.append(each)
        return kept

    async def _put(self, items: list[_Item], store: Callable[[list[_Item]], Awaitable[None]]) -> None:
        """Store `items`; where some cannot be, they are found by trying one by one."""
        if not items:
            return
        try:
            await store(items)
        except REFUSED as error:
            await self._blame(items, store, str(error), at_once=True)
        except NaqException:
            raise
        except Exception as error:  # whatever it is, it must not keep the others from being sent for ever
            log.exception("outbox: sending %d rows failed", len(items))
            await self._blame(items, store, f"{type(error).__name__}: {error}", at_once=False)
        else:
            self._done(items)

    async def _blame(
        self, items: list[_Item], store: Callable[[list[_Item]], Awaitable[None]], reason: str, *, at_once: bool
    ) -> None:
        if len(items) > 1:
            for each in items:
                await self._put([each], store)
        elif at_once or items[0].row.tries >= TRIES:
            await self._aside(items[0].row, reason)
        else:
            self._put_back(items[0].row, _pause(items[0].row), reason)

    async def _plain(self, items: list[_Item]) -> None:
        await self._backend.enqueue([each.job for each in items], timeout=self._time_left())

    async def _publish(self, items: list[_Item]) -> None:
        self._time_left()
        await self._backend.append([read_event_row(each.row) for each in items])

    async def _gated(self, items: list[_Item]) -> None:
        """As a producer does it that asks the limits first; a key may ask for the job under another id."""
        self._time_left()
        jobs = [each.job for each in items]
        gates = [each.spec.gate for each in items]
        await store_gated(self._backend, jobs, gates, lambda index, job_id: self._renamed(jobs[index], job_id))

    async def _blocked(self, items: list[_Item]) -> None:
        here = {row.job_id for row in self._rows}
        for each in items:  # each after those that it waits for, which may be before it here
            if unsent := [name for name in each.spec.parents if name in here and name not in self._there]:
                self._wait_for(each.row, unsent[0])
                continue
            missing = await missing_of(self._backend, [name for name in each.spec.parents if name not in self._there])
            for job_id in sorted(missing)[:1]:
                raise JobNotFoundError(
                    f"it waits for the job {job_id!r}, and there is none: it was never enqueued in this namespace, or "
                    "was removed, or its record has expired"
                )
            await (self._gated if each.spec.gate else self._plain)([each])
            self._done([each])
        await announce(self._backend, [each.job for each in items if each.row.job_id in self._there])

    async def _ready(self, items: list[_Item]) -> list[_Item]:
        """Those of `items` that wait for no job which is still a row; the others are put back."""
        ready: list[_Item] = []
        named = {name for each in items for name in each.spec.parents} - self._there
        rows = await self._desk.do(lambda store: store.present(named)) if named else set[str]()
        for each in items:
            if waits := [name for name in each.spec.parents if name in rows]:
                self._wait_for(each.row, waits[0])
            else:
                ready.append(each)
                rows.discard(each.row.job_id)
        return ready

    def _renamed(self, job: JobSpec, job_id: str) -> JobSpec:
        payload, seal = job.payload, seal_for(self._config)
        if seal is not None:  # what is sealed is bound to its id
            from naq.codec.envelope import decode_envelope

            payload = seal.open_job(payload, job_id=job.id, queue=job.queue).payload
            envelope = decode_envelope(payload, codecs=frozenset({"json", self._config.codec}))
            limit, task, at = self._config.max_payload, envelope.task, envelope.at
            payload = seal.seal_job(payload, job_id=job_id, queue=job.queue, task=task, at=at, limit=limit)
        return replace(job, id=job_id, payload=payload)

    def _time_left(self) -> float:
        """Seconds that storing may take. Whoever has lost its rows to others sends nothing more."""
        left = min(self._until - clock.monotonic(), self._wall - clock.now())
        if left <= 0:
            raise NaqConnectionError("the relay was slower than its lease, and leaves its rows to others")
        return min(left, self._config.publish_timeout)

    def _done(self, items: Sequence[_Item]) -> None:
        for each in items:
            if self._open.pop(each.row.id, None) is not None:
                self._sent.append(each.row.id)
                self._there.add(each.row.job_id)

    def _put_back(self, row: Kept, delay: float, reason: str, *, unsent: bool = False) -> None:
        self._open.pop(row.id, None)
        self._back.setdefault((delay, reason, unsent), []).append(row.id)

    def _wait_for(self, row: Kept, job_id: str) -> None:
        self._put_back(row, WAIT, f"waits for the job {job_id}, which has not been sent itself", unsent=True)

    def _later(self, reason: str) -> None:
        for row in list(self._open.values()):
            self._put_back(row, _pause(row), reason)

    async def _aside(self, row: Kept, reason: str) -> None:
        self._open.pop(row.id, None)
        log.error("outbox: job %s of %s cannot be sent and is set aside: %s", row.job_id, row.task, reason)
        now = clock.now()
        await self._desk.do(lambda store: store.set_aside(row.id, now, reason))

    async def _write_down(self) -> None:
        if self._sent:
            fault("outbox.sent")
            await self._desk.do(lambda store: store.remove(self._sent))
        now = clock.now()
        for (delay, reason, unsent), ids in self._back.items():

            def put_back(
                store: Store, ids: list[int] = ids, due: float = now + delay, why: str = reason, anew: bool = unsent
            ) -> None:
                store.put_back(ids, due, why, unsent=anew)

            await self._desk.do(put_back)


def _apart(items: list[_Item], fits: Callable[[_Item], bool]) -> tuple[list[_Item], list[_Item]]:
    """Those of `items` that fit, and the others."""
    return [each for each in items if fits(each)], [each for each in items if not fits(each)]


def _pause(row: Kept) -> float:
    return min(MOST, FIRST * 2 ** min(row.tries - 1, 10))
