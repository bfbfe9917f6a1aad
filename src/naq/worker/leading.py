"""What one process of the fleet does for all: it takes the lead, and as long as it has it, its duties run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Final

from naq import clock
from naq.backends.base import Registry
from naq.worker.connecting import farewell
from naq.worker.service import Service

log = logging.getLogger("naq.worker")

#: Who does what jobs need of a fleet: every worker can.
LEADER: Final = "leader"
#: Who keeps schedules: apart, for workers may be told to leave that to others (`naq worker --no-scheduler`).
SCHEDULER: Final = "scheduler"
#: Seconds a leadership lasts, and between two renewals (RELIABILITY.md 5.4).
LEASE, RENEW = 10.0, 3.0


class Leading(Service):
    """Takes or renews leaderships for `holder`, and runs the duties of those it has: `duties`, by leadership.

    A duty starts when its leadership is won and stops when it is lost, or has run out because nobody could be asked.
    Two leaders at once do no harm, nor does one that was frozen and acts once more: that is for each duty to see to.
    """

    def __init__(
        self, registry: Registry, holder: str, duties: Mapping[str, Sequence[Service]], *, renew: float = RENEW
    ) -> None:
        super().__init__("leadership", interval=renew)
        self._registry = registry
        self._holder = holder
        self._duties = duties
        self._until = dict.fromkeys(duties, 0.0)  # monotonic seconds

    def leads(self, name: str) -> bool:
        """Whether it has the leadership `name` right now."""
        return clock.monotonic() < self._until[name]

    def led(self) -> list[str]:
        """The leaderships it has right now; for any thread."""
        return [name for name in self._until if self.leads(name)]

    async def run_once(self) -> int:
        """Take or renew what can be had; how many leaderships that is."""
        for failed in await asyncio.gather(*map(self._renew, self._duties), return_exceptions=True):
            if isinstance(failed, BaseException):
                raise failed
        return sum(map(self.leads, self._duties))

    async def _renew(self, name: str) -> None:
        left = self._until[name] - clock.monotonic()
        if left <= 0:
            await self._lay_down(name)
        try:
            async with asyncio.timeout(left if left > 0 else None):
                until = await self._registry.lead(name, self._holder, ttl=LEASE)
        except TimeoutError:
            until = None
        if until is None or clock.monotonic() >= until:
            await self._lay_down(name)
            return
        self._until[name] = until
        for duty in self._duties[name]:
            duty.start()

    async def _lay_down(self, name: str) -> None:
        self._until[name] = 0.0
        for duty in reversed(self._duties[name]):
            await duty.stop()

    async def stop(self) -> None:
        """End, with all duties, and let others lead at once; waits at most 2 s for the backend to hear of that."""
        ran = self._task is not None
        await super().stop()
        for name in self._duties:
            await self._lay_down(name)
        if not ran:
            return
        # All of them: a round that was cut short may have won one that we never heard of.
        said = asyncio.gather(*(self._registry.resign(name, self._holder) for name in self._duties))
        await farewell("resign", said)  # the leases run out by themselves
