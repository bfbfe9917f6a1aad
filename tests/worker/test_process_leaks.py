"""Fault 19: ten thousand failures leave nothing behind: no thread, no process, no file, no task."""

from __future__ import annotations

import asyncio

import process_tasks
import psutil
import pytest
from process_tools import serving, start, story

from tests.tools import ended, until

FAILURES = 5000


@pytest.mark.parametrize("kind", ["coroutine", "thread"])
def test_failing_jobs_leave_nothing_behind(kind: str) -> None:
    app = process_tasks.build()

    if kind == "thread":

        @app.task(name="broken")
        def _thread(n: int) -> None:
            raise ValueError(n)
    else:

        @app.task(name="broken")
        async def _coroutine(n: int) -> None:
            raise ValueError(n)

    broken = app.get_task("broken")
    here = psutil.Process()

    async def test() -> None:
        async with serving(app, concurrency=4) as (_, worker):
            await app.enqueue_many([broken.call(n) for n in range(100)])
            await until(lambda: worker.processed >= 100)
            before = _held(here)
            for done in range(1100, FAILURES + 101, 1000):
                await app.enqueue_many([broken.call(n) for n in range(1000)])
                await until(lambda done=done: worker.processed >= done)
            await until(lambda: all(now <= then + 4 for now, then in zip(_held(here), before, strict=True)))

    story(test())


def test_dying_children_leave_nothing_behind() -> None:
    here = psutil.Process()

    async def test() -> None:
        async with serving(concurrency=2) as (app, _):
            await ended(await start(app, "die", "os._exit"))
            before = _held(here)
            jobs = [await start(app, "die", how) for how in ("os._exit", "SIGKILL") * 8]
            for job in jobs:
                await ended(job)
            await until(lambda: len(here.children()) <= 2)
            await until(lambda: all(now <= then + 4 for now, then in zip(_held(here), before, strict=True)))

    story(test())


def _held(process: psutil.Process) -> tuple[int, int, int]:
    return process.num_fds(), process.num_threads(), len(asyncio.all_tasks())
