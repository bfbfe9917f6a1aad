"""Coming and going: waiting for the backend however long that takes, and leaving it without waiting for long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from naq.backends.base import JobQueue
from naq.exceptions import BrokerTooOld, NaqConnectionError, NaqException
from naq.worker.drain import within
from naq.worker.throttle import Throttle

log = logging.getLogger("naq.worker")

#: Seconds one try may take, and between two. Short, so that a worker is there soon after its broker.
TRY, PAUSE = 5.0, 0.5
#: Seconds for each farewell (unregister, resign, close): a broker that is gone must not keep a process from ending.
FAREWELL: Final = 2.0


async def open_for_ever(queue: JobQueue, queues: Sequence[str], throttle: Throttle, *, url: str) -> None:
    """Open `queue`, trying until it works; says every 10 s that it waits. `url` (without secrets) is for that line.

    Raises:
        BrokerTooOld, ConfigurationError: waiting would not help.
    """
    failed: Final = "connection"
    while True:
        try:
            await queue.open(queues, wait=TRY)
        except BrokerTooOld:
            raise
        except NaqConnectionError as error:
            if throttle.ready(failed):
                log.warning("waiting for the broker at %s: %s", url, error)
            await asyncio.sleep(PAUSE)
        else:
            return


@asynccontextmanager
async def connected(backend: JobQueue, stop: asyncio.Event, *, url: str) -> AsyncGenerator[bool]:
    """`backend`, opened however long that takes, and closed behind the block. Gives False where `stop` was set first.

    Raises:
        BrokerTooOld, ConfigurationError: waiting would not help.
    """
    try:
        opening = asyncio.ensure_future(open_for_ever(backend, [], Throttle(), url=url))
        await within(opening, stop, timeout=None)
        if not opening.cancelled():
            opening.result()
        yield not opening.cancelled()
    finally:
        await farewell("close the connection", backend.close())


async def farewell(what: str, said: Awaitable[object]) -> None:
    """Wait until the backend has heard what is `said`, 2 s at most: nobody depends on it."""
    try:
        async with asyncio.timeout(FAREWELL):
            await said
    except (NaqException, TimeoutError) as error:
        log.debug("could not %s: %s", what, error)
