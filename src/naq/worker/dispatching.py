"""Events become jobs: a duty of the leader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from naq.backends.base import Backend
from naq.config import Config
from naq.events.fanout import LOOK, Fanout
from naq.worker.service import Once, Service

if TYPE_CHECKING:
    from naq.app import Naq


class Dispatching(Service):
    """Deals with the log of events, for all handlers of the fleet.

    Attributes:
        dealt: events dealt with so far by this process.
    """

    def __init__(self, backend: Backend, config: Config) -> None:
        super().__init__("events", interval=0)
        self.dealt = 0
        self._backend = backend
        self._config = config
        self._fanout: Fanout | None = None

    async def run_once(self) -> int:
        """Wait for the next events, for a while; how many were dealt with."""
        if self._fanout is None:
            fanout = Fanout(self._backend, self._config)
            await fanout.begin()
            self._fanout = fanout
        dealt = await self._fanout.step(wait=LOOK)
        self.dealt += dealt
        return dealt

    async def stop(self) -> None:
        """End; see `Service.stop`. Whoever is next begins where the fleet has come to by then."""
        await super().stop()
        self._fanout = None


def handling(backend: Backend, config: Config, app: Naq) -> Once:
    """What makes the handlers of `app` known, so that events count for them from then on."""

    async def act() -> None:
        if (declared := app.handles) is not None:
            from naq.events.handling import register

            await register(backend, config, list(declared.all.values()))

    return Once("event handlers", act)
