"""Whom a job may wait for, batches in any order, and results as arguments."""

from __future__ import annotations

import pytest
from flow_tasks import Tasks

import naq
from naq import ConfigurationError, JobExecutionError, JobNotFoundError
from tests.tools import Place, run, working


def test_it_is_refused(place: Place):
    """Who does not exist, who waits in a circle, what is no job: before anything is stored."""

    async def body() -> None:
        app = place.make()
        tasks = Tasks(app)
        async with app:
            backend = await app.connect()
            for unknown in ("nobody", app.job("nobody")):
                with pytest.raises(JobNotFoundError, match="nobody"):
                    await tasks.note.options(depends_on=unknown).enqueue("never")
            with pytest.raises(ConfigurationError, match="circle"):
                await app.enqueue_many(
                    [
                        tasks.note.options(job_id="a", depends_on=["b"]).call("a"),
                        tasks.note.options(job_id="b", depends_on=["c"]).call("b"),
                        tasks.note.options(job_id="c", depends_on=["a"]).call("c"),
                    ]
                )
            with pytest.raises(ConfigurationError, match="circle"):
                await tasks.note.options(job_id="a", depends_on=["a"]).enqueue("a")
            call = tasks.note.call("elsewhere")
            with pytest.raises(ConfigurationError, match="no job yet"):
                await tasks.note.enqueue(naq.result_of(call))
            with pytest.raises(ConfigurationError, match="not enqueued with it"):
                await app.enqueue_many([tasks.note.call(naq.result_of(call))])
            with pytest.raises(ConfigurationError, match="on_parent_failure"):
                tasks.note.options(on_parent_failure="explode")  # pyright: ignore[reportArgumentType]
            with pytest.raises(ConfigurationError, match="depends_on holds 3"):
                tasks.note.options(depends_on=[3])  # pyright: ignore[reportArgumentType]
            with pytest.raises(ConfigurationError, match="wait_for"):
                tasks.note.options(wait_for="some")  # pyright: ignore[reportArgumentType]
            assert await backend.unfinished() == []

    run(body())


def test_a_batch_in_any_order(place: Place):
    """Calls of one batch may wait for calls behind them; handles come in the order of the calls."""

    async def body() -> None:
        app = place.make()
        tasks = Tasks(app)
        async with app:
            a, b = tasks.fetch.call("a"), tasks.fetch.call("bb")
            counts = [tasks.count.call(naq.result_of(each)) for each in (a, b)]
            total = tasks.total.call(naq.results_of(counts))
            jobs = await app.enqueue_many([total, *counts, b, a])
            async with working(app):
                assert await jobs[0].result(30) == 3
            assert [(await job.record()).task for job in jobs] == ["total", "count", "count", "fetch", "fetch"]

    run(body())


def test_a_result_that_does_not_fit(place: Place):
    """Fails the job that would be called with it, and says which argument."""

    async def body() -> None:
        app = place.make()
        tasks = Tasks(app)
        async with app, working(app):
            wrong = await tasks.note.enqueue("text")
            child = await tasks.count.enqueue(naq.result_of(wrong))  # pyright: ignore[reportArgumentType]
            with pytest.raises(JobExecutionError, match="page"):
                await child.result(30)

    run(body())


def test_retried_it_gets_its_results_again(place: Place):
    async def body() -> None:
        app = place.make()
        seen: list[int] = []

        @app.task(name="one")
        async def one() -> int:
            return 41

        @app.task(name="flaky", retry=[0.01])
        async def flaky(value: int) -> int:
            seen.append(value)
            if len(seen) == 1:
                raise OSError("once")
            return value + 1

        async with app, working(app):
            assert await (await flaky.enqueue(naq.result_of(await one.enqueue()))).result(30) == 42
        assert seen == [41, 41]

    run(body())


def test_jobs_enqueued_inside_jobs_know_their_line(place: Place):
    async def body() -> None:
        app = place.make()

        @app.task(name="leaf")
        async def leaf() -> None: ...

        @app.task(name="middle")
        async def middle() -> str:
            return (await leaf.enqueue()).id

        @app.task(name="top")
        async def top() -> str:
            return (await middle.enqueue()).id

        async with app, working(app):
            first = await top.enqueue()
            second = app.job(await first.result(30))
            third = app.job(await second.result(30))
            await third.result(30)
            records = [await job.record() for job in (first, second, third)]
        assert [(record.parent, record.root) for record in records] == [
            ("", ""),
            (first.id, first.id),
            (second.id, first.id),
        ]

    run(body())
