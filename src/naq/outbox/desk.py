"""The thread in which a relay talks to its database: drivers block, and the event loop must not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from naq.outbox.store import Store

T = TypeVar("T")


class Desk:
    """A `Store` and its thread."""

    def __init__(self, store: Store) -> None:
        self._store: Final = store
        self._thread: Final = ThreadPoolExecutor(1, thread_name_prefix="naq-outbox")

    async def do(self, act: Callable[[Store], T]) -> T:
        """What `act` gives, called with the store in its thread.

        Raises:
            NaqException: the database cannot be reached, or lacks the table.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, act, self._store)

    async def close(self) -> None:
        """Disconnect, after what is under way, and end the thread."""
        await asyncio.shield(self.do(lambda store: store.close()))
        self._thread.shutdown()
