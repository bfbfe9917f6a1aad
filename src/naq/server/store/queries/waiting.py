"""Jobs that could run and do not: since when, and how many. Of all queues, or all tasks, in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import CTE, ScalarSelect, Text, case, column, func, literal, or_, select, values
from sqlalchemy.ext.asyncio import AsyncConnection

from naq.server.store.tables import jobs, tasks

_LOOKED: Final = 1_000  # rows, the oldest first: of those that were put off, the next may have been due before
#: A job whose time has come is `scheduled` or `retrying` in the history until it starts.
_STATES: Final = ("queued", "scheduled", "retrying")


class Waiting(NamedTuple):
    """Queued jobs of a task: how many, and when the oldest of them was made (microseconds; None: there is none)."""

    jobs: int
    oldest: int | None


async def waiting_since(connection: AsyncConnection, now: int, queues: Sequence[str]) -> dict[str, int]:
    """Since when (microseconds) the job of each queue that waits longest could run; without queues where none waits.

    Exact where no more than a thousand jobs that were put off are older than it.
    """
    if not queues:
        return {}
    given = values(column("name", Text)).data([(name,) for name in queues]).cte("given")
    found: dict[str, int] = {}
    for name, *each in await connection.execute(
        select(given.c.name, *(_oldest(given, state, now) for state in _STATES))
    ):
        if times := [int(at) for at in each if at is not None]:
            found[str(name)] = min(times)
    return found


async def queued(connection: AsyncConnection, *, latest: int, most: int) -> dict[str, Waiting]:
    """Queued jobs of the `latest` tasks that were heard of last, counted up to `most` each.

    Looks at the whole table of tasks, which has a row a task, and at no more of jobs than it counts.
    """
    some = _of_task().limit(most).subquery()
    asked = select(
        tasks.c.name,
        select(func.count()).select_from(some).scalar_subquery(),
        _of_task().order_by(jobs.c.created_at).limit(1).scalar_subquery(),
    )
    rows = await connection.execute(asked.order_by(tasks.c.last_at.desc()).limit(latest))
    return {str(name): Waiting(int(count), None if oldest is None else int(oldest)) for name, count, oldest in rows}


def _of_task() -> Any:
    return select(jobs.c.created_at).where(jobs.c.task == tasks.c.name, jobs.c.state == "queued").correlate(tasks)


def _oldest(given: CTE, state: str, now: int) -> ScalarSelect[int]:
    """When the job in `state` that waits longest could run, of the queue of the row."""
    looked = (
        select(jobs.c.created_at, jobs.c.run_at)
        .where(jobs.c.queue == given.c.name, jobs.c.state == literal(state))
        .order_by(jobs.c.created_at, jobs.c.id)
        .limit(_LOOKED)
        .correlate(given)
        .subquery()
    )
    could = case((looked.c.run_at > looked.c.created_at, looked.c.run_at), else_=looked.c.created_at)
    due = or_(looked.c.run_at.is_(None), looked.c.run_at <= now)
    return select(func.min(could)).select_from(looked).where(due).scalar_subquery()
