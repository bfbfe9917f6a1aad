"""pgqueuer on PostgreSQL. It keeps no results; what a caller can wait for is that the job has ended.

The worker is `pgqueuer.run`, which is `pgq run` without the command line (that of 1.6.0 fails with typer 0.29).
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

from benchmarks.settings import POSTGRES_SCHEMA, postgres_url, windows
from benchmarks.tally import mark

os.environ["PGQUEUER_SCHEMA"] = POSTGRES_SCHEMA  # before pgqueuer reads it, once, when imported

import asyncpg
import pgqueuer
import uvloop
from pgqueuer import PgQueuer
from pgqueuer.core.completion import CompletionWatcher
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

BULK = 1000  # rows an insert
DEBOUNCE = timedelta(milliseconds=1)  # its default of 50 ms would be all that a latency shows


@asynccontextmanager
async def main() -> AsyncGenerator[PgQueuer]:
    """What its runner runs."""
    connection = await asyncpg.connect(postgres_url())
    queue = PgQueuer(AsyncpgDriver(connection))

    @queue.entrypoint("job")
    async def job(job: Job) -> None:
        assert job.payload is not None
        mark(int(job.payload))

    try:
        yield queue
    finally:
        await connection.close()


class Pgqueuer:
    async def clean(self) -> None:
        self.connection = await asyncpg.connect(postgres_url())
        await self.connection.execute(f"drop schema if exists {POSTGRES_SCHEMA} cascade")
        await self.connection.execute(f"create schema {POSTGRES_SCHEMA}")
        self.driver = AsyncpgDriver(self.connection)
        self.queries = Queries(self.driver)
        await self.queries.install()

    async def one_by_one(self, jobs: range) -> None:
        for index in jobs:
            await self.queries.enqueue("job", b"%d" % index)

    async def in_bulk(self, jobs: range) -> None:
        for window in windows(jobs, BULK):
            await self.queries.enqueue(["job"] * len(window), [b"%d" % index for index in window], [0] * len(window))

    async def call(self, job_index: int) -> None:
        (job_id,) = await self.queries.enqueue("job", b"%d" % job_index)
        async with CompletionWatcher(self.driver, queries=self.queries, debounce=DEBOUNCE) as watcher:
            assert await watcher.wait_for(job_id) == "successful"

    async def pending(self, jobs: int) -> int:
        table = f"{POSTGRES_SCHEMA}.pgqueuer"  # a row is deleted when its job is done
        return await self.connection.fetchval(f"select count(*) from (select 1 from {table} limit $1) as first", jobs)

    async def results(self) -> int | None:
        return None

    async def close(self) -> None:
        await self.connection.execute(f"drop schema if exists {POSTGRES_SCHEMA} cascade")
        await self.connection.close()


adapter = Pgqueuer

if __name__ == "__main__":
    uvloop.run(pgqueuer.run(main, batch_size=int(sys.argv[1])))
