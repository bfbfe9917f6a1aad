"""What the security tests share: keys, apps on stores of their own, a worker, raw messages, traps."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from naq import Naq
from naq.backends import from_url
from naq.backends.base import Backend, DeadLetter
from naq.job import JobRecord, JobSpec, new_id
from naq.worker import Worker

DEADLINE = 10.0  # seconds any single wait of a test may take; reached only by a failure
_numbers = count(1)


def key(name: str) -> str:
    """A key as settings have it; the same for the same name."""
    return f"{name}:{base64.b64encode(name.encode().ljust(32, b'.')).decode()}"


class Trap:
    """Something that leaves a file behind if anybody unpickles it, by way of os.system."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "sprung"

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch '{self.file}'",)  # pyright: ignore[reportDeprecated]

    @property
    def sprung(self) -> bool:
        return self.file.exists()


def new_store() -> str:
    """The URL of a memory store that no other test sees."""
    return f"memory:security-tests-{next(_numbers)}"


def make_app(**settings: Any) -> Naq:
    """An app on a store of its own, unless `broker_url` names one."""
    chosen: Any = {"broker_url": new_store(), "shutdown_timeout": 5.0, **settings}
    return Naq("test", **chosen)


@asynccontextmanager
async def working(app: Naq) -> AsyncGenerator[Worker]:
    """A worker of `app` that runs while the block does."""
    worker = Worker(app)
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


@asynccontextmanager
async def store(app: Naq) -> AsyncGenerator[Backend]:
    """A backend on the app's store, as anybody has one who can write to the broker."""
    backend = from_url(app.config)
    await backend.open(["default", "other"])
    try:
        yield backend
    finally:
        await backend.close()


async def put(app: Naq, payload: bytes, *, job_id: str | None = None, queue: str = "default") -> str:
    """Enqueue raw bytes; the job's id."""
    job = JobSpec(id=job_id or new_id(), payload=payload, queue=queue)
    async with store(app) as backend:
        await backend.enqueue([job])
    return job.id


async def take(app: Naq, queue: str = "default") -> JobSpec:
    """The next job as it is stored. Nobody else gets it: it stays claimed."""
    async with store(app) as backend:
        (claim,) = await backend.fetch([queue], limit=1, lease=3600.0, wait=DEADLINE)
    return claim.job


async def letters(app: Naq) -> list[DeadLetter]:
    """The dead letters, newest first."""
    async with store(app) as backend:
        return await backend.dead()


async def refused(app: Naq, payload: bytes, *, job_id: str | None = None, queue: str = "default") -> str:
    """Let a worker of `app` have `payload`; it must go raw to the dead letters. The reason that is given there."""
    await put(app, payload, job_id=job_id, queue=queue)
    async with working(app) as worker:
        await until(lambda: worker.processed == 1)
    letter, *others = await letters(app)
    assert not others
    assert (letter.kind, letter.payload) == ("malformed", payload)
    return letter.reason


async def stored_record(app: Naq, job_id: str) -> JobRecord:
    """The final record as the store has it."""
    async with store(app) as backend:
        return await backend.wait(job_id, timeout=DEADLINE)


async def until(condition: Callable[[], object]) -> None:
    """Wait until `condition` is true."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110  stores have no event for what tests ask them
            await asyncio.sleep(0.005)


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run `test` on a loop of its own."""
    asyncio.run(test)
