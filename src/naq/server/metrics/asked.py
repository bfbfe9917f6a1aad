"""What broker and database say of jobs that wait, when somebody asks. Whoever is away says nothing, and that is all."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from naq import clock
from naq.backends.base import QueueStats, WorkerInfo
from naq.exceptions import NaqException
from naq.measures import QUEUES, TASKS
from naq.server.problems import Problem
from naq.server.store.queries.waiting import queued, waiting_since
from naq.server.store.room import size
from naq.server.store.rows import MICRO, micros

if TYPE_CHECKING:
    from naq.server.core import Core

MOST: Final = 100_000  # jobs of a task that are counted: the index is walked over so many, some 5 ms


class Asked(Struct, kw_only=True):
    """What was said.

    Attributes:
        queues, workers: of the broker; of very many queues the `QUEUES` in which most waits.
        stores: bytes that each holds, and may hold (None: no limit is known); of broker and database.
        queue_ages: seconds since the job of a queue that waits longest could run.
        task_depths: queued jobs of a task, at most `MOST`, and seconds since the oldest of them was made.
    """

    queues: list[QueueStats] = []
    stores: dict[str, tuple[int, int | None]] = {}
    workers: list[WorkerInfo] = []
    queue_ages: dict[str, float] = {}
    task_depths: dict[str, tuple[int, float]] = {}


async def ask(core: Core) -> Asked:
    """Ask both."""
    found = Asked()
    with contextlib.suppress(Problem, NaqException):  # the breaker says which part is away
        async with core.asking() as backend:
            queues, found.workers = await backend.stats(), await backend.workers()
            found.queues = sorted(queues, key=lambda one: (-one.queued, one.queue))[:QUEUES]
            found.stores = {one.part or "broker": (one.used, one.limit) for one in await backend.storage()}
    with contextlib.suppress(Problem):
        async with core.reading() as connection:
            now = micros(clock.now())
            oldest = await waiting_since(connection, now, [one.queue for one in found.queues if one.queued])
            found.queue_ages = {one.queue: _age(now, oldest.get(one.queue)) for one in found.queues}
            found.task_depths = {
                task: (count, _age(now, since))
                for task, (count, since) in (await queued(connection, latest=TASKS, most=MOST)).items()
            }
            settings = core.settings
            found.stores["database"] = await size(connection, settings.database), settings.database_limit or None
    return found


def _age(now: int, since: int | None) -> float:
    return 0.0 if since is None else max(0, now - since) / MICRO
