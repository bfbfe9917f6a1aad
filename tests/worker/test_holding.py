"""Tasks that are paused: their jobs wait, wherever they are, and nothing else does."""

from __future__ import annotations

import asyncio

import pytest

from naq import Naq
from naq.job import JobState
from naq.limits import pauses
from naq.worker.holding import FIRST, MOST, delay_of
from tests.tools import Place, run, until_so, working


def two_tasks(app: Naq) -> list[str]:
    """Tasks of one queue that note that they ran."""
    ran: list[str] = []

    @app.task(name="mail")
    async def mail(n: int) -> None:
        ran.append(f"mail {n}")

    @app.task(name="other")
    async def other() -> None:
        ran.append("other")

    return ran


def test_a_worker_that_starts_leaves_jobs_of_a_paused_task_alone(place: Place) -> None:
    app = place.make(heartbeat_interval=0.2)
    ran = two_tasks(app)
    mail, other = app.tasks["mail"], app.tasks["other"]

    async def test() -> None:
        async with app:
            assert await mail.pause("the provider is down")
            assert not await mail.pause("again")  # the first word stands
            job = await mail.enqueue(1)
            async with working(app):
                await (await other.enqueue()).result(timeout=30)

                async def held() -> bool:
                    return (await job.why()).cause == "task paused"

                await until_so(held)
                why = await job.why()
                assert "paused by " in why.text
                assert "(the provider is down)" in why.text
                assert why.command == "naq tasks resume mail"
                record = await job.record()
                assert (record.state in {JobState.SCHEDULED, JobState.QUEUED}, record.attempt) == (True, 1)
                assert ran == ["other"]
                assert await mail.resume()
                assert not await mail.resume()
                await job.result(timeout=30)
                assert ran == ["other", "mail 1"]

    run(test())


@pytest.mark.parametrize("signalled", [True, False])
def test_a_worker_that_runs_learns_of_a_pause(place: Place, *, signalled: bool) -> None:
    app = place.make(heartbeat_interval=3000.0 if signalled else 0.1, worker_ttl=6000.0)
    two_tasks(app)
    mail = app.tasks["mail"]

    async def test() -> None:
        async with app, working(app):
            await (await mail.enqueue(0)).result(timeout=30)
            if signalled:
                await mail.pause()
            else:
                await app.backend.put(pauses.TASKS, "tasks", b'{"mail": {}}')

            async def held() -> bool:
                job = await mail.enqueue(1)
                await asyncio.wait({asyncio.ensure_future(job.result(timeout=0.05))})
                return (await job.record()).reason.startswith(pauses.HELD)

            await until_so(held)

    run(test())


def test_a_short_pause_is_soon_over_and_of_a_long_one_jobs_come_by_seldom() -> None:
    pause = pauses.Pause("ann", 1000.0, "x")
    assert [delay_of(pause, now) for now in (999.0, 1000.0, 1020.0, 99_000.0)] == [FIRST, FIRST, 10.0, MOST]
    assert pauses.held_reason(pause) == "task is paused by ann since 1970-01-01 00:16:40 UTC (x)"
