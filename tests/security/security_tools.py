"""What the security tests share: keys, apps on stores of their own, a worker, raw messages, traps."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path

from naq import Naq
from naq.backends.base import DeadLetter
from naq.job import JobRecord, JobSpec
from tests.tools import DEADLINE, put, store, take, until, working


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


async def stored_job(app: Naq) -> JobSpec:
    """The next job as it is stored. Nobody else gets it: it stays claimed."""
    (claim,) = await take(app, lease=3600.0)
    return claim.job


async def letters(app: Naq) -> list[DeadLetter]:
    """The dead letters, newest first."""
    async with store(app) as backend:
        return await backend.dead()


async def refused(app: Naq, payload: bytes, *, job_id: str = "", queue: str = "default") -> str:
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
