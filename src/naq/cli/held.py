"""A backend that is open already, as what reads the inside of jobs wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from naq.backends.base import Backend
    from naq.config import Config


class Held:
    """A `naq.connections.Host` over `backend`."""

    def __init__(self, backend: Backend, config: Config) -> None:
        self.config: Final = config
        self._backend = backend

    @property
    def around_enqueue(self) -> None:
        """Nothing."""
        return

    async def connect(self) -> Backend:
        """The backend."""
        return self._backend
