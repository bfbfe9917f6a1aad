"""The parts of the seam that are not about jobs: who is there, small values, signals."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from naq.backends.values import Entry, Signal, WorkerInfo


class Registry(Protocol):
    """Who is there, and who leads."""

    async def register(self, worker: WorkerInfo, *, ttl: float) -> None:
        """Say that `worker` lives; forgotten after `ttl` seconds without another word."""
        ...

    async def unregister(self, worker_id: str) -> None:
        """Say that it has gone; does nothing if it is unknown."""
        ...

    async def died(self, worker_id: str, claims: Sequence[bytes]) -> int:
        """It is dead, says who knows for sure: `claims`, receipts it held, are queued at once, their leases ended.

        How many there were. 0, and nothing done, where it is not there (any more): it said goodbye, or somebody else
        was quicker, and they may be others' by now. A claim whose lease may have ended must not be among them.
        """
        ...

    async def workers(self) -> list[WorkerInfo]:
        """Who said within their `ttl` that they live."""
        ...

    async def lead(self, name: str, holder: str, *, ttl: float) -> float | None:
        """Take or renew the leadership `name` for `holder`; monotonic deadline until which it holds, or None."""
        ...

    async def resign(self, name: str, holder: str) -> None:
        """Give the leadership up at once, if `holder` has it."""
        ...


class Entries(Protocol):
    """Small values by name, changed by compare-and-set: schedules, limits, keys that may be taken once.

    What they mean is said above the seam, once for all backends (docs/adr/0009). A kind is one name, a key one to
    four joined by ``.``; any other is refused with `ConfigurationError`.
    """

    async def put(
        self, kind: str, key: str, value: bytes, *, expect: int | None = None, ttl: float | None = None
    ) -> int | None:
        """Keep `value` under `key`; its version, or None, and nothing done, where what is there is not as expected.

        `expect` is the version that must be there, 0 for none at all; None overwrites whatever it is. After `ttl`
        seconds (at least 1; stores may round up to the next whole second) it is gone; None: it stays.
        """
        ...

    async def entry(self, kind: str, key: str) -> Entry | None:
        """What is kept under `key` now, or None."""
        ...

    async def entries(self, kind: str, *, under: str = "") -> list[Entry]:
        """All of a kind, or those whose key is `under` with one more name or several behind it; by key."""
        ...

    async def remove(self, kind: str, key: str, *, expect: int | None = None) -> bool:
        """Remove what is under `key`, where `expect` is given only that version; whether it was removed."""
        ...


class Signals(Protocol):
    """Best effort: everything must also work with every signal lost."""

    async def send(self, signal: Signal) -> None:
        """Tell whoever listens; never waits for anybody."""
        ...

    def listen(self) -> AsyncIterator[Signal]:
        """Signals from now on, until the iterator is closed."""
        ...
