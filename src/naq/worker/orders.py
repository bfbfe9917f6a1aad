"""Orders to a worker: let your jobs end and go, or go now. Kept by name until obeyed, so that no signal need arrive.

Whoever gives one keeps it in the store for a while and signals that it is there; a worker looks whenever it hears
that, and at every heartbeat. A worker's id is its own for life, so an order never meets another worker.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from naq.backends.base import Backend, Signal
from naq.worker.service import Service

log = logging.getLogger("naq.worker")

#: What sort of small value an order is.
KIND: Final = "order"
#: Seconds that one is kept: longer than a worker may be cut off from its broker and come back. It is never obeyed
#: by another worker, so only space speaks against more.
KEPT: Final = 3600.0


class Order(StrEnum):
    """What a worker can be told, the gentlest first; it obeys one that is harder than those before."""

    DRAIN = "drain"  # claim nothing more, let running jobs end however long they take, end
    STOP = "stop"  # the same with its shutdown_timeout, as SIGTERM does
    NOW = "now"  # put running jobs back at once, as a second SIGTERM does


_RANK: Final = {order.value: rank for rank, order in enumerate(Order, 1)}


async def give(backend: Backend, worker_id: str, order: Order) -> None:
    """Tell a worker; it learns of it at once, or at its next heartbeat where the signal is lost.

    Raises:
        NaqConnectionError: the order could not be stored.
    """
    await backend.put(KIND, worker_id, order.value.encode(), ttl=KEPT)
    await backend.send(Signal(kind="order", subject=worker_id))


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
