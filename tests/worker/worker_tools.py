"""What the worker's tests share: apps on a memory store of their own, a running worker, waiting for a condition."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from naq import Job, JobRecord, Naq
from naq.backends import from_url
from naq.backends.base import Backend, Claim
from naq.job import JobSpec, JobState, new_id
from naq.worker import Worker

DEADLINE = 10.0  # seconds any single wait of a test may take; reached only by a failure
_numbers = count(1)


def make_app(**settings: Any) -> Naq:
    """An app whose jobs live in a store that no other test sees."""
    chosen: Any = {"shutdown_timeout": 5.0, "broker_url": f"memory:worker-tests-{next(_numbers)}", **settings}
    return Naq("test", **chosen)


@asynccontextmanager
async def working(app: Naq, **options: Any) -> AsyncGenerator[Worker]:
    """A worker of `app` that runs while the block does, and is stopped well afterwards."""
    worker = Worker(app, **options)
    running = asyncio.create_task(worker.run())
    try:
        async with asyncio.timeout(DEADLINE):
            await worker.wait_ready()
        yield worker
    finally:
        worker.stop()
        async with asyncio.timeout(DEADLINE):
            await running
        await app.close()


async def until(condition: Callable[[], object], what: str = "the condition") -> None:
    """Wait until `condition` is true."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"{what} did not come true in {DEADLINE:g} s"
        await asyncio.sleep(0.005)


async def until_so(ask: Callable[[], Awaitable[object]]) -> None:
    """Wait until `ask` answers with something true."""
    async with asyncio.timeout(DEADLINE):
        while not await ask():  # noqa: ASYNC110  stores have no event for what tests ask them
            await asyncio.sleep(0.005)


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run `test`, and hold it to leave nothing behind."""
    before = set(threading.enumerate())

    async def checked() -> None:
        try:
            await test
        finally:
            left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, f"tasks left behind: {left}"

    asyncio.run(checked())
    end = time.monotonic() + DEADLINE
    while left := [thread for thread in threading.enumerate() if thread not in before]:
        assert time.monotonic() < end, f"threads left behind: {left}"
        time.sleep(0.005)


async def ended(job: Job[Any]) -> JobRecord:
    """The final record of `job`, as soon as there is one."""
    return await (await job._host.connect()).wait(job.id, timeout=DEADLINE)  # pyright: ignore[reportPrivateUsage]


async def running_state(job: Job[Any]) -> None:
    """Wait until a worker has `job`."""

    async def has() -> bool:
        return await job.status() is JobState.RUNNING

    await until_so(has)


@asynccontextmanager
async def store(app: Naq) -> AsyncGenerator[Backend]:
    """A backend on the app's store, for what producers of other languages do."""
    backend = from_url(app.config)
    await backend.open(["default"])
    try:
        yield backend
    finally:
        await backend.close()


async def put(app: Naq, payload: bytes, *, fresh: bool = False, queue: str = "default") -> str:
    """Enqueue raw bytes, as anybody may; the job's id."""
    job = JobSpec(id=new_id(), payload=payload, queue=queue, fresh=fresh)
    async with store(app) as backend:
        await backend.enqueue([job])
    return job.id


async def take(app: Naq, *, lease: float, limit: int = 1) -> list[Claim]:
    """Claim jobs as a worker that dies right afterwards."""
    async with store(app) as backend:
        return await backend.fetch(["default"], limit=limit, lease=lease, wait=DEADLINE)


@asynccontextmanager
async def working_elsewhere(app: Naq) -> AsyncGenerator[Worker]:
    """A worker of `app` in a thread and on an event loop of its own, as if in another process."""
    worker = Worker(app)
    ready = threading.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def work() -> None:
        loops.append(asyncio.get_running_loop())
        running = asyncio.ensure_future(worker.run())
        await worker.wait_ready()
        ready.set()
        await running

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    await until(ready.is_set)
    try:
        yield worker
    finally:
        loops[0].call_soon_threadsafe(worker.stop)
        await until(lambda: not thread.is_alive())
