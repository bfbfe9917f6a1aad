"""A delayed job that is let go before its time, by its handle."""

from __future__ import annotations

import asyncio

from naq import JobState
from tests.tools import make_app


def test_run_now() -> None:
    app = make_app()

    @app.task(name="work")
    async def work() -> None: ...

    async def main() -> None:
        async with app:
            job = await work.options(delay=3600).enqueue()
            assert await job.run_now()
            assert await job.status() is JobState.QUEUED
            assert not await job.run_now()

    asyncio.run(main())
    again = work.options(delay=3600).enqueue_sync()
    assert again.run_now_sync()
    assert not again.run_now_sync()
