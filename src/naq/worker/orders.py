"""Orders to a worker: let your jobs end and go, or go now. Kept by name until obeyed, so that no signal need arrive.

Whoever gives one keeps it in the store for a while and signals that it is there; a worker looks whenever it hears
that, and at every heartbeat. A worker's id is its own for life, so an order never meets another worker.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from naq.backends.base import Backend
from naq.backends.orders import KEPT, KIND, Order, give
from naq.worker.service import Service

__all__ = ["KEPT", "KIND", "Order", "Orders", "give"]

log = logging.getLogger("naq.worker")

_RANK: Final = {order.value: rank for rank, order in enumerate(Order, 1)}


class Orders(Service):
    """Looks every `interval` seconds, and when nudged, for an order to `worker`; `obey` gets each once."""

    def __init__(self, backend: Backend, worker: str, obey: Callable[[Order], None], *, interval: float) -> None:
        super().__init__("orders", interval=interval)
        self._backend = backend
        self._worker = worker
        self._obey = obey
        self._obeyed = 0
        self._unknown = ""

    async def run_once(self) -> int:
        """Look; 1 if there was something new to obey."""
        entry = await self._backend.entry(KIND, self._worker)
        word = "" if entry is None else entry.value.decode(errors="replace")
        rank = _RANK.get(word, 0)
        if word and not rank and word != self._unknown:
            self._unknown = word
            log.warning("an order that this naq does not know: %r; ignored", word[:40])
        if rank <= self._obeyed:
            return 0
        self._obeyed = rank
        self._obey(Order(word))
        return 1
