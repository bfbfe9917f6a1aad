"""What a worker is told, and telling it. Here, below workers, so that whoever manages them need not import them."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from naq.backends.base import Backend, Signal

#: What sort of small value this is; its key is the worker's id.
KIND: Final = "order"
#: Seconds that it is kept: longer than a worker may be cut off from its broker and come back. It is never obeyed
#: by another worker, so only space speaks against more.
KEPT: Final = 3600.0


class Order(StrEnum):
    """How a worker can be told to go, the gentlest first; it obeys one that is harder than those before."""

    DRAIN = "drain"  # claim nothing more, let running jobs end however long they take, end
    STOP = "stop"  # the same with its shutdown_timeout, as SIGTERM does
    NOW = "now"  # put running jobs back at once, as a second SIGTERM does


RANK: Final = {order.value: rank for rank, order in enumerate(Order, 1)}


class Told(Struct, frozen=True, omit_defaults=True):
    """All that one worker is told, in one value: it looks once, and learns everything.

    Attributes:
        order: to go, an `Order`; "": not to.
        slots: how many jobs it may run at once, 0 to pause it; None: as many as it was started with.
        look: whether somebody wants to know where its jobs are (`naq.backends.stacks`).
    """

    order: str = ""
    slots: int | None = None
    look: bool = False


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Told).decode


def read(value: bytes) -> Told:
    """What is kept of it; a bare word is an order, as older programs gave it."""
    try:
        return _decode(value)
    except msgspec.DecodeError:
        return Told(order=value.decode(errors="replace"))


async def tell(backend: Backend, worker_id: str, change: Callable[[Told], Told]) -> int:
    """Change what a worker is told; the version of that. It learns of it at once, or at its next heartbeat.

    Raises:
        NaqConnectionError: it could not be stored.
    """
    while True:
        there = await backend.entry(KIND, worker_id)
        told = change(Told() if there is None else read(there.value))
        expect = 0 if there is None else there.version
        version = await backend.put(KIND, worker_id, _encode(told), expect=expect, ttl=KEPT)
        if version is not None:  # else somebody told it something else in between
            break
    await backend.send(Signal(kind="order", subject=worker_id))
    return version


async def give(backend: Backend, worker_id: str, order: Order) -> None:
    """Tell a worker to go; raises as `tell`."""

    def harder(told: Told) -> Told:
        return told if RANK.get(told.order, 0) > RANK[order.value] else replace(told, order=order.value)

    await tell(backend, worker_id, harder)


async def set_slots(backend: Backend, worker_id: str, slots: int | None) -> None:
    """Let a worker run so many jobs at once until it ends, 0: none; None: as when it started. Raises as `tell`."""
    await tell(backend, worker_id, lambda told: replace(told, slots=slots))
