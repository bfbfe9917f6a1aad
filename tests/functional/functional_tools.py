"""What the tests of this folder share: a place for jobs, and a worker beside the test."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from naq import Worker

DEADLINE = 15.0  # seconds any single wait of a test may take; reached only by a failure
MODULE = "given_jobs"


def until(condition: Callable[[], object], what: str = "the condition") -> None:
    """Wait until `condition` is true."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"{what} did not come true in {DEADLINE:g} s"
        time.sleep(0.005)


@contextmanager
def working(*queues: str, **options: Any) -> Generator[Worker]:
    """A worker in a thread and on an event loop of its own, as if in another process."""
    options.setdefault("imports", [MODULE])
    worker = Worker(list(queues) or "default", **options)
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
    assert ready.wait(DEADLINE)
    try:
        yield worker
    finally:
        loops[0].call_soon_threadsafe(worker.stop)
        thread.join(DEADLINE)
        assert not thread.is_alive()
