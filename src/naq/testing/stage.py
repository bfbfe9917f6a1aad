"""The connection that an app under test has: on its way to the backend, what is enqueued is written down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from naq.connections import Connection
from naq.testing.enqueued import Stored

if TYPE_CHECKING:
    from naq.backends.base import Backend, EnqueueResult
    from naq.config import Config
    from naq.job import JobSpec


class Witness(Protocol):
    """Who is told of every connection and every enqueue."""

    async def opened(self, backend: Backend) -> None:
        """`backend` is open, on one more event loop."""
        ...

    def before(self) -> None:
        """Something is about to be stored; raising keeps it from that."""
        ...

    async def after(self, stored: Sequence[Stored]) -> None:
        """It was stored; `enqueue` returns when this does."""
        ...


class Stage(Connection):
    """A connection whose `enqueue` tells `witness` of it. Usable on every event loop, as all connections."""

    def __init__(self, config: Config, witness: Witness) -> None:
        super().__init__(config)
        self._witness: Final = witness

    async def _opened(self) -> Backend:
        backend = await super()._opened()
        await self._witness.opened(backend)
        return cast("Backend", Watched(backend, self._witness))


class Watched:
    """A backend as it is, but for `enqueue`."""

    def __init__(self, backend: Backend, witness: Witness) -> None:
        self._backend = backend
        self._witness = witness

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    async def enqueue(self, jobs: Sequence[JobSpec], *, timeout: float | None = None) -> list[EnqueueResult]:
        """As the backend does it."""
        self._witness.before()
        results = await self._backend.enqueue(jobs, timeout=timeout)
        await self._witness.after([Stored(job, result.duplicate) for job, result in zip(jobs, results, strict=True)])
        return results
