"""What a worker is told from outside: to go, to run more or fewer jobs at once, to say where its jobs are.

Whoever tells it keeps that in the store for a while and signals that it is there; a worker looks whenever it hears
that, and at every heartbeat, so that no signal need arrive. It looks from the lifeline: its own loop may be blocked. A
worker's id is its own for life, so nothing of it ever meets another worker.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from naq.backends.base import Entries
from naq.backends.orders import KEPT, KIND, RANK, Order, give, read
from naq.worker.service import Service

__all__ = ["KEPT", "KIND", "Order", "Orders", "give"]

log = logging.getLogger("naq.worker")


class Orders(Service):
    """Looks every `interval` seconds, and when nudged, for what is told to `worker`.

    `obey` gets each order once, `resize` the slots whenever they are others (None: those it was started with); both on
    the loop `main`. `look` is asked to answer, with the version of the question, on the loop that this runs on.
    """

    def __init__(
        self,
        backend: Entries,
        worker: str,
        *,
        obey: Callable[[Order], None],
        resize: Callable[[int | None], None],
        look: Callable[[int], Awaitable[None]],
        main: asyncio.AbstractEventLoop,
        interval: float,
    ) -> None:
        super().__init__("orders", interval=interval)
        self._backend = backend
        self._worker = worker
        self._obey, self._resize, self._look = obey, resize, look
        self._main = main
        self._version: int | None = 0
        self._answered: int | None = 0
        self._rank = 0
        self._slots: int | None = None

    async def run_once(self) -> int:
        """Look; 1 if there was something new."""
        entry = await self._backend.entry(KIND, self._worker)
        if entry is None or entry.version == self._answered:
            return 0
        told = read(entry.value)
        if entry.version != self._version:  # else only the answer is owed still: it could not be stored
            self._version = entry.version
            self._take(told.order, told.slots)
        if told.look:
            await self._look(entry.version)
        self._answered = entry.version
        return 1

    def _take(self, order: str, slots: int | None) -> None:
        rank = RANK.get(order, 0)
        if order and not rank:
            log.warning("an order that this naq does not know: %r; ignored", order[:40])
        try:
            if slots != self._slots:
                self._slots = slots
                self._main.call_soon_threadsafe(self._resize, slots)
            if rank > self._rank:
                self._rank = rank
                self._main.call_soon_threadsafe(self._obey, Order(order))
        except RuntimeError:  # the main loop is closed: the worker has gone
            return
