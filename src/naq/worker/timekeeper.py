"""Keeping schedules going: a duty of whoever leads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from naq.config import Config
from naq.scheduler.acts import Acts
from naq.scheduler.declared import reconcile
from naq.scheduler.planner import Keeping, Planner
from naq.worker.service import Once, Service

if TYPE_CHECKING:
    from naq.app import Naq

#: Seconds between two looks at all schedules. Ticks are in the broker for 30 s ahead at least, so that a leader that
#: dies is noticed (10 s) and followed (a look) before any is missing.
POLL: Final = 10.0


class Timekeeper(Service):
    """Looks at every schedule each `poll` seconds."""

    def __init__(self, backend: Keeping, config: Config, *, poll: float = POLL) -> None:
        super().__init__("schedules", interval=poll)
        self._planner = Planner(backend, config)

    async def run_once(self) -> int:
        """One look; how many jobs were stored."""
        return await self._planner.round()


def declaring(backend: Keeping, config: Config, app: Naq) -> Once:
    """What brings the schedules that `app` declares in line with its code."""

    async def act() -> None:
        if app.declares:
            await reconcile(Acts(backend, config), app.name, app.declarations.all.values())

    return Once("declared schedules", act)
