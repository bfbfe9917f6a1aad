"""What broker and database say of jobs that wait, when somebody asks. Whoever is away says nothing, and that is all."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from sqlalchemy import func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from naq import clock
from naq.backends.base import QueueStats, WorkerInfo
from naq.exceptions import NaqException
from naq.measures import TASKS
from naq.server.problems import Problem
from naq.server.store.queries.waiting import waiting_since
from naq.server.store.rows import MICRO, micros
from naq.server.store.tables import jobs, tasks

if TYPE_CHECKING:
    from naq.server.core import Core

MOST: Final = 100_000  # jobs of a task that are counted: the index is walked over so many, some 5 ms
TOGETHER: Final = 50  # tasks of one statement


class Asked(Struct, kw_only=True):
    """What was said.

    Attributes:
        queues, workers: of the broker.
        queue_ages: seconds since the job of a queue that waits longest could run.
        task_depths: queued jobs of a task, at most `MOST`, and seconds since the oldest of them was made.
    """

    queues: list[QueueStats] = []
    workers: list[WorkerInfo] = []
    queue_ages: dict[str, float] = {}
    task_depths: dict[str, tuple[int, float]] = {}


async def ask(core: Core) -> Asked:
    """Ask both."""
    found = Asked()
    with contextlib.suppress(Problem, NaqException):  # the breaker says which part is away
        async with core.asking() as backend:
            found.queues, found.workers = await backend.stats(), await backend.workers()
    with contextlib.suppress(Problem):
        async with core.reading() as connection:
            now = micros(clock.now())
            for one in found.queues:
                since = await waiting_since(connection, now, queue=one.queue) if one.queued else None
                found.queue_ages[one.queue] = 0.0 if since is None else max(0, now - since) / MICRO
            found.task_depths = await _depths(connection, now)
    return found


async def _depths(connection: AsyncConnection, now: int) -> dict[str, tuple[int, float]]:
    """Of the tasks that were heard of last."""
    asked = select(tasks.c.name).order_by(tasks.c.last_at.desc()).limit(TASKS)
    names = [str(name) for name in (await connection.execute(asked)).scalars()]
    found: dict[str, tuple[int, float]] = {}
    for begin in range(0, len(names), TOGETHER):
        each = [_depth(name) for name in names[begin : begin + TOGETHER]]
        for name, count, oldest in await connection.execute(union_all(*each)):
            found[str(name)] = (int(count), 0.0 if oldest is None else max(0, now - int(oldest)) / MICRO)
    return found


def _depth(name: str):  # noqa: ANN202 - SQLAlchemy's type of it says nothing
    queued = (
        select(jobs.c.created_at)
        .where(jobs.c.task == name, jobs.c.state == "queued")
        .order_by(jobs.c.created_at)
        .limit(MOST)
        .subquery()
    )
    return select(literal(name), func.count(), func.min(queued.c.created_at)).select_from(queued)
