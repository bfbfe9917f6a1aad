"""A producer process: ``python -m rig.producer MODE TASK FIRST COUNT BATCH``.

With MODE ``chosen`` ids are ``TASK-FIRST`` and up, and each batch is enqueued until it is acknowledged, with the same
ids: what a careful user does. With ``fresh`` ids are made for each call, and a failed one is given up.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from naq.backends.base import Backend
from naq.exceptions import NaqConnectionError
from naq.job import JobSpec
from rig.jobs import log, make_app
from rig.specs import job


async def store(backend: Backend, jobs: Sequence[JobSpec], *, deadline: float) -> None:
    """Enqueue and log it."""
    with log().enqueuing([job.id for job in jobs], deadline=deadline) as duplicates:
        stored = await backend.enqueue(jobs, timeout=deadline)
        duplicates.update(result.job_id for result in stored if result.duplicate)


async def main(mode: str, task: str, first: int, count: int, batch: int) -> None:
    app = make_app()
    backend = await app.connect()
    for begin in range(first, first + count, batch):
        numbers = range(begin, min(begin + batch, first + count))
        ids = [f"{task}-{number}" if mode == "chosen" else None for number in numbers]
        jobs = [job(app, task, number, job_id=job_id) for number, job_id in zip(numbers, ids, strict=True)]
        while True:
            try:
                await store(backend, jobs, deadline=app.config.publish_timeout)
            except NaqConnectionError:
                if mode == "chosen":
                    continue
            break
    await app.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])))
