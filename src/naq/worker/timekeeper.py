"""Schedules inside a worker: brought in line with the app's code at its start, and kept going by the leader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from naq import clock
from naq.config import Config
from naq.scheduler.acts import Acts
from naq.scheduler.declared import reconcile
from naq.scheduler.planner import Keeping, Planner
from naq.worker.service import Service
from naq.worker.upkeep import Upkeep

if TYPE_CHECKING:
    from naq.app import Naq

#: Seconds between two looks at all schedules. Ticks are in the broker for 30 s ahead at least, so that a leader that
#: dies is noticed (10 s) and followed (a look) before any is missing.
POLL: Final = 10.0
_TURN: Final = 1.0  # seconds between two questions whether this worker leads; it asks itself, nobody else


class Timekeeper(Service):
    """Looks at every schedule each `poll` seconds while this worker leads; at once when it has become the leader."""

    def __init__(
        self, backend: Keeping, config: Config, upkeep: Upkeep | None, app: Naq | None, *, poll: float = POLL
    ) -> None:
        super().__init__("schedules", interval=min(_TURN, poll))
        self._planner = Planner(backend, config)
        self._acts = Acts(backend, config)
        self._upkeep = upkeep
        self._app = app
        self._poll = poll
        self._declared = False
        self._looked_at = float("-inf")

    async def run_once(self) -> int:
        """One round; how many jobs were stored, 0 where it is not this worker's turn."""
        if not self._declared:
            if self._app is not None and self._app.declares:
                await reconcile(self._acts, self._app.name, self._app.declarations.all.values())
            self._declared = True
        now = clock.monotonic()
        if self._upkeep is not None and now >= self._upkeep.leads_until:
            self._looked_at = float("-inf")
            return 0
        if now - self._looked_at < self._poll:
            return 0
        made = await self._planner.round()
        self._looked_at = now
        return made
