"""What the tests of the inside of jobs share: apps on both backends, a worker beside the test, lines of a log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest

from naq import Naq, sync
from naq.connections import close_all
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
        url = f"memory:inside-tests-{number}" if self._url == "memory:" else self._url
        chosen: Any = {"broker_url": url, "namespace": f"inside{number}", "shutdown_timeout": 5.0, **settings}
        return Naq("test", **chosen)

    def again(self, app: Naq) -> Naq:
        """Another app where `app` has its jobs: another program, which knows none of its tasks."""
        return Naq("other", broker_url=app.config.broker_url, namespace=app.config.namespace)


@pytest.fixture(scope="module", params=["memory", "nats"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Both backends, one after the other."""
    if request.param == "memory":
        yield Place("memory:")
    else:
        with bundled_server() as server:
            yield Place(server.url)
            sync.run("", close_all)  # what sync calls have opened


@asynccontextmanager
async def working(app: Naq, **options: Any) -> AsyncGenerator[Worker]:
    """A worker of `app` while the block runs; closes the app behind it."""
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


async def until(holds: Callable[[], Awaitable[object]]) -> None:
    """Wait until `holds`."""
    async with asyncio.timeout(DEADLINE):
        while not await holds():  # noqa: ASYNC110  it is asked of a broker, which tells nobody
            await asyncio.sleep(0.02)
