"""naq on a standard JetStream server, through its public surface."""

from __future__ import annotations

from benchmarks.settings import windows
from benchmarks.tasks_naq import app, job

BULK = 10_000  # jobs an `enqueue_many`
PAGE = 10_000  # events read at once
RESULT_TIMEOUT = 30.0  # seconds


class Producer:
    async def clean(self) -> None:
        await app.connect()

    async def one_by_one(self, jobs: range) -> None:
        for index in jobs:
            await job.enqueue(index)

    async def in_bulk(self, jobs: range) -> None:
        for window in windows(jobs, BULK):
            await job.enqueue_many([job.call(index) for index in window])

    async def call(self, job_index: int) -> None:
        queued = await job.enqueue(job_index)
        assert await queued.result(timeout=RESULT_TIMEOUT) == job_index

    async def pending(self, jobs: int) -> int:
        del jobs
        return sum(queue.queued + queue.running for queue in await app.backend.stats())

    async def results(self) -> int | None:
        found, cursor = 0, None
        while page := await app.backend.read(after=cursor, limit=PAGE, wait=0.0):
            found += sum(event.kind == "record" for _, event in page)
            cursor = page[-1][0]
        return found

    async def close(self) -> None:
        await app.close()


adapter = Producer
