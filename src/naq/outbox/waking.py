"""Being told by PostgreSQL that something was committed. Best effort: without it, a relay looks by itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from naq.outbox.databases import Database
from naq.outbox.tables import CHANNEL

log = logging.getLogger("naq.outbox")

#: Seconds between two tries to listen: meanwhile the relay looks twice a second.
AGAIN: Final = 2.0
#: Seconds after which a connection that says nothing is asked whether it is there.
QUIET: Final = 30.0


class Waking:
    """Calls `wake` when rows of `namespace` were committed. Does nothing for databases that cannot tell.

    Attributes:
        listens: whether it would be told now.
    """

    def __init__(self, database: Database, namespace: str, wake: Callable[[], None]) -> None:
        self._database: Final = database
        self._namespace: Final = namespace
        self._wake: Final = wake
        self._task: asyncio.Task[None] | None = None
        self.listens = False

    def start(self) -> None:
        """Begin."""
        if self._task is None and self._database.dialect == "postgresql":
            self._task = asyncio.get_running_loop().create_task(self._loop(), name="naq-outbox-waking")

    async def stop(self) -> None:
        """End; does nothing if it never began."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _loop(self) -> None:
        driver = self._database.driver()
        while True:
            try:
                options = {**self._database.options, "application_name": f"naq outbox {self._namespace}"}
                async with await driver.AsyncConnection.connect(**options) as connection:
                    await self._listen(connection)
            except (driver.Error, OSError) as error:
                log.debug("outbox: not told of commits in %s: %s", self._database.where, error)
            finally:
                self.listens = False
            self._wake()
            await asyncio.sleep(AGAIN)

    async def _listen(self, connection: Any) -> None:
        await connection.execute(f"LISTEN {CHANNEL}")
        self.listens = True
        self._wake()  # for what was committed before
        while True:
            async for notice in connection.notifies(timeout=QUIET):
                if notice.payload == self._namespace:
                    self._wake()
            await connection.execute("SELECT 1")
