"""Jobs that could run and do not: since when, and how many."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from naq.server.store.tables import jobs

_LOOKED: Final = 1_000  # rows, the oldest first: of those that were put off, the next may have been due before
#: A job whose time has come is `scheduled` or `retrying` in the history until it starts.
_STATES: Final = ("queued", "scheduled", "retrying")


async def waiting_since(
    connection: AsyncConnection, now: int, *, queue: str | None = None, task: str | None = None
) -> int | None:
    """Since when (microseconds) the job of a queue or a task that waits longest could run; None: none waits.

    Exact where no more than a thousand jobs that were put off are older than it.
    """
    found = [
        max(created_at, run_at or 0)
        for state in _STATES
        for created_at, run_at in await connection.execute(_oldest(state, queue, task))
        if (run_at or 0) <= now
    ]
    return min(found, default=None)


def _oldest(state: str, queue: str | None, task: str | None) -> Select[int, int | None]:
    asked = select(jobs.c.created_at, jobs.c.run_at).where(jobs.c.state == state)
    if queue is not None:
        asked = asked.where(jobs.c.queue == queue)
    elif task is not None:
        asked = asked.where(jobs.c.task == task)
    return asked.order_by(jobs.c.created_at, jobs.c.id).limit(_LOOKED)
