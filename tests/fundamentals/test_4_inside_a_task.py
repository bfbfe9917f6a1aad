"""Chapter 4: the context of a running job, and cancelling."""

import asyncio
import logging
import threading

import pytest
from running import new_app, working

from naq import CancelResult, Context, JobCancelled, JobState, current_context


def test_the_context_says_which_job_this_is() -> None:
    app = new_app()
    contexts: list[Context] = []

    @app.task(name="look", queue="mail", timeout=60, retries=2, tags={"team": "mail"})
    def look() -> None:
        contexts.append(current_context())

    async def main() -> None:
        async with working(app):
            job = await look.options(tags={"who": "ada"}).enqueue()
            await job.result(timeout=10)
            (context,) = contexts
            assert (context.job_id, context.task, context.queue) == (job.id, "look", "mail")
            assert (context.attempt, context.max_attempts, context.run) == (1, 3, 1)
            assert context.tags == {"team": "mail", "who": "ada"}
            remaining = context.remaining()
            assert remaining is not None
            assert 0 < remaining <= 60

    asyncio.run(main())


def test_the_logger_says_which_job_it_was(caplog: pytest.LogCaptureFixture) -> None:
    app = new_app()

    @app.task(name="talk")
    async def talk() -> None:
        current_context().logger.info("halfway")

    async def main() -> str:
        async with working(app):
            job = await talk.enqueue()
            await job.result(timeout=10)
            return job.id

    with caplog.at_level(logging.INFO, logger="naq.task.talk"):
        job_id = asyncio.run(main())
    (record,) = [record for record in caplog.records if record.name == "naq.task.talk"]
    assert record.__dict__["job_id"] == job_id
    assert record.__dict__["attempt"] == 1


def test_a_job_may_enqueue_others_and_they_know_it() -> None:
    app = new_app()
    family: list[tuple[str, str]] = []

    @app.task(name="child")
    async def child() -> None:
        context = current_context()
        family.append((context.parent, context.root))

    @app.task(name="parent")
    async def parent() -> str:
        return (await child.enqueue()).id

    async def main() -> None:
        async with working(app):
            job = await parent.enqueue()
            await app.job(await job.result(timeout=10)).result(timeout=10)
            assert family == [(job.id, job.id)]

    asyncio.run(main())


def test_cancelling_a_job_that_waits_means_it_never_runs() -> None:
    app = new_app()
    ran: list[str] = []

    @app.task(name="note")
    async def note(what: str) -> None:
        ran.append(what)

    async def main() -> None:
        async with app:
            job = await note.enqueue("cancelled")
            assert await job.cancel() is CancelResult.REMOVED
        async with working(app):
            await (await note.enqueue("not cancelled")).result(timeout=10)
            assert await app.job(job.id).status() is JobState.CANCELLED
            with pytest.raises(JobCancelled):
                await app.job(job.id).result()
        assert ran == ["not cancelled"]

    asyncio.run(main())


def test_cancelling_a_running_job() -> None:
    app = new_app()
    started, told, tick = threading.Event(), threading.Event(), threading.Event()

    @app.task(name="coroutine")
    async def coroutine() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:  # a coroutine is cancelled
            told.set()
            raise

    @app.task(name="thread")
    def thread() -> None:
        started.set()
        context = current_context()
        while not context.is_cancelled:  # a thread has to look
            tick.wait(0.01)

    async def main() -> None:
        async with working(app):
            for task in (coroutine, thread):
                started.clear()
                job = await task.enqueue()
                assert await asyncio.to_thread(started.wait, 10)
                assert await job.cancel() is CancelResult.REQUESTED
                with pytest.raises(JobCancelled):
                    await job.result(timeout=10)
            assert told.is_set()

    asyncio.run(main())
