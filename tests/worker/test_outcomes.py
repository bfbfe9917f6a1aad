"""What a task returns or raises, and the record that comes of it."""

from __future__ import annotations

import asyncio
import sys
from contextvars import ContextVar
from typing import Any

import pytest

from naq import Context, Retry, current_context
from naq.exceptions import CancelJob, DiscardJob, JobExecutionError, RetryJob, SnoozeJob, TaskTimeoutError
from naq.job import JobState
from tests.tools import ended, make_app, run, working

NOW = Retry(max_attempts=3, base=0.0, jitter=False)


def test_results_of_coroutines_and_functions() -> None:
    app = make_app()

    @app.task(name="twice")
    async def twice(number: int) -> int:
        return number * 2

    @app.task(name="shout")
    def shout(text: str, *, mark: str = "!") -> str:
        return text.upper() + mark

    async def test() -> None:
        async with working(app) as worker:
            jobs = await twice.enqueue_many([twice.call(number) for number in range(50)])
            assert [await job.result(timeout=5) for job in jobs] == [number * 2 for number in range(50)]
            assert await (await shout.enqueue("a", mark="?")).result(timeout=5) == "A?"
            record = await jobs[0].record()
        assert (record.state, record.attempt, record.worker, record.task) == ("succeeded", 1, worker.id, "twice")
        assert record.enqueued_at <= record.started_at <= record.finished_at
        assert worker.processed == 51

    run(test())


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_failures_are_retried_and_every_error_is_kept(kind: str) -> None:
    app = make_app()
    attempts: list[int] = []

    def body() -> str:
        attempts.append(current_context().attempt)
        if len(attempts) < 3:
            raise ValueError(f"not at {len(attempts)}")
        return "at last"

    async def async_body() -> str:
        return body()

    task: Any = app.task(name="task", retry=NOW)(async_body if kind == "async" else body)

    async def test() -> None:
        async with working(app):
            job = await task.enqueue()
            assert await job.result(timeout=5) == "at last"
            record = await job.record()
        assert attempts == [1, 2, 3]
        assert (record.state, record.attempt) == (JobState.SUCCEEDED, 3)
        assert [(error.attempt, error.message) for error in record.errors] == [(1, "not at 1"), (2, "not at 2")]
        frame = record.errors[0].frames[0]
        assert frame.file == __file__, "the worker's own frames tell the task's author nothing"

    run(test())


def test_the_last_attempt_fails_for_good() -> None:
    app = make_app()

    @app.task(name="never", retry=Retry(max_attempts=12, base=0.0, jitter=False))
    async def never() -> None:
        raise OSError("no")

    async def test() -> None:
        async with working(app) as worker:
            job = await never.enqueue()
            with pytest.raises(JobExecutionError, match="OSError: no"):
                await job.result(timeout=5)
            record = await job.record()
            dead = await (await app.connect()).dead()
        assert (record.state, record.attempt) == (JobState.FAILED, 12)
        assert [error.attempt for error in record.errors] == list(range(3, 13)), "the last 10 are kept"
        assert [(letter.id, letter.kind) for letter in dead] == [(job.id, "failed")]
        assert worker._crew is not None  # pyright: ignore[reportPrivateUsage]
        assert worker._crew.flights.failed == 1  # pyright: ignore[reportPrivateUsage]

    run(test())


def test_a_policy_may_give_up_and_may_travel_with_the_job() -> None:
    app = make_app()
    seen: list[int] = []

    @app.task(name="picky", retry=Retry(max_attempts=5, base=0.0, give_up_on=(KeyError,)))
    async def picky(error: str) -> None:
        seen.append(current_context().max_attempts)
        raise KeyError(error) if error == "key" else ValueError(error)

    async def test() -> None:
        async with working(app):
            assert (await ended(await picky.enqueue("key"))).attempt == 1
            assert (await ended(await picky.options(retry=Retry(max_attempts=2, base=0.0)).enqueue("v"))).attempt == 2
        assert seen == [5, 2, 2]

    run(test())


def test_a_policy_that_raises_ends_the_job_and_not_the_worker() -> None:
    app = make_app()

    def decide(attempt: int, error: BaseException) -> float:
        raise RuntimeError("the policy is broken")

    @app.task(name="broken", retry=decide)
    async def broken() -> None:
        raise ValueError

    @app.task(name="fine")
    async def fine() -> int:
        return 1

    async def test() -> None:
        async with working(app):
            assert (await ended(await broken.enqueue())).state is JobState.FAILED
            assert await (await fine.enqueue()).result(timeout=5) == 1

    run(test())


def test_retry_job_asks_for_another_attempt_within_the_policy() -> None:
    app = make_app()
    runs: list[int] = []

    @app.task(name="again", retry=Retry(max_attempts=2, base=60.0, retry_on=(OSError,)))
    async def again() -> None:
        runs.append(current_context().attempt)
        raise RetryJob("not yet", delay=0.0)

    async def test() -> None:
        async with working(app):
            record = await ended(await again.enqueue())
        assert runs == [1, 2], "its own delay counts, and so does max_attempts"
        assert (record.state, record.errors[-1].message) == (JobState.FAILED, "not yet")

    run(test())


def test_snooze_does_not_count_as_an_attempt() -> None:
    app = make_app()
    runs: list[int] = []

    @app.task(name="snooze")
    async def snooze() -> str:
        runs.append(current_context().attempt)
        if len(runs) < 3:
            raise SnoozeJob(0 if len(runs) == 1 else float("nan"))
        return "awake"

    async def test() -> None:
        async with working(app):
            job = await snooze.enqueue()
            assert await job.result(timeout=5) == "awake"
            assert (await job.record()).errors == []
        assert runs == [1, 1, 1]

    run(test())


def test_discard_and_cancel() -> None:
    app = make_app()

    @app.task(name="discard", retry=NOW)
    async def discard() -> None:
        raise DiscardJob("hopeless")

    @app.task(name="cancel", retry=NOW)
    async def cancel() -> None:
        raise CancelJob("not needed any more")

    async def test() -> None:
        async with working(app):
            discarded = await ended(await discard.enqueue())
            cancelled = await ended(await cancel.enqueue())
        assert (discarded.state, discarded.attempt, discarded.errors[0].message) == (JobState.FAILED, 1, "hopeless")
        assert (cancelled.state, cancelled.reason) == (JobState.CANCELLED, "not needed any more")

    run(test())


class Hostile(Exception):
    def __str__(self) -> str:
        raise SystemExit("from __str__")


def _recurse() -> None:
    _recurse()


ODD: dict[str, tuple[Any, str]] = {
    "exit": (lambda: sys.exit(3), "builtins.SystemExit"),
    "interrupt": (lambda: (_ for _ in ()).throw(KeyboardInterrupt), "builtins.KeyboardInterrupt"),
    "cancelled": (lambda: (_ for _ in ()).throw(asyncio.CancelledError), "asyncio.exceptions.CancelledError"),
    "timeout": (lambda: (_ for _ in ()).throw(TimeoutError("mine")), "builtins.TimeoutError"),
    "recursion": (_recurse, "builtins.RecursionError"),
    "hostile": (lambda: (_ for _ in ()).throw(Hostile), "test_outcomes.Hostile"),
    "stop": (lambda: next(iter(())), "StopIteration"),
    "verdict": (lambda: (_ for _ in ()).throw(TaskTimeoutError("another job's")), "naq.exceptions.JobExecutionError"),
}


@pytest.mark.parametrize("kind", ["async", "sync"])
@pytest.mark.parametrize("odd", ODD)
def test_whatever_a_task_raises_is_the_jobs_failure_and_is_retried(odd: str, kind: str) -> None:
    app = make_app()
    act, expected = ODD[odd]

    async def async_body() -> None:
        await asyncio.sleep(0)
        act()

    task: Any = app.task(name="odd", retry=Retry(max_attempts=2, base=0.0))(async_body if kind == "async" else act)

    @app.task(name="fine")
    async def fine() -> int:
        return 1

    async def test() -> None:
        async with working(app):
            record = await ended(await task.enqueue())
            assert (record.state, record.attempt) == (JobState.FAILED, 2)
            error = record.errors[-1]
            # A coroutine cannot raise StopIteration: Python makes it a RuntimeError with the original as its cause.
            assert expected in error.type or expected in error.causes[0].type
            assert await (await fine.enqueue()).result(timeout=5) == 1

    run(test())


@pytest.mark.parametrize("kind", ["async", "sync"])
def test_results_that_cannot_be_stored_fail_without_a_retry(kind: str) -> None:
    app = make_app(max_result=100)
    made = {"object": object, "large": lambda: "x" * 200}

    async def async_body(what: str) -> Any:
        return made[what]()

    def body(what: str) -> Any:
        return made[what]()

    task: Any = app.task(name="make", retry=NOW)(async_body if kind == "async" else body)

    async def test() -> None:
        async with working(app):
            unencodable = await ended(await task.enqueue("object"))
            large = await ended(await task.enqueue("large"))
        assert (unencodable.state, unencodable.attempt) == (JobState.FAILED, 1)
        assert unencodable.errors[0].type == "naq.exceptions.SerializationError"
        assert (large.state, large.attempt) == (JobState.FAILED, 1)
        assert "max_result" in large.errors[0].message

    run(test())


def test_each_job_has_its_context_and_its_own_variables() -> None:
    app = make_app()
    variable: ContextVar[str] = ContextVar("variable", default="unset")
    contexts: dict[str, Context] = {}

    async def async_body(text: str) -> str:
        before = variable.get()
        variable.set(text)
        contexts[text] = current_context()
        await asyncio.sleep(0)
        return f"{before} {variable.get()}"

    def body(text: str) -> str:
        before = variable.get()
        variable.set(text)
        contexts[text] = current_context()
        return f"{before} {variable.get()}"

    one: Any = app.task(name="one", tags={"team": "mail"}, timeout=50)(async_body)
    two: Any = app.task(name="two", queue="default")(body)

    async def test() -> None:
        async with working(app, concurrency=1):
            for text in "ab":
                assert await (await one.enqueue(text)).result(timeout=5) == f"unset {text}"
            for text in "cd":
                assert await (await two.enqueue(text)).result(timeout=5) == f"unset {text}"
        assert (contexts["a"].task, contexts["a"].tags, contexts["c"].task) == ("one", {"team": "mail"}, "two")
        remaining = contexts["a"].remaining()
        assert remaining is not None
        assert 30 < remaining < 50
        assert contexts["c"].remaining() is None

    run(test())
