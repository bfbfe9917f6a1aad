"""SAQ on Redis: its producer, and the settings its own runner loads."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from redis.asyncio import Redis
from saq.queue.base import JobError
from saq.queue.redis import RedisQueue

from benchmarks.settings import CONCURRENCY, redis_url, windows
from benchmarks.systems import redis_store
from benchmarks.tally import mark

# Seconds between looks at a result; the default is 0.5. Its pushed results (`refresh(until_complete=...)`) miss a job
# that ends between the look and the subscription, as short jobs do, and then wait for ever.
POLL_INTERVAL = 0.001


async def job(_context: dict[str, Any], *, index: int) -> int:
    mark(index)
    return index


# redis-py 8 allows 100 connections; SAQ takes one a job at once and more, and leaves jobs behind when it gets none.
queue = RedisQueue(Redis.from_url(redis_url(), max_connections=2000), name="bench", max_concurrent_ops=100)
settings = {
    "queue": queue,
    "functions": [job],
    "concurrency": int(os.environ[CONCURRENCY]),
}


class Saq:
    async def clean(self) -> None:
        await asyncio.to_thread(redis_store.clean)
        await queue.connect()

    async def one_by_one(self, jobs: range) -> None:
        for index in jobs:
            await queue.enqueue("job", index=index)

    async def in_bulk(self, jobs: range) -> None:
        for window in windows(jobs):
            await asyncio.gather(*(queue.enqueue("job", index=index) for index in window))

    async def call(self, job: int) -> None:
        while True:
            try:
                assert await queue.apply("job", index=job, poll_interval=POLL_INTERVAL) == job
                return
            except JobError as error:
                # A worker that starts sweeps a job away that is just being handed out, as if its worker were dead.
                if "swept" not in str(error):
                    raise

    async def pending(self, jobs: int) -> int:
        del jobs
        return await queue.count("incomplete")

    async def results(self) -> int | None:
        return redis_store.count("saq:job:bench:*")

    async def close(self) -> None:
        await queue.disconnect()
        await asyncio.to_thread(redis_store.wipe)


adapter = Saq
