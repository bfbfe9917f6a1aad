"""Keeping the history to what is to be kept: now and then, by the server that reads the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from msgspec.structs import replace

from naq import clock
from naq.backends.base import Backend
from naq.exceptions import NaqConnectionError
from naq.inside.artifacts import KIND
from naq.server.ingest.service import Ingest
from naq.server.store import Store
from naq.server.store.retention import Pruned, Retention, prune

log = logging.getLogger("naq.server.ingest")

EVERY: Final = 60.0  # seconds between two rounds
COUNT_EVERY: Final = 3600.0  # seconds between two rounds that also count: of millions of jobs, seconds of work
MOST: Final = 20_000  # jobs of a round: more than 300 a second over a day, in a second or two of work


def artifacts_of(backend: Backend) -> Callable[[list[str]], Awaitable[int]]:
    """Removes the artifacts of jobs that the broker does not know any more either; says how many entries that were.

    Those of a job that it still knows can be asked for through the job, and go with its record.
    """

    async def erase(job_ids: list[str]) -> int:
        known = set(await backend.finals(job_ids)) | set(await backend.specs(job_ids))
        removed = 0
        for job_id in job_ids:
            if job_id not in known:
                for entry in await backend.entries(KIND, under=job_id):
                    removed += await backend.remove(KIND, entry.key)
        return removed

    return erase


async def keep(ingest: Ingest, store: Store, backend: Backend, kept: Retention) -> None:
    """Prune until cancelled, as long as this server reads the log; outages are waited out."""
    by_age, count_due = replace(kept, jobs=None), 0.0
    while True:
        if ingest.lag().leading:
            is_due = clock.monotonic() >= count_due
            try:
                done = await prune(store, kept if is_due else by_age, most=MOST, erase=artifacts_of(backend))
                if is_due and done.jobs < MOST:  # else there is more to go
                    count_due = clock.monotonic() + COUNT_EVERY
                if done != Pruned():
                    log.info("pruned: %s", done)
            except NaqConnectionError as error:
                log.warning("nothing is pruned: %s", error)
            except Exception:  # a loop that must survive: what is due stays due
                log.exception("nothing is pruned")
        await asyncio.sleep(EVERY)
