"""What the tests of every folder share: apps on stores of their own, workers beside the test, waiting, raw messages."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Any, TypeVar

from naq import Job, JobRecord, Naq
from naq.backends import from_url
from naq.backends.base import Backend, Claim
from naq.job import JobSpec, JobState, new_id
from naq.worker import Worker

T = TypeVar("T")
DEADLINE = 30.0  # seconds any single wait of a test may take; reached only by a failure
LOOK = 0.005  # seconds between two looks
_numbers = count(1)


def memory_url() -> str:
    """A store in memory that no other test sees."""
    return f"memory:tests-{next(_numbers)}"


def make_app(**settings: Any) -> Naq:
    """An app on a store of its own, unless `broker_url` names one."""
    chosen: Any = {"broker_url": memory_url(), "shutdown_timeout": 5.0, **settings}
    return Naq("test", **chosen)


class Place:
    """Where the jobs of a test live, in memory or on a server; `make` gives a new app on a namespace of its own."""

    def __init__(self, url: str) -> None:
        self._url = url

    def make(self, **settings: Any) -> Naq:
        url = memory_url() if self._url == "memory:" else self._url
        return make_app(**{"broker_url": url, "namespace": f"tests-{next(_numbers)}", **settings})

    def again(self, app: Naq) -> Naq:
        """Another app where `app` has its jobs: another program, which knows none of its tasks."""
        return Naq("other", broker_url=app.config.broker_url, namespace=app.config.namespace)


@asynccontextmanager
async def fleet(*apps: Naq, **options: Any) -> AsyncGenerator[list[Worker]]:
    """A worker for each of `apps` while the block runs; stopped in order behind it, and the apps closed."""
    workers = [Worker(app, **options) for app in apps]
    running = [asyncio.create_task(worker.run()) for worker in workers]
    try:
        async with asyncio.timeout(DEADLINE):
            await asyncio.gather(*(worker.wait_ready() for worker in workers))
        yield workers
    finally:
        for worker in workers:
            worker.stop()
        async with asyncio.timeout(DEADLINE), AsyncExitStack() as closing:
            for app in apps:
                closing.push_async_callback(app.close)
            await asyncio.gather(*running)


@asynccontextmanager
async def working(app: Naq, **options: Any) -> AsyncGenerator[Worker]:
    """A worker of `app`, as `fleet` has them."""
    async with fleet(app, **options) as (worker,):
        yield worker


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


async def until(condition: Callable[[], object], what: str = "the condition") -> None:
    """Wait until `condition` is true."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"{what} did not come true in {DEADLINE:g} s"
        await asyncio.sleep(LOOK)


async def until_so(ask: Callable[[], Awaitable[T]], what: str = "the condition") -> T:
    """The first answer of `ask` that is true, for what stores have to be asked."""
    end = time.monotonic() + DEADLINE
    while not (answer := await ask()):
        assert time.monotonic() < end, f"{what} did not come true in {DEADLINE:g} s"
        await asyncio.sleep(LOOK)
    return answer


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
        time.sleep(LOOK)


async def ended(job: Job[Any]) -> JobRecord:
    """The final record of `job`, as soon as there is one."""
    return await (await job._host.connect()).wait(job.id, timeout=DEADLINE)  # pyright: ignore[reportPrivateUsage]


async def running_state(job: Job[Any]) -> None:
    """Wait until a worker has `job`."""

    async def has() -> bool:
        return await job.status() is JobState.RUNNING

    await until_so(has)


@asynccontextmanager
async def store(app: Naq, *queues: str) -> AsyncGenerator[Backend]:
    """A backend of its own on the app's store, as anybody has one who can write to the broker."""
    backend = from_url(app.config)
    await backend.open(list(queues) or ["default"])
    try:
        yield backend
    finally:
        await backend.close()


async def put(app: Naq, payload: bytes, *, job_id: str = "", queue: str = "default", fresh: bool = False) -> str:
    """Enqueue raw bytes, as anybody may; the job's id."""
    job = JobSpec(id=job_id or new_id(), payload=payload, queue=queue, fresh=fresh)
    async with store(app, queue) as backend:
        await backend.enqueue([job])
    return job.id


async def take(app: Naq, *, lease: float, limit: int = 1, queue: str = "default") -> list[Claim]:
    """Claim jobs as a worker that dies right afterwards."""
    async with store(app, queue) as backend:
        return await backend.fetch([queue], limit=limit, lease=lease, wait=DEADLINE)
