"""Chapter 1: declare a task, enqueue a job, get its result."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from running import new_app, working

from naq import Call, JobState


def test_a_task_is_a_function_and_a_job_is_a_call_that_runs_elsewhere() -> None:
    app = new_app()

    @app.task(name="add")
    async def add(a: int, b: int = 1) -> int:
        return a + b

    async def main() -> None:
        async with working(app):
            job = await add.enqueue(2, b=3)
            assert await job.result(timeout=10) == 5
            assert await add(2, b=3) == 5  # here and now: it is still a function

    asyncio.run(main())


def test_plain_functions_run_in_threads() -> None:
    app = new_app()

    @app.task(name="shout")
    def shout(text: str) -> str:
        return text.upper()

    async def main() -> None:
        async with working(app):
            job = await shout.enqueue("hello")
            assert await job.result(timeout=10) == "HELLO"

    asyncio.run(main())


@dataclass
class Order:
    number: int
    placed: datetime


def test_arguments_and_results_keep_their_types() -> None:
    app = new_app()

    @app.task(name="renumber")
    async def renumber(order: Order, numbers: set[int]) -> Order:
        assert isinstance(order, Order)
        return Order(max(numbers), order.placed)

    async def main() -> None:
        placed = datetime(2030, 1, 1, tzinfo=UTC)
        async with working(app):
            job = await renumber.enqueue(Order(1, placed), {7, 9})
            assert await job.result(timeout=10) == Order(9, placed)

    asyncio.run(main())


def test_a_job_waits_until_there_is_a_worker() -> None:
    app = new_app()

    @app.task(name="ping")
    async def ping() -> str:
        return "pong"

    async def main() -> None:
        async with app:
            job = await ping.enqueue()
            assert await job.status() is JobState.QUEUED
        async with working(app):
            again = app.job(job.id)  # the id is all one needs to keep
            assert await again.result(timeout=10) == "pong"
            assert await again.status() is JobState.SUCCEEDED

    asyncio.run(main())


def test_many_jobs_in_one_go() -> None:
    app = new_app()

    @app.task(name="square")
    async def square(number: int) -> int:
        return number * number

    @app.task(name="shout")
    def shout(text: str) -> str:
        return text.upper()

    async def main() -> None:
        async with working(app):
            jobs = await square.enqueue_many([square.call(number) for number in range(100)])
            results = await asyncio.gather(*(job.result(timeout=10) for job in jobs))
            assert results == [number * number for number in range(100)]

            calls: list[Call[int | str]] = [square.call(3), shout.call("a")]
            mixed = await app.enqueue_many(calls)
            assert [await job.result(timeout=10) for job in mixed] == [9, "A"]

    asyncio.run(main())
