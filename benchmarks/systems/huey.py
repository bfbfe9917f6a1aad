"""huey on a blocking Redis list. It has no acknowledgements: a job is gone from the list when it starts."""

from __future__ import annotations

from huey import RedisHuey

from benchmarks.settings import measure, redis_url
from benchmarks.systems import redis_store
from benchmarks.tally import mark

RESULT_TIMEOUT = 30.0  # seconds

# Pushed results cost two Redis calls a job and only waiting callers gain, so they are on only where callers wait.
app = RedisHuey("bench", url=redis_url(), notify_result=measure() == "latency")


@app.task()
def job(index: int) -> int:
    mark(index)
    return index


class Huey:
    async def clean(self) -> None:
        redis_store.clean()

    async def one_by_one(self, jobs: range) -> None:
        for index in jobs:
            job(index)

    in_bulk = one_by_one  # its own map() does the same

    async def call(self, job_index: int) -> None:
        assert job(job_index).get(blocking=True, timeout=RESULT_TIMEOUT) == job_index

    async def pending(self, jobs: int) -> int:
        return max(app.pending_count(), jobs - app.result_count())

    async def results(self) -> int | None:
        return app.result_count()

    async def close(self) -> None:
        redis_store.wipe()


adapter = Huey
