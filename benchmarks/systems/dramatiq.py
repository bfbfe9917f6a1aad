"""Dramatiq on Redis, with its Redis results."""

from __future__ import annotations

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from benchmarks.settings import redis_url
from benchmarks.systems import redis_store
from benchmarks.tally import mark

broker = RedisBroker(url=redis_url())
broker.add_middleware(Results(backend=RedisBackend(url=redis_url())))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def job(index: int) -> int:
    mark(index)
    return index


class Dramatiq:
    async def clean(self) -> None:
        redis_store.clean()
        self.redis = redis.Redis.from_url(redis_url())

    async def one_by_one(self, jobs: range) -> None:
        for index in jobs:
            job.send(index)

    in_bulk = one_by_one  # a group() sends its messages one after the other too

    async def call(self, job_index: int) -> None:
        assert job.send(job_index).get_result(block=True) == job_index

    async def pending(self, jobs: int) -> int:
        del jobs
        return self.redis.hlen("dramatiq:default.msgs")  # a message is deleted when it is acknowledged

    async def results(self) -> int | None:
        return sum(1 for key in self.redis.scan_iter(count=10_000) if len(key) == 32)  # named by an MD5

    async def close(self) -> None:
        redis_store.wipe()
        self.redis.close()


adapter = Dramatiq
