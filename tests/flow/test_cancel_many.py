"""Cancelling with all that comes of it, and by description; races of a cancel with everything else."""

from __future__ import annotations

import asyncio
import random
import threading

import flow_functions
import pytest
from flow_tasks import Tasks

import naq
from naq import CancelResult, ConfigurationError, JobCancelled, JobState
from naq.flow.cancel import Cancelled, cancel_tree
from tests.tools import Place, ended, run, store, until_so, working

RACES = 1000  # interleavings of cancel with claim and complete (RELIABILITY.md, fault 32)


def test_a_tree_of_jobs_that_wait(place: Place):
    """Though no worker is there: nobody of them ever runs, and none of them failed."""

    async def body() -> None:
        app = place.make()
        tasks = Tasks(app)
        async with app:
            top = await tasks.note.options(delay=3600).enqueue("top")
            left, right = [await tasks.note.options(depends_on=top).enqueue(side) for side in ("left", "right")]
            below = await tasks.note.options(depends_on=[left, right], on_parent_failure="run_anyway").enqueue("below")
            other = await tasks.note.enqueue("other")
            beside = await tasks.note.options(depends_on=other).enqueue("beside")
            results = await cancel_tree(app, top.id)
            assert results == dict.fromkeys((job.id for job in (below, left, right, top)), CancelResult.REMOVED)
            assert next(iter(results)) == below.id
            async with working(app):
                assert await beside.result(30) == "beside"
                assert {(await ended(job)).state for job in (top, left, right, below)} == {JobState.CANCELLED}
            assert tasks.ran == ["other", "beside"]
            assert await top.cancel(tree=True) is CancelResult.FINISHED

    run(body())


def test_a_tree_that_grew_inside_jobs(place: Place):
    """What a job enqueued goes with it, though one between the two has ended."""

    async def body() -> None:
        app = place.make()

        @app.task(name="leaf")
        async def leaf() -> None: ...

        @app.task(name="middle")
        async def middle() -> str:
            return (await leaf.options(delay=3600).enqueue()).id

        @app.task(name="top")
        async def top() -> str:
            return (await middle.enqueue()).id

        async with app, working(app):
            first, second = await top.enqueue(), await top.enqueue()
            leaves = [app.job(await app.job(await job.result(30)).result(30)) for job in (first, second)]
            assert await first.cancel(tree=True) is CancelResult.FINISHED
            assert (await ended(leaves[0])).state is JobState.CANCELLED
            assert await leaves[1].status() is JobState.SCHEDULED
            await second.cancel(tree=True)
            assert await leaves[1].status() is JobState.CANCELLED

    run(body())


def test_a_tree_that_runs(place: Place):
    """Coroutine and thread: told, and those that wait for them do not run."""

    async def body() -> None:
        app = place.make()
        go_on = threading.Event()

        @app.task(name="sleeper")
        async def sleeper() -> None:
            await asyncio.sleep(3600)

        @app.task(name="thread")
        def thread() -> None:
            context = naq.current_context()
            while not context.is_cancelled:
                go_on.wait(0.01)

        @app.task(name="after")
        async def after() -> None: ...

        async with app, working(app):
            for task in (sleeper, thread):
                job = await task.enqueue()
                child = await after.options(depends_on=job).enqueue()

                async def runs(job: naq.Job[None] = job) -> bool:
                    return await job.status() is JobState.RUNNING

                await until_so(runs)
                assert await job.cancel(tree=True) is CancelResult.REQUESTED
                for one in (job, child):
                    with pytest.raises(JobCancelled):
                        await one.result(30)

    run(body())


def test_a_process_with_what_follows():
    async def body() -> None:
        app = flow_functions.app
        async with app, working(app, concurrency=1):
            job = await flow_functions.sleep.enqueue(3600)
            child = await flow_functions.crunch.options(depends_on=job).enqueue(2)

            async def runs() -> bool:
                return await job.status() is JobState.RUNNING

            await until_so(runs)
            assert await job.cancel(tree=True) is CancelResult.REQUESTED
            for one in (job, child):
                with pytest.raises(JobCancelled):
                    await one.result(30)

    run(body())


def test_by_description(place: Place):
    """Queue, task, state and tag; what does not fit stays, and it holds without any worker."""

    async def body() -> None:
        app = place.make()
        tasks = Tasks(app)
        async with app:
            mail = [await tasks.note.options(queue="mail", tags={"n": str(n)}).enqueue(f"mail {n}") for n in range(5)]
            later = [await tasks.note.options(delay=3600).enqueue("later") for _ in range(3)]
            parent = await tasks.fetch.enqueue("page")
            child = await tasks.note.options(depends_on=parent).enqueue("child")
            assert await app.cancel_where(queue="nobody") == Cancelled()
            assert await app.cancel_where(queue="mail", tags={"n": "3"}) == Cancelled(removed=1)
            assert await mail[3].status() is JobState.CANCELLED
            assert await app.cancel_where(states=[JobState.SCHEDULED]) == Cancelled(removed=3)
            assert {await job.status() for job in later} == {JobState.CANCELLED}
            assert await app.cancel_where(states=[JobState.RUNNING]) == Cancelled()
            assert await app.cancel_where(states=[JobState.BLOCKED], task="n?te") == Cancelled(removed=1)
            assert await app.cancel_where(task="no*", queue="mail") == Cancelled(removed=4)
            for wrong in ({}, {"states": [JobState.FAILED]}):
                with pytest.raises(ConfigurationError):
                    await app.cancel_where(**wrong)  # pyright: ignore[reportArgumentType]
            async with working(app, queues=["default", "mail"]):
                await parent.result(30)
                assert (await ended(child)).state is JobState.CANCELLED
            assert tasks.ran == ["page"]

    run(body())


def test_by_description_with_those_who_wait(place: Place):
    """Parents and children go together, and the children do not fail because of them."""

    async def body() -> None:
        app = place.make()
        tasks = Tasks(app)
        async with app, working(app, queues=["idle"]):
            jobs = [await tasks.note.enqueue("first")]
            for _ in range(5):
                jobs.append(await tasks.note.options(depends_on=jobs[-1]).enqueue("next"))
            assert await app.cancel_where(task="note") == Cancelled(removed=6)
            assert {(await ended(job)).state for job in jobs} == {JobState.CANCELLED}

    run(body())


def test_never_both_cancelled_and_succeeded(place: Place):
    """Cancelled at any moment of its life, a job ends one way, and everybody is told the same."""

    async def body() -> None:
        app = place.make(concurrency=20)
        ran: set[int] = set()

        @app.task(name="brief")
        async def brief(number: int) -> int:
            if number % 3 == 0:
                await asyncio.sleep(0)
            ran.add(number)
            return number

        dice = random.Random(32)
        async with app, store(app) as backend, working(app):
            start = await backend.latest()

            async def race(number: int) -> tuple[naq.Job[int], CancelResult]:
                job = await brief.enqueue(number)
                for _ in range(dice.randrange(12)):
                    await asyncio.sleep(dice.choice((0, 0, 0.0005)))
                return job, await job.cancel()

            outcomes: list[tuple[naq.Job[int], CancelResult]] = []
            for first in range(0, RACES, 50):
                outcomes += await asyncio.gather(*(race(number) for number in range(first, first + 50)))
            finals = {job.id: (await ended(job)).state for job, _ in outcomes}
            seen: dict[str, int] = {}
            while events := await backend.read(after=start, kind="record"):
                start = events[-1][0]
                for _, event in events:
                    seen[event.job_id] = seen.get(event.job_id, 0) + 1
        assert set(finals.values()) <= {JobState.CANCELLED, JobState.SUCCEEDED}
        assert seen == dict.fromkeys(finals, 1)
        for number, (job, result) in enumerate(outcomes):
            if result is CancelResult.REMOVED:
                assert finals[job.id] is JobState.CANCELLED
            if finals[job.id] is JobState.SUCCEEDED:
                assert number in ran
        assert len({result for _, result in outcomes}) > 1, "the races did not race"

    run(body())
