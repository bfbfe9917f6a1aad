"""What the tests of child processes share: no test may leave a process behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import process_tasks
import psutil

from naq import Job, Naq
from naq.worker import Worker
from tests.tools import DEADLINE, run, until, working


def story(test: Coroutine[Any, Any, None]) -> None:
    """Run `test`, and hold it to leave no task, no thread and no process behind."""
    before = children()  # servers that other tests share
    try:
        run(test)
    finally:
        left = [child for child in children() if child not in before]
        _, left = psutil.wait_procs(left, timeout=0.2)
        for process in left:
            process.kill()
        psutil.wait_procs(left, timeout=DEADLINE)
    assert not left, f"left behind: {left}"


def children() -> list[psutil.Process]:
    """All processes below this one."""
    return psutil.Process().children(recursive=True)


@asynccontextmanager
async def serving(app: Naq | None = None, **options: Any) -> AsyncGenerator[tuple[Naq, Worker]]:
    """An app with the process tasks, and a worker for it."""
    chosen = app or process_tasks.build()
    async with working(chosen, **options) as worker:
        yield chosen, worker


async def start(app: Naq, task: str, *args: Any, **kwargs: Any) -> Job[Any]:
    """Enqueue one job."""
    return await app.get_task(task).enqueue(*args, **kwargs)


async def result(app: Naq, task: str, *args: Any, **kwargs: Any) -> Any:
    """What one job returns."""
    return await (await start(app, task, *args, **kwargs)).result(timeout=DEADLINE)


async def begun(path: Path) -> int:
    """Wait until a task has written its process id to `path`."""
    return int(await asyncio.to_thread(_read, path))


def _read(path: Path) -> str:
    end = time.monotonic() + DEADLINE
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < end, "no task has begun"
        time.sleep(0.005)
    return path.read_text()


def is_gone(pid: int) -> bool:
    """Whether process `pid` has ended."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def gone(pid: int) -> None:
    """Wait until it has."""
    await until(lambda: is_gone(pid), f"process {pid} is gone")
