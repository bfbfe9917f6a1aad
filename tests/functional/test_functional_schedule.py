"""Schedules without an app: made, seen, paused, changed, cancelled, with an event loop and without."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import given_jobs
import pytest
from functional_tools import DEADLINE, until, working
from given_jobs import add

import naq
from naq import ConfigurationError, JobState, Queue, Schedule, Scheduler, SyncClient, clock, sync
from naq.connections import settings, shared


def tags(name: str) -> list[Any]:
    """The jobs that the schedule `name` made."""

    async def read() -> list[Any]:
        backend = await shared(settings()).connect()
        return [job for job in await backend.jobs() if job.tags.get("schedule") == name]

    return sync.run("", read)


def test_a_function_runs_again_and_again(place: str) -> None:
    """By a worker that was given nothing but its module; `repeat` times."""
    made = naq.schedule_sync(given_jobs.note, "tick", interval=1, repeat=2)
    with working():
        until(lambda: given_jobs.runs.count("tick") == 2, "two runs")
        until(lambda: [job.state for job in tags(made.job_id)] == [JobState.SUCCEEDED] * 2, "their records")

    async def ended() -> bool:
        return (await made.info()).ended

    assert isinstance(made, Schedule)
    assert sync.run("", ended)


async def _all_of_it(queue: Queue) -> None:
    made = await queue.schedule(add, 1, b=2, cron="0 7 * * MON-FRI", timing={"tz": "Europe/Berlin"}, max_retries=3)
    kept = await made.info()
    assert (kept.table.cron, kept.table.tz, kept.template.queue) == ("0 7 * * MON-FRI", "Europe/Berlin", "reports")
    assert await queue.pause_scheduled_job(made.job_id)
    assert await made.upcoming() == []
    assert await queue.resume_scheduled_job(made.job_id)
    assert await queue.modify_scheduled_job(made.job_id, interval=timedelta(minutes=5), repeat=7)
    kept = await made.info()
    assert (kept.table.cron, kept.table.interval, kept.table.repeat) == ("", 300, 7)
    with pytest.raises(ConfigurationError, match="inteval"):
        await queue.modify_scheduled_job(made.job_id, inteval=5)
    with pytest.raises(ConfigurationError, match="without one of"):
        await queue.modify_scheduled_job(made.job_id)
    assert await queue.cancel_scheduled_job(made.job_id)
    for act in (queue.pause_scheduled_job, queue.resume_scheduled_job, queue.cancel_scheduled_job):
        assert not await act(made.job_id)
    assert not await queue.modify_scheduled_job(made.job_id, repeat=1)


def test_everything_from_an_event_loop(place: str) -> None:
    async def main() -> None:
        await _all_of_it(Queue("reports"))
        made = await naq.schedule(add, 1, 2, interval=60, queue_name="reports", schedule_id="mine")
        assert made.name == "mine"
        assert await naq.pause_scheduled_job("mine")
        assert await naq.resume_scheduled_job("mine")
        assert await naq.modify_scheduled_job("mine", cron="@daily")
        assert await naq.cancel_scheduled_job("mine")
        await naq.disconnect()

    asyncio.run(main())


def test_everything_without(place: str) -> None:
    made = naq.schedule_sync(add, 1, 2, cron="@hourly", schedule_id="mine")
    assert made.name == "mine"
    assert naq.pause_scheduled_job_sync("mine")
    assert naq.resume_scheduled_job_sync("mine")
    assert naq.modify_scheduled_job_sync("mine", repeat=2)
    assert naq.cancel_scheduled_job_sync("mine")
    queue = Queue()
    one = queue.schedule_sync(add, 1, 2, interval=60).job_id
    assert queue.pause_scheduled_job_sync(one)
    assert queue.resume_scheduled_job_sync(one)
    assert queue.modify_scheduled_job_sync(one, interval=61)
    assert queue.cancel_scheduled_job_sync(one)
    with SyncClient() as client:
        two = client.schedule(add, 1, 2, interval=60).job_id
        assert client.pause_scheduled_job(two)
        assert client.resume_scheduled_job(two)
        assert client.modify_scheduled_job(two, interval=61)
        assert client.cancel_scheduled_job(two)


@pytest.mark.parametrize(
    ("when", "word"),
    [({}, "cron or interval"), ({"cron": "@daily", "interval": 1}, "one of them"), ({"interval": 0}, "interval"),
     ({"cron": "x"}, "cron"), ({"interval": 1, "repeat": 0}, "repeat")],
)  # fmt: skip
def test_what_cannot_be(when: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigurationError, match=word):
        naq.schedule_sync(add, 1, 2, **when)


async def so(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110  a scheduler has no event for it
            await asyncio.sleep(0.01)


def test_a_scheduler_keeps_schedules_going_without_workers(place: str) -> None:
    """The first of two leads; when it has gone, the other does at once."""

    async def main() -> None:
        one, two = Scheduler(poll_interval=1), Scheduler(poll_interval=1, instance_id="two")
        assert not one.is_leader
        running = asyncio.create_task(one.run())
        await so(lambda: one.is_leader)
        other = asyncio.create_task(two.run())
        made = await naq.schedule(add, 1, 2, interval=1)
        made_at = clock.now()
        kept = await made.info()
        while kept.ahead[-1].at < made_at + 32:  # somebody looked again
            await asyncio.sleep(0.05)
            kept = await made.info()
        assert not two.is_leader
        one.stop()
        await running
        assert not one.is_leader
        await so(lambda: two.is_leader)
        alone = Scheduler(enable_ha=False)
        third = asyncio.create_task(alone.run())
        await so(lambda: alone.is_leader)  # beside the other: it asks nobody
        assert two.is_leader
        for scheduler in (two, alone):
            scheduler.stop()
        await asyncio.gather(other, third)
        with pytest.raises(naq.NaqException, match="make another"):
            await one.run()
        await naq.disconnect()

    asyncio.run(main())


@pytest.mark.parametrize("seconds", [0, 0.5, 60, True])
def test_a_poll_interval_that_would_be_too_late(seconds: float) -> None:
    with pytest.raises(ConfigurationError, match="poll_interval"):
        Scheduler(poll_interval=seconds)
