"""What every part of a memory backend shares: its store, its settings, and whether it is open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from naq import clock
from naq.backends.base import Health
from naq.backends.memory.store import Store
from naq.backends.memory.wake import Bell, Sleeper
from naq.config import Config
from naq.exceptions import NaqConnectionError

T = TypeVar("T")
_DOWN: Final = "the broker cannot be reached: a test says that it is down"


class Instance:
    """One opened view of a store; several may share it, in several threads and event loops."""

    def __init__(self, config: Config, store: Store) -> None:
        self._config: Final = config
        self._store: Final = store
        self._open = False
        self._asleep: Final[set[Sleeper]] = set()

    def health(self) -> Health:
        """Ready while it is open."""
        if self._store.down:
            return Health(False, _DOWN)
        return Health(self._open, "" if self._open else "closed")

    def _check_open(self) -> None:
        if not self._open:
            raise NaqConnectionError("this memory backend is not open; call open() before using it")
        self._check_up()

    def _check_up(self) -> None:
        if self._store.down:
            raise NaqConnectionError(_DOWN)

    async def _yield(self) -> None:
        """Let others run, as a backend with a network does: a caller in a loop must not starve the event loop."""
        self._check_open()
        await asyncio.sleep(0)

    async def _until(self, look: Callable[[], T | None], bells: Callable[[], Iterable[Bell]], wait: float) -> T | None:
        """What `look` finds, asking again whenever one of `bells` rings or something is due; None after `wait` s.

        Both are called under the store's lock. Seconds of a test's clock, or real ones where that stands still: a wait
        with an end must not last for ever.
        """
        store = self._store
        end, real_end = clock.monotonic() + wait, time.monotonic() + wait
        sleeper: Sleeper | None = None
        heard: tuple[Bell, ...] = ()
        try:
            while True:
                with store.lock:
                    if not self._open:
                        self._check_open()
                    if not store.down and (found := look()) is not None:
                        return found
                    now = clock.monotonic()
                    if now >= end or time.monotonic() >= real_end:
                        self._check_up()
                        return None
                    until = end if store.down else min(end, store.next_due())
                    if sleeper is None:
                        sleeper = Sleeper()
                        heard = tuple(bells())
                        self._asleep.add(sleeper)
                        for bell in heard:
                            bell.add(sleeper)
                    sleeper.arm(until)
                await sleeper.sleep(until - now)
        finally:
            if sleeper is not None:
                with store.lock:
                    self._asleep.discard(sleeper)
                    for bell in heard:
                        bell.discard(sleeper)
