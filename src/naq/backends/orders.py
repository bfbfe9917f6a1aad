"""Orders to a worker, and giving one. Here, below workers, so that whoever manages them need not import them."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from naq.backends.base import Backend, Signal

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


async def give(backend: Backend, worker_id: str, order: Order) -> None:
    """Tell a worker; it learns of it at once, or at its next heartbeat where the signal is lost.

    Raises:
        NaqConnectionError: the order could not be stored.
    """
    await backend.put(KIND, worker_id, order.value.encode(), ttl=KEPT)
    await backend.send(Signal(kind="order", subject=worker_id))
