"""The sync twins of tasks and handles: typed as the originals, usable beside a connected app."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count
from typing import assert_type

import pytest

from naq import (
    CancelResult,
    ConfigurationError,
    Job,
    JobExecutionError,
    JobNotFoundError,
    JobRecord,
    JobState,
    Naq,
    current_context,
    sync,
)
from naq.exceptions import ScheduleNotFoundError
from naq.worker import Worker
from tests.tools import working

DEADLINE = 10.0  # seconds; reached only by a failure
_numbers = count()


@pytest.fixture(autouse=True)
def _fresh() -> Generator[None]:  # pyright: ignore[reportUnusedFunction]
    yield
    sync.stop()


def make() -> Naq:
    return Naq("twins", broker_url=f"memory:twins-{next(_numbers)}")


def test_a_task_is_enqueued_asked_and_cancelled_without_a_loop() -> None:
    app = make()

    @app.task(name="add")
    def add(a: int, b: int = 0) -> int:
        return a + b

    job = add.enqueue_sync(1, b=2)
    assert_type(job, Job[int])
    assert_type(job.status_sync(), JobState)
    assert_type(job.record_sync(), JobRecord)
    assert job.status_sync() is JobState.QUEUED
    assert job.record_sync().task == "add"
    assert assert_type(job.cancel_sync(), CancelResult) is CancelResult.REMOVED
    later = add.options(delay=3600, queue="slow").enqueue_sync(1)
    assert app.job(later.id).status_sync() is JobState.SCHEDULED
    jobs = add.enqueue_many_sync([add.call(n) for n in range(3)])
    assert_type(jobs, list[Job[int]])
    assert [each.status_sync() for each in jobs] == [JobState.QUEUED] * 3
    assert add.enqueue_many_sync([]) == []
    (mixed,) = app.enqueue_many_sync([add.options(queue="slow").call(1)])
    assert mixed.record_sync().queue == "slow"
    with pytest.raises(JobNotFoundError):
        app.job("nobody").record_sync()


def test_a_wrong_call_of_a_batch_is_named_and_nothing_is_stored() -> None:
    app = make()

    @app.task(name="add")
    def add(a: int) -> int:
        return a

    with pytest.raises(Exception, match="expects int") as caught:
        add.enqueue_many_sync([add.call(1), add.call("two")])  # pyright: ignore[reportArgumentType]
    assert caught.value.__notes__ == ["in call 1 of the batch (add); nothing of the batch was stored"]


def test_every_twin_refuses_under_a_running_loop_and_names_the_original() -> None:
    app = make()

    @app.task(name="add")
    def add(a: int) -> int:
        return a

    async def main() -> None:
        job = app.job("some")
        for call, said in [
            (lambda: add.enqueue_sync(1), "task.enqueue"),
            (lambda: add.enqueue_many_sync([add.call(1)]), "task.enqueue_many"),
            (lambda: app.enqueue_many_sync([add.call(1)]), "app.enqueue_many"),
            (job.result_sync, "job.result"),
            (job.status_sync, "job.status"),
            (job.record_sync, "job.record"),
            (job.cancel_sync, "job.cancel"),
        ]:
            with pytest.raises(ConfigurationError, match=rf"write 'await {said}\("):
                call()

    asyncio.run(main())


def test_threads_use_the_twins_beside_an_app_that_is_connected_on_a_loop() -> None:
    app = make()

    @app.task(name="add")
    async def add(a: int) -> int:
        return a + 1

    @app.task(name="outer")
    def outer(a: int) -> list[str | int]:
        inner = who.enqueue_sync()
        return [
            current_context().job_id,
            inner.result_sync(timeout=DEADLINE),
            add.enqueue_sync(a).result_sync(DEADLINE),
        ]

    @app.task(name="who")
    async def who() -> str:
        return current_context().parent

    async def main() -> None:
        worker = Worker(app)
        async with app:
            running = asyncio.create_task(worker.run())
            await asyncio.wait_for(worker.wait_ready(), DEADLINE)
            assert await (await add.enqueue(1)).result(timeout=DEADLINE) == 2
            job = await outer.enqueue(5)
            mine, said, six = await job.result(timeout=DEADLINE)
            assert (mine, six) == (job.id, 6)
            assert said == mine, "the context of the job crosses the bridge"
            with ThreadPoolExecutor(8) as pool:
                loop = asyncio.get_running_loop()
                calls = [
                    loop.run_in_executor(pool, lambda n=n: add.enqueue_sync(n).result_sync(DEADLINE)) for n in range(40)
                ]
                assert await asyncio.gather(*calls) == list(range(1, 41))
            worker.stop()
            await running

    asyncio.run(main())


def test_schedules_without_a_loop() -> None:
    app = make()

    @app.task(name="add")
    def add(a: int) -> int:
        return a

    made = app.schedules.create_sync("hourly", add.call(2), cron="@hourly")
    assert [kept.name for kept in app.schedules.list_sync()] == ["hourly"]
    assert made.pause_sync("for now").paused
    assert made.upcoming_sync() == []
    assert not made.resume_sync().paused
    first, second = made.upcoming_sync(2)
    assert made.skip_next_sync() == first
    assert made.upcoming_sync(1) == [second]
    assert len(made.backfill_sync(first - timedelta(hours=3), first - timedelta(hours=1), dry_run=True)) == 2
    assert made.edit_sync(cron="@daily").table != made.edit_sync(cron="@hourly").table
    assert made.info_sync().name == "hourly"
    assert app.job(made.run_now_sync()).status_sync() is JobState.QUEUED
    assert made.delete_sync() is True
    with pytest.raises(ScheduleNotFoundError):
        made.info_sync()


def test_a_stream_without_a_loop() -> None:
    app = make()

    @app.task(name="upto")
    async def upto(n: int) -> AsyncGenerator[int | None]:
        for each in range(n):
            yield each or None
        if n > 3:
            raise ValueError("too far")

    def read(n: int) -> list[int | None]:
        return list(upto.enqueue_sync(n).stream_sync(timeout=DEADLINE))

    async def main() -> None:
        async with app, working(app):
            assert await asyncio.to_thread(read, 3) == [None, 1, 2]
            with pytest.raises(JobExecutionError, match="too far"):
                await asyncio.to_thread(read, 4)

    asyncio.run(main())
