"""A producer process: ``python -m rig.producer TASK FIRST COUNT BATCH``. Ids are ``TASK-FIRST`` and up.

It never gives up: each batch is enqueued until it is acknowledged, with the same ids: what a careful user does.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from naq import Naq, clock
from naq.backends.base import Backend
from naq.exceptions import NaqConnectionError
from naq.job import JobSpec
from rig.jobs import log, make_app


def spec(app: Naq, task: str, job_id: str, *args: object) -> JobSpec:
    """A job with an id of our own."""
    call = app.get_task(task).options(job_id=job_id).call(*args)
    return call.plan.build(call.args, call.kwargs, clock.now())


async def store(backend: Backend, jobs: Sequence[JobSpec], *, deadline: float) -> None:
    """Enqueue and log it."""
    with log().enqueuing([job.id for job in jobs], deadline=deadline) as duplicates:
        stored = await backend.enqueue(jobs, timeout=deadline)
        duplicates.update(result.job_id for result in stored if result.duplicate)


async def main(task: str, first: int, count: int, batch: int) -> None:
    app = make_app()
    backend = await app.connect()
    for begin in range(first, first + count, batch):
        numbers = range(begin, min(begin + batch, first + count))
        jobs = [spec(app, task, f"{task}-{number}", number) for number in numbers]
        while True:
            try:
                await store(backend, jobs, deadline=app.config.publish_timeout)
            except NaqConnectionError:
                continue
            break
    await app.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:5])))
