"""Purging a queue, and telling whoever releases jobs: those who wait for a job that is gone learn of it at once."""

from __future__ import annotations

import logging
from typing import Final, Protocol

from naq.backends.base import Event, EventLog, JobAdmin
from naq.exceptions import NaqException

log = logging.getLogger("naq.flow")

PURGED: Final = "purged"  # kind of the event that says that jobs of a queue are gone without a record


class Purged(JobAdmin, EventLog, Protocol):
    """What purging needs of a backend."""


async def purge(backend: Purged, queue: str) -> int:
    """Remove every waiting job of `queue`; how many. See `JobAdmin.purge`."""
    removed = await backend.purge(queue)
    if removed:
        try:
            await backend.append([Event(kind=PURGED, job_id=queue, queue=queue, data=b"{}")])
        except NaqException as error:
            log.warning("%s is purged; jobs elsewhere that wait for what was there learn of it later: %s", queue, error)
    return removed
