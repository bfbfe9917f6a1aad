"""`expires_at`: no attempt begins after it, wherever the job waits; what runs goes on; and people are shown it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from naq import ConfigurationError, JobExpired, JobState, Naq, SnoozeJob, clock
from naq.limits.why import explain
from naq.testing import override

_stores = itertools.count()


class Tasks:
    """An app that counts what ran."""

    def __init__(self) -> None:
        self.app = Naq("expiry", broker_url=f"memory:expiry-{next(_stores)}")
        self.ran: list[str] = []

        @self.app.task(name="note")
        async def note(what: str) -> str:
            self.ran.append(what)
            return what

        @self.app.task(name="fail", retry=[100.0])
        async def fail() -> None:
            self.ran.append("fail")
            raise ValueError("on purpose")

        @self.app.task(name="snooze")
        async def snooze() -> None:
            self.ran.append("snooze")
            raise SnoozeJob(delay=100)

        self.note, self.fail, self.snooze = note, fail, snooze


def play(test: Callable[[Tasks, Any], Awaitable[None]]) -> None:
    async def main() -> None:
        tasks = Tasks()
        with override(tasks.app) as jobs:
            await test(tasks, jobs)

    asyncio.run(main())


def test_in_line_it_expires_and_says_so_until_somebody_takes_it() -> None:
    async def test(tasks: Tasks, jobs: Any) -> None:
        job = await tasks.note.options(expires_in=60).enqueue("late")
        backend = await tasks.app.connect()
        record = await backend.get(job.id)
        assert record is not None
        assert record.expires_at == pytest.approx(clock.now() + 60, abs=5)
        assert (await explain(backend, job.id)).cause == "no worker"
        jobs.clock.advance(61)
        found = await explain(backend, job.id)
        assert (found.cause, found.expires_at) == ("expired", record.expires_at)
        await jobs.drain()
        with pytest.raises(JobExpired):
            await job.result(timeout=5)
        ended = await job.record()
        assert (ended.state, ended.expires_at) == (JobState.EXPIRED, record.expires_at)
        assert tasks.ran == []

    play(test)


@pytest.mark.parametrize("at", [datetime(2100, 1, 1, tzinfo=UTC), datetime(2100, 1, 1), 4102444800.0, 4102444800])  # noqa: DTZ001
def test_a_moment_is_taken_as_it_is(at: datetime | float) -> None:
    async def test(tasks: Tasks, jobs: Any) -> None:
        job = await tasks.note.options(expires_at=at).enqueue("fine")
        record = await job.record()
        assert record.expires_at == 4102444800.0
        await jobs.drain()
        assert await job.result(timeout=5) == "fine"

    play(test)


def test_scheduled_it_runs_if_its_worker_is_in_time_and_not_later() -> None:
    async def test(tasks: Tasks, jobs: Any) -> None:
        run_at = clock.now() + 60
        good = await tasks.note.options(run_at=run_at, expires_at=run_at + 10).enqueue("in time")
        late = await tasks.note.options(run_at=run_at, expires_at=run_at + 10, queue="other").enqueue("late")
        await jobs.drain(advance=timedelta(seconds=61), queues=["default"])
        jobs.clock.advance(10)
        await jobs.drain()
        assert (await good.status(), await late.status()) == (JobState.SUCCEEDED, JobState.EXPIRED)
        assert tasks.ran == ["in time"]

    play(test)


def test_it_is_not_tried_again_when_that_would_be_too_late() -> None:
    async def test(tasks: Tasks, jobs: Any) -> None:
        short = await tasks.fail.options(expires_in=50).enqueue()
        enough = await tasks.fail.options(expires_in=150).enqueue()
        await jobs.drain()
        record = await short.record()
        assert (record.state, record.attempt) == (JobState.EXPIRED, 1)
        assert record.reason == "its next attempt, in 100 s, would be after its expires_at"
        assert [error.message for error in record.errors] == ["on purpose"]
        assert (await enough.record()).state is JobState.RETRYING
        await jobs.drain(advance=timedelta(seconds=101))
        assert (await enough.record()).state is JobState.FAILED
        assert tasks.ran == ["fail", "fail", "fail"]

    play(test)


def test_a_snooze_beyond_it_ends_it() -> None:
    async def test(tasks: Tasks, jobs: Any) -> None:
        job = await tasks.snooze.options(expires_in=50).enqueue()
        await jobs.drain()
        assert (await job.record()).state is JobState.EXPIRED

    play(test)


def test_an_attempt_that_has_begun_ends_as_it_ends() -> None:
    async def test(tasks: Tasks, jobs: Any) -> None:
        @tasks.app.task(name="long")
        async def long() -> str:
            jobs.clock.advance(100)
            return "done"

        job = await long.options(expires_in=50).enqueue()
        await jobs.drain()
        assert await job.result(timeout=5) == "done"

    play(test)


def test_blocked_it_expires_when_its_parent_ends_too_late() -> None:
    async def test(tasks: Tasks, jobs: Any) -> None:
        parent = await tasks.note.options(delay=100).enqueue("parent")
        child = await tasks.note.options(depends_on=parent, expires_in=50).enqueue("child")
        await jobs.drain(advance=timedelta(seconds=101))
        assert (await child.record()).state is JobState.EXPIRED
        assert tasks.ran == ["parent"]

    play(test)


@pytest.mark.parametrize(
    "options",
    [
        {"expires_at": 1.0},
        {"run_at": 4102444800.0, "expires_at": 4102444800.0},
        {"delay": 60, "expires_at": lambda: clock.now() + 30},
    ],
)
def test_what_could_never_start_is_refused(options: dict[str, Any]) -> None:
    async def test(tasks: Tasks, jobs: Any) -> None:
        read: dict[str, Any] = {name: value() if callable(value) else value for name, value in options.items()}
        with pytest.raises(ConfigurationError, match="could never start"):
            await tasks.note.options(**read).enqueue("never")
        assert jobs.enqueued() == []

    play(test)


def test_two_ways_to_say_it_are_one_too_many() -> None:
    tasks = Tasks()
    with pytest.raises(ConfigurationError, match="expires_in and expires_at both say until when"):
        tasks.note.options(expires_in=1, expires_at=4102444800.0)
    with pytest.raises(ConfigurationError, match="milliseconds"):
        tasks.note.options(expires_at=4102444800000.0)
