"""A worker without a queue: fetch a job, publish one record, acknowledge the job. Run: python -m benchmarks.raw.worker

`awaited` waits for every round trip as a first version would; `pipelined` overlaps all three and is the best that
nats-py's public API allowed us.
"""

from __future__ import annotations

import asyncio
import signal
import sys

import nats
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from benchmarks.raw.layout import BATCH, CONSUMER, JOB_SUBJECT, JOBS, RECORD, RECORD_SUBJECT, job_index
from benchmarks.raw.pipeline import Pipeline
from benchmarks.settings import nats_url
from benchmarks.tally import mark

FETCH_TIMEOUT = 5.0  # seconds a fetch waits for its first message
AHEAD = 2  # batches fetched before the one that is being published is settled


async def awaited(js: JetStreamContext) -> None:
    """One job after the other."""
    subscription = await js.pull_subscribe(f"{JOB_SUBJECT}.*", durable=CONSUMER, stream=JOBS)
    while True:
        try:
            messages = await subscription.fetch(BATCH, timeout=FETCH_TIMEOUT)
        except nats.errors.TimeoutError:
            continue
        for message in messages:
            index = job_index(message.data)
            mark(index)
            await js.publish(f"{RECORD_SUBJECT}.{index}", RECORD % (index, index))
            await message.ack()


async def pipelined(js: JetStreamContext, client: nats.NATS) -> None:
    """A fetcher ahead, a publisher, and acknowledgements as soon as a batch's records are stored."""
    subscription = await js.pull_subscribe(f"{JOB_SUBJECT}.*", durable=CONSUMER, stream=JOBS)
    batches: asyncio.Queue[list[Msg]] = asyncio.Queue(AHEAD)
    pipeline = Pipeline(client)
    await pipeline.open()

    async def fetch() -> None:
        while True:
            try:
                await batches.put(await subscription.fetch(BATCH, timeout=FETCH_TIMEOUT))
            except nats.errors.TimeoutError:
                continue

    async def acknowledge(messages: list[Msg]) -> None:
        await pipeline.settled()
        for message in messages:
            await message.ack()

    async with asyncio.TaskGroup() as group:
        group.create_task(fetch())
        before: asyncio.Task[None] | None = None
        while True:
            messages = await batches.get()
            for message in messages:
                index = job_index(message.data)
                mark(index)
                await pipeline.publish(f"{RECORD_SUBJECT}.{index}", RECORD % (index, index))
            if before is not None:
                await before
            before = group.create_task(acknowledge(messages))


async def main(mode: str) -> None:
    client = await nats.connect(nats_url())
    js = client.jetstream()
    running = asyncio.ensure_future(pipelined(js, client) if mode == "pipelined" else awaited(js))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        await client.close()


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        asyncio.run(main(sys.argv[1]))
    else:
        uvloop.run(main(sys.argv[1]))
