"""Workers that end by themselves, so that a fresh one takes over."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from naq import Naq
from naq.job import JobState
from naq.task import Task
from naq.worker import Worker
from tests.tools import DEADLINE, ended, make_app, run, running_state, until


def make() -> tuple[Naq, threading.Event, Task[[], None], Task[[], None]]:
    app, gate = make_app(), threading.Event()

    @app.task(name="gated")
    def gated() -> None:
        gate.wait(DEADLINE)

    @app.task(name="quick")
    async def quick() -> None: ...

    return app, gate, gated, quick


def test_enough_jobs_retire_a_worker_but_not_those_that_still_run(caplog: pytest.LogCaptureFixture) -> None:
    app, gate, gated, quick = make()

    async def test() -> None:
        async with app:
            worker = Worker(app, max_jobs=2, shutdown_timeout=0.01)
            running = asyncio.create_task(worker.run())
            await worker.wait_ready()
            slow = await gated.enqueue()
            await running_state(slow)
            for _ in range(2):
                await ended(await quick.enqueue())
            await until(lambda: worker.vitals.retiring == "2 jobs done")
            await until(lambda: worker.vitals.state == "stopping")
            left = await quick.enqueue()
            assert not running.done(), "shutdown_timeout is not for this"
            gate.set()
            async with asyncio.timeout(DEADLINE):
                await running
            assert (await slow.record()).state is JobState.SUCCEEDED
            assert (await left.record()).state is JobState.QUEUED, "nothing more is claimed"

    with caplog.at_level(logging.INFO, "naq.worker"):
        run(test())
    assert "retiring after 2 jobs done: 1 jobs run" in caplog.messages


def test_a_stop_sets_a_retiring_worker_a_limit() -> None:
    app, gate, gated, _ = make()

    async def test() -> None:
        async with app:
            worker = Worker(app, shutdown_timeout=0.01)
            running = asyncio.create_task(worker.run())
            await worker.wait_ready()
            slow = await gated.enqueue()
            await running_state(slow)
            worker.retire("a test")
            await until(lambda: worker.vitals.state == "stopping")
            worker.stop()
            async with asyncio.timeout(DEADLINE):
                await running
            assert (await slow.record()).state is JobState.QUEUED
            gate.set()

    run(test())


def test_too_much_memory_retires_a_worker() -> None:
    async def test() -> None:
        app = make_app()
        worker = Worker(app, max_memory=1)
        async with asyncio.timeout(DEADLINE):
            await worker.run()
        assert "MiB of memory held" in worker.vitals.retiring
        await app.close()

    run(test())
