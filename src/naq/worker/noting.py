"""What the code inside jobs stands on in a worker: notes are collected by one loop, questions go to its backend."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from naq import clock
from naq.backends.base import Backend
from naq.config import Config
from naq.context import Context, notes_of
from naq.exceptions import NaqException
from naq.inside import joblog
from naq.inside.ground import Notes
from naq.inside.notes import METRIC
from naq.inside.taken import Taken
from naq.sync.bridge import refuse_on_loop
from naq.worker.buffer.writer import EventWriter
from naq.worker.service import Service

log = logging.getLogger("naq.worker")
T = TypeVar("T")

#: Seconds between two looks while jobs report something: soon enough for who watches, few enough for the broker.
SWEEP: Final = 0.1
#: Seconds without anything reported after which to look all the same.
IDLE: Final = 3600.0
#: Seconds that the outcome of a job waits for its last notes at most.
PATIENCE: Final = 2.0


class Noting(Service):
    """A `naq.inside.ground.Ground`: the notes of all attempts go to `events`, and questions to the worker's backend."""

    def __init__(self, backend: Backend, config: Config, events: EventWriter) -> None:
        super().__init__("notes", interval=IDLE)
        self.config: Final = config
        self._backend = backend
        self._events = events
        self._home = asyncio.get_running_loop()
        self._dirty: set[Taken] = set()
        self._lock = threading.Lock()  # on `_dirty`: jobs in threads add to it while it is emptied

    def notes(self, context: Context) -> Notes:
        """See `Ground.notes`."""
        return Taken(context, self.config, self._touch)

    async def ask(self, act: Callable[[Backend], Awaitable[T]]) -> T:
        """See `Ground.ask`."""
        if asyncio.get_running_loop() is self._home:
            return await act(self._backend)
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._act(act), self._home))

    def ask_sync(self, instead: str, act: Callable[[Backend], Awaitable[T]]) -> T:
        """See `Ground.ask_sync`."""
        refuse_on_loop(instead)
        return asyncio.run_coroutine_threadsafe(self._act(act), self._home).result()

    async def _act(self, act: Callable[[Backend], Awaitable[T]]) -> T:
        return await act(self._backend)

    def start(self) -> None:
        """Begin; see `Service.start`."""
        super().start()
        joblog.install()

    async def stop(self) -> None:
        """End, with a last look at what is there; see `Service.stop`."""
        if self._task is not None:
            joblog.remove()
        await super().stop()
        self._collect()

    async def run_once(self) -> int:
        """Collect what jobs have reported, unless it has to wait with them; how many of them had."""
        return 0 if self._events.is_full else self._collect()

    async def finish(self, context: Context) -> None:
        """Write the last of what an attempt has reported, before its outcome is stored; waits 2 s at most."""
        taken = notes_of(context)
        assert isinstance(taken, Taken)
        with self._lock:
            self._dirty.discard(taken)
        self._take(taken, clock.monotonic(), last=True)
        try:
            async with asyncio.timeout(PATIENCE):
                await self._events.flush()
        except (NaqException, TimeoutError) as error:
            log.debug("the last notes of job %s wait: %s", context.job_id, error)

    def _collect(self) -> int:
        with self._lock:
            dirty, self._dirty = self._dirty, set()
        now = clock.monotonic()
        later = {taken for taken in dirty if self._take(taken, now)}
        with self._lock:
            self._dirty |= later
        self.interval = SWEEP if dirty or self._dirty else IDLE
        return len(dirty)

    def _take(self, taken: Taken, now: float, *, last: bool = False) -> bool:
        """Have written what is to be written now; whether there is more to be written later."""
        events, again = taken.take(now, last=last)
        if missed := taken.missed():
            self._events.missed(METRIC, missed)
        self._events.put(*events)
        return again is not None

    def _touch(self, taken: Taken) -> None:
        """Something is to be written; from any thread."""
        with self._lock:
            if taken in self._dirty:
                return
            self._dirty.add(taken)
        try:
            self._home.call_soon_threadsafe(self._wake)
        except RuntimeError:  # the loop is closed: nobody writes any more
            return

    def _wake(self) -> None:
        if self.interval != SWEEP:
            self.interval = SWEEP
            self.nudge()
