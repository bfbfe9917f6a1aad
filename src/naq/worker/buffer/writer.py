"""All that a worker tells the log beside final records goes through here, in order: one buffer, one write for many."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Final

from naq.backends.base import Event, EventLog
from naq.config import Config
from naq.exceptions import ConfigurationError, NaqException, PayloadTooLarge
from naq.worker.buffer.alarm import Alarm
from naq.worker.buffer.queue import Queue
from naq.worker.service import Service
from naq.worker.throttle import Throttle

log = logging.getLogger("naq.worker")

#: Seconds between two writes while there is something to write and nobody waits for it.
SWEEP: Final = 0.1
#: Seconds after which to look all the same, and to look for what other workers left, where events go into files.
IDLE, LOOK = 3600.0, 30.0
#: Bytes of one write: enough to keep a broker busy for a round trip, little enough to be sent again.
AT_ONCE: Final = 262_144
#: Seconds that a write may take until the events, and those behind it, are put into the file.
SLOW: Final = 0.25


class EventWriter(Service):
    """Takes events (`put`) and writes them to `to` in that order, each at least once unless it was dropped.

    Final records are none of its business: they say how jobs ended, and the settler stores them itself.

    Lives on the worker's event loop; its attributes and properties may be read in any thread.

    Attributes:
        written: events written so far, those that other workers left among them.

    Raises:
        ConfigurationError: the folder to spill to cannot be used.
    """

    def __init__(self, to: EventLog, config: Config, worker: str) -> None:
        super().__init__("events of jobs", interval=IDLE)
        self.written = 0
        self._to = to
        self._queue = Queue(config, worker)
        self._alarm = Alarm(config.event_overflow)
        self._writing: asyncio.Task[NaqException | None] | None = None
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []  # up to which event, and who waits for that
        self._slow: asyncio.TimerHandle | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._throttle = Throttle()
        self._pause = LOOK if self._queue.spills else IDLE

    @property
    def capacity(self) -> int:
        """Bytes there is room for: `event_buffer`, and with "spill" also `event_spill_bytes`."""
        return self._queue.capacity

    @property
    def size(self) -> int:
        """Bytes that wait to be written, those in the file among them."""
        return self._queue.size

    @property
    def spilled(self) -> int:
        """Bytes of those that are in the file."""
        return self._queue.spilled

    @property
    def fullness(self) -> float:
        """`size` as a share of `capacity`; above 1 only where `event_overflow` is "block"."""
        return self._queue.size / self._queue.capacity

    @property
    def dropped(self) -> Mapping[str, int]:
        """Events dropped so far, by kind."""
        return self._queue.dropped

    @property
    def is_full(self) -> bool:
        """Whether jobs are to wait with what they report. Only where `event_overflow` is "block"."""
        return self._queue.blocks and self._queue.held.is_full

    async def room(self) -> None:
        """Wait until it is not full."""
        await self._room.wait()

    def put(self, *events: Event) -> None:
        """Have `events` written soon."""
        for event in events:
            self._queue.add(event)
        self._look()
        if events and self.interval != SWEEP:
            self.interval = SWEEP
            self.nudge()

    def missed(self, kind: str, count: int) -> None:
        """Count `count` events of `kind` that were dropped without coming here."""
        self._queue.held.dropped[kind] += count
        self._look()

    async def run_once(self) -> int:
        """Write what is there, and what other workers left; how many events that was."""
        before = self.written
        self.interval = SWEEP
        await self._write_all()
        if self._queue.spills:
            await self._replay()
        if not len(self._queue):
            self.interval = self._pause
        return self.written - before

    async def flush(self) -> None:
        """Wait until what was put before is written, or safe in the file.

        Raises:
            NaqException: the backend does not take it; it is tried again.
        """
        if self._queue.spilled:
            self._queue.shelter()
        if len(self._queue.held):
            written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((self._queue.held.last, written))
            self._begin()
            await written

    async def last_words(self, timeout: float) -> None:
        """Write what is there if that takes at most `timeout` seconds; keep the rest in the file, or say so."""
        try:
            async with asyncio.timeout(timeout):
                await self.flush()
        except (NaqException, TimeoutError) as error:
            log.debug("the last events could not be written: %s", error)
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait([self._writing])
        self._queue.close()
        if lost := len(self._queue):
            log.warning("%d events of jobs are lost: the broker did not take them before the end", lost)

    async def _replay(self) -> None:
        """Write what other workers left, without holding up what comes from ours."""
        with ExitStack() as closing:
            found = [closing.enter_context(spill) for spill in await asyncio.to_thread(self._queue.orphans)]
            for spill in found:
                log.info("%d events of jobs that a worker left in %s are written now", len(spill), spill.path)
                while batch := spill.peek(AT_ONCE):
                    await self._append(batch)
                    spill.drop(len(batch))
                    await self._write_all()

    async def _write_all(self) -> None:
        if (error := await asyncio.shield(self._begin())) is not None:
            raise error

    def _begin(self) -> asyncio.Task[NaqException | None]:
        """The task that writes: one for all who wait, so that none of them tears a write when it gives up."""
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write(), name="naq-events-of-jobs")
        return self._writing

    async def _write(self) -> NaqException | None:
        """Write all that there is; why it ended before."""
        try:
            while batch := self._queue.take(AT_ONCE):
                await self._send(batch)
        except NaqException as error:
            waiting, self._waiting = self._waiting, []
            for _, written in waiting:
                if not written.done():
                    written.set_exception(error)
            return error
        return None

    async def _send(self, batch: Sequence[Event]) -> None:
        """Write what was taken from the queue; if that takes long, what comes meanwhile is not to wait in memory."""
        done = 0
        self._shelter_soon()
        try:
            await self._append(batch)
            done = len(batch)
        finally:
            if self._slow is not None:
                self._slow.cancel()
            self._queue.settle(done)
            if not done:
                self._queue.shelter()
            self._look()

    def _shelter_soon(self) -> None:
        """Shelter events every so often, until `_slow` is cancelled."""
        if self._queue.spills:
            self._slow = asyncio.get_running_loop().call_later(SLOW, self._shelter)

    def _shelter(self) -> None:
        self._queue.shelter()
        self._look()
        self._shelter_soon()

    async def _append(self, batch: Sequence[Event]) -> None:
        """Write `batch`, without those of it that can never be written."""
        try:
            await self._to.append(batch)
        except (PayloadTooLarge, ConfigurationError) as error:
            if len(batch) > 1:
                for event in batch:
                    await self._append([event])
                return
            self.missed(batch[0].kind, 1)
            if self._throttle.ready("refused"):
                log.warning("an event (%s) of job %s cannot be stored: %s", batch[0].kind, batch[0].job_id, error)
        else:
            self.written += len(batch)

    def _look(self) -> None:
        """Tell those who wait how it is, and say what is to be said."""
        if self.is_full:
            self._room.clear()
        else:
            self._room.set()
        if self._waiting:
            first = self._queue.held.first
            for last, written in self._waiting:
                if last < first and not written.done():
                    written.set_result(None)
            self._waiting = [(last, written) for last, written in self._waiting if not written.done()]
        self._alarm.look(self.fullness, self.dropped)
