"""What every loop of a worker is: something that starts, does rounds, and stops, twice each without harm."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from naq import clock
from naq.exceptions import NaqException
from naq.worker.throttle import Throttle

log = logging.getLogger("naq.worker")

#: Seconds until the next round after one that failed; short, because a lease may hang on it.
RETRY_AFTER: Final = 1.0
#: Seconds that a loop pauses which has nothing left to do.
DONE: Final = 86_400.0


class Service:
    """A loop that does a round, pauses for `interval` seconds, and does the next.

    A round that fails does not end the loop: what the backend reports is logged at most every 10 s, anything else with
    its traceback. Lives on the event loop that was running when it was started.

    Attributes:
        interval: seconds between two rounds; 0 for a loop that waits within its round.
        rounds: rounds completed since the start; for tests and for the curious.
        done_at: monotonic seconds at which the last one was completed; 0 before.
    """

    def __init__(self, name: str, *, interval: float) -> None:
        self.name = name
        self.interval = interval
        self.rounds = 0
        self.done_at = 0.0
        self._task: asyncio.Task[None] | None = None
        self._nudged: asyncio.Event | None = None
        self._throttle = Throttle()

    def start(self) -> None:
        """Begin; does nothing if it runs already."""
        if self._task is None:
            self._nudged = asyncio.Event()
            self._task = asyncio.get_running_loop().create_task(self._loop(self._nudged), name=f"naq-{self.name}")

    async def stop(self) -> None:
        """End, also in the middle of a round; does nothing if it never ran or has ended."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.wait([task])

    def nudge(self) -> None:
        """Do the next round now instead of at its time. Only on the loop it runs on."""
        if self._nudged is not None:
            self._nudged.set()

    async def run_once(self) -> int:
        """One round; how many things it dealt with."""
        raise NotImplementedError

    async def _loop(self, nudged: asyncio.Event) -> None:
        while True:
            nudged.clear()
            try:
                await self.run_once()
                pause = self.interval
                self.rounds += 1
                self.done_at = clock.monotonic()
            except NaqException as error:
                pause = min(RETRY_AFTER, self.interval or RETRY_AFTER)
                if self._throttle.ready(type(error).__name__):
                    log.warning("%s: %s; trying again", self.name, error)
            except Exception:  # a defect in one round must not end leases, heartbeats or fetching for good
                pause = RETRY_AFTER
                log.exception("%s: a round failed; going on", self.name)
            if pause:
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await nudged.wait()
            else:
                await asyncio.sleep(0)


class Once(Service):
    """Does `act`, once: tried again until it is done."""

    def __init__(self, name: str, act: Callable[[], Awaitable[object]]) -> None:
        super().__init__(name, interval=DONE)
        self._act = act
        self._done = False

    async def run_once(self) -> int:
        """Do it; 1, or 0 where it was done before."""
        if self._done:
            return 0
        await self._act()
        self._done = True
        return 1
