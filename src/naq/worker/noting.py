"""What the code inside jobs stands on in a worker: notes are written by one loop, questions go to its backend."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from naq import clock
from naq.backends.base import Backend, Event
from naq.config import Config
from naq.context import Context, notes_of
from naq.exceptions import NaqException
from naq.inside import joblog
from naq.inside.ground import Notes
from naq.inside.taken import Taken
from naq.sync.bridge import refuse_on_loop
from naq.worker.service import Service

log = logging.getLogger("naq.worker")
T = TypeVar("T")

#: Seconds between two writes while jobs report something: soon enough for who watches, few enough for the broker.
SWEEP: Final = 0.1
#: Seconds without anything to write after which to look all the same.
IDLE: Final = 3600.0
#: Events kept while the backend is away; older ones are dropped: notes may be lost, memory must not fill.
MOST: Final = 10_000
#: Seconds that the outcome of a job waits for its last notes at most.
PATIENCE: Final = 2.0


class Noting(Service):
    """A `naq.inside.ground.Ground`: notes of all attempts in one write, and the worker's own backend."""

    def __init__(self, backend: Backend, config: Config) -> None:
        super().__init__("notes", interval=IDLE)
        self.config: Final = config
        self._backend = backend
        self._home = asyncio.get_running_loop()
        self._dirty: set[Taken] = set()
        self._pending: list[Event] = []

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
        """End, with a last write of what is there; see `Service.stop`."""
        if self._task is not None:
            joblog.remove()
        await super().stop()
        try:
            async with asyncio.timeout(PATIENCE):
                await self.run_once()
        except (NaqException, TimeoutError) as error:
            log.debug("%d notes of jobs could not be written: %s", len(self._pending), error)

    async def run_once(self) -> int:
        """Write what jobs have reported; how many events that was."""
        dirty, self._dirty = self._dirty, set()
        now = clock.monotonic()
        for taken in dirty:
            events, again = taken.take(now)
            self._pending += events
            if again is not None:
                self._dirty.add(taken)
        self.interval = SWEEP if dirty or self._dirty else IDLE
        return await self._flush()

    async def finish(self, context: Context) -> None:
        """Write the last of what an attempt has reported, before its outcome is stored; waits 2 s at most."""
        taken = notes_of(context)
        assert isinstance(taken, Taken)
        self._dirty.discard(taken)
        self._pending += taken.take(clock.monotonic(), last=True)[0]
        try:
            async with asyncio.timeout(PATIENCE):
                await self._flush()
        except (NaqException, TimeoutError) as error:
            log.debug("the last notes of job %s wait: %s", context.job_id, error)
            self._wake()

    async def _flush(self) -> int:
        if not self._pending:
            return 0
        events, self._pending = self._pending, []
        try:
            await self._backend.append(events)
        except (NaqException, asyncio.CancelledError):
            self._pending = [*events, *self._pending][-MOST:]
            raise
        return len(events)

    def _touch(self, taken: Taken) -> None:
        """Something is to be written; from any thread."""
        if taken not in self._dirty:
            self._dirty.add(taken)
            try:
                self._home.call_soon_threadsafe(self._wake)
            except RuntimeError:  # the loop is closed: nobody writes any more
                return

    def _wake(self) -> None:
        if self.interval != SWEEP:
            self.interval = SWEEP
            self.nudge()
