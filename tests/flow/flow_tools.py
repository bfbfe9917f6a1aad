"""What the tests of workflows share: apps on both backends, a worker beside the test, and records."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest

from naq import Job, JobRecord, Naq
from naq.backends import from_url
from naq.backends.base import Backend
from naq.testing.broker import bundled_server
from naq.worker import Worker

DEADLINE = 30.0  # seconds any single wait of a test may take; reached only by a failure
_numbers = count(1)


class Place:
    """Where the jobs of a test live; `make` gives a new app on a namespace of its own."""

    def __init__(self, url: str) -> None:
        self._url = url

    def make(self, **settings: Any) -> Naq:
        number = next(_numbers)
        url = f"memory:flow-tests-{number}" if self._url == "memory:" else self._url
        chosen: Any = {"broker_url": url, "namespace": f"flow{number}", "shutdown_timeout": 5.0, **settings}
        return Naq("test", **chosen)


@pytest.fixture(scope="module", params=["memory", "nats"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Both backends, one after the other."""
    if request.param == "memory":
        yield Place("memory:")
    else:
        with bundled_server() as server:
            yield Place(server.url)


@asynccontextmanager
async def working(app: Naq, **options: Any) -> AsyncGenerator[Worker]:
    """A worker of `app` while the block runs."""
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


@asynccontextmanager
async def store_of(app: Naq) -> AsyncGenerator[Backend]:
    """A backend of its own on the app's store."""
    backend = from_url(app.config)
    await backend.open(["default"])
    try:
        yield backend
    finally:
        await backend.close()


def play(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `test` on an event loop of its own."""
    asyncio.run(test())


async def ended(job: Job[Any]) -> JobRecord:
    """The final record of `job`, as soon as there is one."""
    backend = await job._host.connect()  # pyright: ignore[reportPrivateUsage]
    return await backend.wait(job.id, timeout=DEADLINE)


async def until(ask: Callable[[], Awaitable[object]]) -> None:
    """Wait until `ask` answers with something true."""
    async with asyncio.timeout(DEADLINE):
        while not await ask():  # noqa: ASYNC110  stores have no event for what tests ask them
            await asyncio.sleep(0.01)
