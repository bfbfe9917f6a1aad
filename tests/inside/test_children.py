"""The inside of jobs that run in child processes: the same, or an error that says why not."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import inside_child_tasks
import pytest

from naq import JobExecutionError
from tests.tools import DEADLINE, until_so, working


@pytest.fixture
def broker(url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A broker that child processes find."""
    monkeypatch.setenv(inside_child_tasks.URL, url)
    return url


def test_everything_works_in_a_child_process(broker: str) -> None:
    app = inside_child_tasks.build()
    assert app.config.broker_url == broker

    async def main() -> None:
        async with working(app, concurrency=2):
            reports: Any = await app.get_task("reports").enqueue()
            plain: Any = await app.get_task("reports_sync").enqueue()
            assert await reports.result(timeout=DEADLINE) == [8, 7, 2]
            assert await plain.result(timeout=DEADLINE) == [8, 7, 2]
            for job in (reports, plain):
                progress = await job.progress()
                assert (progress.value, progress.attempt) == (0.5, 2)
                assert [(step.name, step.attempt) for step in await job.steps()] == [("double", 1), ("sleep", 2)]
                assert [await artifact.read() for artifact in await job.artifacts()] == [b"abc"]

            async def logged() -> bool:  # where the broker is slow, the last of what is reported comes after the result
                lines = [(line.logger, line.text) async for line in reports.logs()]
                return lines == [("inside.child", "in a child")] * 3  # two attempts, and once more after it slept

            await until_so(logged)
            pids = {metric.value for metric in await reports.metrics()}
            assert os.getpid() not in pids
            for name in ("streams", "streams_sync"):
                job = await app.get_task(name).enqueue(500)
                assert [item async for item in job.stream(timeout=DEADLINE)] == list(range(500))

    asyncio.run(main())


def test_where_a_child_cannot_keep_anything_it_says_so() -> None:
    app = inside_child_tasks.build()

    async def main() -> None:
        async with working(app):
            job = await app.get_task("reports_sync").enqueue()
            with pytest.raises(JobExecutionError, match="a child process can keep nothing there"):
                await job.result(timeout=DEADLINE)
            progress = await job.progress()
            assert progress is not None  # what goes by the worker works all the same
            assert progress.value == 0.5

    asyncio.run(main())
