"""How sleepers are woken, from any thread and any event loop."""

from __future__ import annotations

import asyncio
from typing import Final

_SHORTEST: Final = 0.0002  # seconds; keeps a sleeper whose time is a rounding error away from spinning


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Sleeper:
    """One coroutine that sleeps until it is woken or its time has come, whichever is first.

    `until` is the monotonic time it means to wake by itself; whoever learns of something earlier wakes it.
    Arm it under the store's lock, in the same breath as the check that found nothing: then no wake-up is lost.
    """

    __slots__ = ("_future", "_loop", "until")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._future = self._loop.create_future()
        self.until = 0.0

    def arm(self, until: float) -> None:
        """Be ready to be woken; call before every `sleep`."""
        self.until = until
        if self._future.done():
            self._future = self._loop.create_future()

    def wake(self) -> None:
        """End the sleep; safe from any thread, and when it has ended already."""
        if asyncio._get_running_loop() is self._loop:
            _finish(self._future)
            return
        try:
            self._loop.call_soon_threadsafe(_finish, self._future)
        except RuntimeError:  # its loop has been closed: nobody sleeps there any more
            return

    async def sleep(self, seconds: float) -> None:
        """Sleep for at most `seconds` (may be infinite)."""
        if seconds == float("inf"):
            await self._future
            return
        timer = self._loop.call_later(max(seconds, _SHORTEST), _finish, self._future)
        try:
            await self._future
        finally:
            timer.cancel()


class Bell:
    """Sleepers who wait for the same thing. Every method is called under the store's lock."""

    __slots__ = ("_sleepers",)

    def __init__(self) -> None:
        self._sleepers: set[Sleeper] = set()

    def __bool__(self) -> bool:
        return bool(self._sleepers)

    def add(self, sleeper: Sleeper) -> None:
        """Wake `sleeper` when the bell rings."""
        self._sleepers.add(sleeper)

    def discard(self, sleeper: Sleeper) -> None:
        """Forget `sleeper`."""
        self._sleepers.discard(sleeper)

    def ring(self) -> None:
        """Wake everybody."""
        for sleeper in self._sleepers:
            sleeper.wake()

    def ring_before(self, time: float) -> None:
        """Wake those who mean to sleep past `time` (monotonic), since something is due by then."""
        for sleeper in self._sleepers:
            if sleeper.until > time:
                sleeper.wake()
