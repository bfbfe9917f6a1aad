"""taskiq on Redis streams (the broker of taskiq-redis that acknowledges), results in Redis."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from benchmarks.settings import redis_url, windows
from benchmarks.systems import redis_store
from benchmarks.tally import mark

STREAM = "taskiq"
CHECK_INTERVAL = 0.001  # seconds between looks at the result: taskiq polls, and its default of 0.2 s would be unfair

broker = RedisStreamBroker(redis_url(), queue_name=STREAM, consumer_id="0", xread_count=100).with_result_backend(
    RedisAsyncResultBackend(redis_url(), prefix_str="result")
)


@broker.task(task_name="job")
async def job(index: int) -> int:
    mark(index)
    return index


class TaskiqRedis:
    async def clean(self) -> None:
        await asyncio.to_thread(redis_store.clean)
        await broker.startup()
        self.redis = Redis.from_url(redis_url())

    async def one_by_one(self, jobs: range) -> None:
        for index in jobs:
            await job.kiq(index)

    async def in_bulk(self, jobs: range) -> None:
        for window in windows(jobs):
            await asyncio.gather(*(job.kiq(index) for index in window))

    async def call(self, job_index: int) -> None:
        task = await job.kiq(job_index)
        result = await task.wait_result(check_interval=CHECK_INTERVAL)
        assert result.return_value == job_index

    async def pending(self, jobs: int) -> int:
        del jobs
        (group,) = await self.redis.xinfo_groups(STREAM)
        return group["lag"] + group["pending"]

    async def results(self) -> int | None:
        return redis_store.count("result:*")

    async def close(self) -> None:
        await broker.shutdown()
        await self.redis.aclose()
        await asyncio.to_thread(redis_store.wipe)


adapter = TaskiqRedis
