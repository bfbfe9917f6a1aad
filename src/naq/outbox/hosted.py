"""The relay as a service: it looks, sends, and waits until it is woken or it is time to look again."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from naq.exceptions import NaqException
from naq.outbox.delivery import Delivery
from naq.outbox.desk import Desk
from naq.outbox.waking import Waking
from naq.worker.service import RETRY_AFTER, Service

if TYPE_CHECKING:
    from naq.backends.base import Backend
    from naq.outbox.outbox import Outbox

log = logging.getLogger("naq.outbox")

#: Seconds between two looks at a table in which there is nothing: soon after there was something, then longer.
SOON, LATER = 0.02, 0.5
#: The same where the database says when there is something: for what it could not say, and for rows that are put off.
TOLD: Final = 5.0
GRACE: Final = 5.0  # seconds that a round may still take when its worker stops


class Relaying(Service):
    """Sends what is in an outbox to `backend`, which is somebody else's. Any number of them share the work.

    Raises:
        ConfigurationError: the database cannot be used from here; says why.
    """

    def __init__(self, outbox: Outbox, backend: Backend) -> None:
        super().__init__("outbox", interval=SOON)
        store = outbox.store()
        store.database.driver()
        self._desk: Final = Desk(store)
        self._delivery: Final = Delivery(backend, outbox.app.config, self._desk, lease=outbox.lease)
        self._waking: Final = Waking(store.database, outbox.app.config.namespace, self.nudge) if outbox.notify else None
        self._busy: Final = asyncio.Lock()
        self.relayed = 0

    def start(self) -> None:
        """Begin; does nothing if it runs already."""
        super().start()
        if self._waking is not None:
            self._waking.start()

    async def stop(self) -> None:
        """End after the round that is under way."""
        if self._waking is not None:
            await self._waking.stop()
        try:
            async with asyncio.timeout(GRACE), self._busy:
                await super().stop()
        except TimeoutError:  # a broker that does not answer: what was taken waits for the end of its lease
            await super().stop()
        await self._desk.close()

    async def run_once(self) -> int:
        """One round; how many rows it dealt with."""
        async with self._busy:
            try:
                count = await self._delivery.round()
            except NaqException:
                self.interval = RETRY_AFTER
                raise
        self.relayed += count
        told = self._waking is not None and self._waking.listens
        if count:
            self.interval = 0.0 if self._delivery.full else SOON
        else:
            self.interval = TOLD if told else min(max(self.interval, SOON) * 2, LATER)
        return count


async def flush(outbox: Outbox, backend: Backend) -> int:
    """Rounds until nothing is due."""
    desk, total = Desk(outbox.store()), 0
    delivery = Delivery(backend, outbox.app.config, desk, lease=outbox.lease)
    try:
        while count := await delivery.round():
            total += count
    finally:
        await desk.close()
    return total
