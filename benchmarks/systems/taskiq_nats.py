"""taskiq on JetStream through taskiq-nats: a pull consumer, and results in NATS, its own result store."""

from __future__ import annotations

import asyncio
import contextlib

from nats.js.api import ConsumerConfig
from taskiq.exceptions import ResultIsReadyError
from taskiq_nats import NATSObjectStoreResultBackend, PullBasedJetStreamBroker

from benchmarks.settings import nats_url, windows
from benchmarks.tally import mark

STREAM, CONSUMER, BUCKET = "taskiq_jetstream", "taskiq_durable", "taskiq_results"
BATCH = 100  # messages a pull
CHECK_INTERVAL = 0.001  # seconds between looks at the result: taskiq polls, and its default of 0.2 s would be unfair

broker = PullBasedJetStreamBroker(
    servers=[nats_url()],
    stream_name=STREAM,
    durable=CONSUMER,
    consumer_config=ConsumerConfig(durable_name=CONSUMER, max_ack_pending=10_000),
    pull_consume_batch=BATCH,
    pull_consume_timeout=1,
).with_result_backend(NATSObjectStoreResultBackend(servers=[nats_url()], bucket_name=BUCKET))


@broker.task(task_name="job")
async def job(index: int) -> int:
    mark(index)
    return index


class TaskiqNats:
    async def clean(self) -> None:
        await broker.startup()

    async def one_by_one(self, jobs: range) -> None:
        for index in jobs:
            await job.kiq(index)

    async def in_bulk(self, jobs: range) -> None:
        for window in windows(jobs):
            await asyncio.gather(*(job.kiq(index) for index in window))

    async def call(self, job_index: int) -> None:
        task = await job.kiq(job_index)
        while True:
            with contextlib.suppress(ResultIsReadyError):  # a look at a result that is half written fails
                result = await task.wait_result(check_interval=CHECK_INTERVAL)
                break
        assert result.return_value == job_index

    async def pending(self, jobs: int) -> int:
        del jobs
        info = await broker.js.consumer_info(STREAM, CONSUMER)
        return (info.num_pending or 0) + (info.num_ack_pending or 0)

    async def results(self) -> int | None:
        info = await broker.js.stream_info(f"OBJ_{BUCKET}")
        return info.state.messages // 2  # one chunk and one description a result

    async def close(self) -> None:
        await broker.shutdown()


adapter = TaskiqNats
