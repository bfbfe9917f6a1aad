"""Events in a worker: its handlers are made known at its start, and one worker of the fleet deals with the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from naq import clock
from naq.backends.base import Backend
from naq.config import Config
from naq.events.fanout import Fanout
from naq.exceptions import NaqException
from naq.worker.service import Service

if TYPE_CHECKING:
    from naq.app import Naq

log = logging.getLogger("naq.worker")

LEADERSHIP: Final = "events"
#: Seconds a leadership lasts, and between two renewals.
LEASE, RENEW = 10.0, 3.0


class Dispatching(Service):
    """Registers the handlers of `app`; takes or renews the leadership, and while it holds it, deals with events.

    Attributes:
        dealt: events dealt with so far by this worker.
    """

    def __init__(self, backend: Backend, config: Config, app: Naq, worker: str) -> None:
        super().__init__("events", interval=0)
        self.dealt = 0
        self._backend = backend
        self._config = config
        self._app = app
        self._worker = worker
        self._registered = False
        self._fanout: Fanout | None = None
        self._leads = False

    async def run_once(self) -> int:
        """Lead for a moment; how many events were dealt with. 0 where another worker leads."""
        if not self._registered:
            await self._register()
        until = await self._backend.lead(LEADERSHIP, self._worker, ttl=LEASE)
        if until is None:
            self._fanout = None
            self.interval = RENEW
            return 0
        self.interval = 0
        self._leads = True
        if self._fanout is None:
            fanout = Fanout(self._backend, self._config)
            await fanout.begin()
            self._fanout = fanout
        dealt, end = 0, min(until, clock.monotonic() + RENEW)
        while (left := end - clock.monotonic()) > 0:
            dealt += await self._fanout.step(wait=left)
        self.dealt += dealt
        return dealt

    async def register(self) -> None:
        """Make the handlers known, so that events count for them from here on; a round tries again."""
        try:
            await self._register()
        except NaqException as error:
            log.warning("events: the handlers could not be made known: %s; trying again", error)

    async def _register(self) -> None:
        if (declared := self._app.handles) is not None:
            from naq.events.handling import register

            await register(self._backend, self._config, list(declared.all.values()))
        self._registered = True

    async def resign(self) -> None:
        """Let another worker lead at once."""
        if self._leads:
            self._leads = False
            try:
                await self._backend.resign(LEADERSHIP, self._worker)
            except NaqException as error:  # the lease runs out by itself
                log.debug("could not resign: %s", error)
