"""A relay by itself: a process that sends what is in an outbox, without running any jobs."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from naq.backends import from_url
from naq.config.fields import hide_credentials
from naq.exceptions import NaqException
from naq.outbox.hosted import Relaying
from naq.worker.connecting import connected

if TYPE_CHECKING:
    from naq.outbox.outbox import Outbox

log = logging.getLogger("naq.outbox")


class Relay:
    """Sends what is in `outbox`, until it is stopped. One relay, one `run`. Workers do this by themselves.

    Raises:
        ConfigurationError: the database cannot be used from here; says why.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox: Final = outbox
        self._stop: Final = asyncio.Event()
        self._ran = False
        outbox.database.driver()

    def stop(self) -> None:
        """Return from `run`. Only on its event loop."""
        self._stop.set()

    async def run(self) -> None:
        """Send until `stop`. A broker or a database that is away is waited for.

        Raises:
            NaqException: it has run already.
            ConfigurationError, BrokerTooOld: the backend refuses the settings, or lacks what naq needs.
        """
        if self._ran:
            raise NaqException("this relay has run already; make another")
        self._ran = True
        config = self._outbox.app.config
        backend, url = from_url(config), hide_credentials(config.broker_url)
        async with connected(backend, self._stop, url=url) as is_open:
            if not is_open:
                return
            service = Relaying(self._outbox, backend)
            log.info("relaying %s in %s to %s", self._outbox.table, self._outbox.database.where, url)
            try:
                service.start()
                await self._stop.wait()
            finally:
                await service.stop()
