"""The raw loops' producer: `await js.publish` one at a time, or publishes pipelined with their PubAcks counted."""

from __future__ import annotations

import asyncio

import nats
from nats.aio.msg import Msg

from benchmarks.raw.layout import (
    BATCH,
    CONSUMER,
    JOB,
    JOB_SUBJECT,
    JOBS,
    RECORD_SUBJECT,
    RECORDS,
    create,
)
from benchmarks.raw.pipeline import Pipeline
from benchmarks.settings import nats_url


class Raw:
    async def clean(self) -> None:
        self.client = await nats.connect(nats_url())
        self.js = self.client.jetstream()
        await create(self.js)
        self.pipeline = Pipeline(self.client)
        await self.pipeline.open()
        self.waiting: dict[str, asyncio.Future[None]] = {}
        self.listening = False

    async def one_by_one(self, jobs: range) -> None:
        for index in jobs:
            await self.js.publish(f"{JOB_SUBJECT}.{index}", JOB % index)

    async def in_bulk(self, jobs: range) -> None:
        for index in jobs:
            await self.pipeline.publish(f"{JOB_SUBJECT}.{index}", JOB % index)
            if not index % BATCH:
                await self.pipeline.settled(4 * BATCH)
        await self.pipeline.settled()

    async def call(self, job: int) -> None:
        if not self.listening:
            await self.client.subscribe(f"{RECORD_SUBJECT}.*", cb=self._on_record)
            self.listening = True
        future = self.waiting[f"{RECORD_SUBJECT}.{job}"] = asyncio.get_running_loop().create_future()
        await self.js.publish(f"{JOB_SUBJECT}.{job}", JOB % job)
        await future

    async def _on_record(self, message: Msg) -> None:
        if future := self.waiting.pop(message.subject, None):
            future.set_result(None)

    async def pending(self, jobs: int) -> int:
        del jobs
        info = await self.js.consumer_info(JOBS, CONSUMER)
        return (info.num_pending or 0) + (info.num_ack_pending or 0)

    async def results(self) -> int | None:
        return (await self.js.stream_info(RECORDS)).state.messages

    async def close(self) -> None:
        await self.client.close()


adapter = Raw
