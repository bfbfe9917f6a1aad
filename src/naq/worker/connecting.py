"""Waiting for the backend, however long that takes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from naq.backends.base import JobQueue
from naq.exceptions import BrokerTooOld, NaqConnectionError
from naq.worker.throttle import Throttle

log = logging.getLogger("naq.worker")

#: Seconds one try may take, and between two. Short, so that a worker is there soon after its broker.
TRY, PAUSE = 5.0, 0.5


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
