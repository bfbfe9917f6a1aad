"""Chapter 2: when a job runs, where it waits, and which job it is."""

import asyncio
from datetime import timedelta

import pytest
from running import new_app, working

from naq import JobExpired, JobState, clock


def test_later() -> None:
    app = new_app()

    @app.task(name="when")
    async def when() -> float:
        return clock.now()

    async def main() -> None:
        async with working(app):
            start = clock.now()
            job = await when.options(delay=0.3).enqueue()
            assert await job.status() is JobState.SCHEDULED
            assert await job.result(timeout=10) >= start + 0.3  # never early
            at = await when.options(run_at=clock.now() + 0.2).enqueue()
            assert await at.result(timeout=10) > start

    asyncio.run(main())


def test_queues_and_priorities() -> None:
    app = new_app(concurrency=1)
    ran: list[str] = []

    @app.task(name="note", queue="mail")
    async def note(what: str) -> None:
        ran.append(what)

    async def main() -> None:
        async with app:
            await note.options(priority="low").enqueue("low")
            await note.enqueue("normal")
            await note.options(priority="high").enqueue("high")
            elsewhere = await note.options(queue="reports").enqueue("elsewhere")
        async with working(app, queues=["mail"]):
            last = await note.options(priority="low").enqueue("last")
            await last.result(timeout=10)
            assert await app.job(elsewhere.id).status() is JobState.QUEUED  # nobody works on that queue
        assert sorted(ran) == ["high", "last", "low", "normal"]
        assert ran.index("high") < ran.index("low")

    asyncio.run(main())


def test_the_same_job_id_is_the_same_job() -> None:
    app = new_app()
    ran: list[int] = []

    @app.task(name="charge")
    async def charge(amount: int) -> int:
        ran.append(amount)
        return amount

    async def main() -> None:
        async with working(app):
            first = await charge.options(job_id="order-7").enqueue(10)
            assert await first.result(timeout=10) == 10
            second = await charge.options(job_id="order-7").enqueue(20)
            assert second.duplicate
            assert await second.result(timeout=10) == 10
        assert ran == [10]

    asyncio.run(main())


def test_a_job_that_comes_too_late_is_not_started() -> None:
    app = new_app()

    @app.task(name="offer")
    async def offer() -> None: ...

    async def main() -> None:
        async with app:
            job = await offer.options(expires_in=timedelta(milliseconds=1)).enqueue()
            enqueued = (await job.record()).enqueued_at
        with clock.use(now=lambda: enqueued + 60):
            async with working(app):
                with pytest.raises(JobExpired):
                    await app.job(job.id).result(timeout=10)

    asyncio.run(main())
