"""`Job.edit`: jobs that wait, changed where they wait."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from naq import ConfigurationError, JobState, Naq, SerializationError, clock
from naq.exceptions import PayloadTooLarge
from tests.tools import Place, make_app, run, working

FAR = timedelta(hours=1)


def add_task(app: Naq) -> Any:
    @app.task(name="add", tags={"team": "a"})
    async def add(x: int, y: int = 0) -> int:
        return x + y

    return add


@pytest.mark.parametrize("keys", [{}, {"signing_keys": ["edit:" + "a2V5" * 11]}])
def test_a_scheduled_job_runs_as_changed(place: Place, keys: dict[str, Any]) -> None:
    async def main() -> None:
        app = place.make(**keys)
        add = add_task(app)
        async with app:
            job = await add.options(delay=FAR, retries=3).enqueue(1, y=2)
            assert await job.edit([5], {"y": 6}, priority="high", tags={"who": "ada"}, timeout=9) is True
            record = await job.record()
            assert (record.state, record.priority, record.tags) == (JobState.SCHEDULED, "high", {"who": "ada"})
            due = clock.now() + 1800
            assert await app.job(job.id).edit(run_at=due) is True
            assert abs((await job.record()).run_at - due) < 0.001
            async with working(app):
                assert await job.edit(delay=0) is True
                assert await job.result(timeout=30) == 11
                assert await job.edit(delay=0) is False

    run(main())


def test_a_blocked_job_keeps_waiting(place: Place) -> None:
    async def main() -> None:
        app = place.make()
        add = add_task(app)
        async with app:
            parent = await add.options(delay=FAR).enqueue(1)
            child = await add.options(depends_on=parent).enqueue(1, y=2)
            assert await child.edit([7]) is True
            assert await child.status() is JobState.BLOCKED
            async with working(app):
                assert await parent.run_now() is True
                assert await child.result(timeout=30) == 7

    run(main())


def test_a_job_in_line_runs_as_changed_or_later(place: Place) -> None:
    """And one that a worker has stays as it is."""

    async def main() -> None:
        app = place.make()
        add = add_task(app)
        entered, leave = asyncio.Event(), asyncio.Event()

        @app.task(name="stay")
        async def stay() -> None:
            entered.set()
            await leave.wait()

        async with app:
            job, later = [await add.enqueue(1) for _ in range(2)]
            assert await job.edit([5], tags={"who": "ada"}, delay=0) is True
            assert await job.status() is JobState.QUEUED
            assert await later.edit(delay=FAR) is True
            assert await later.status() is JobState.SCHEDULED
            async with working(app):
                assert await job.result(timeout=30) == 5
                assert await job.edit([6]) is False
                running = await stay.enqueue()
                await asyncio.wait_for(entered.wait(), 30)
                assert await running.edit(tags={"who": "eve"}) is False
                leave.set()
                await running.result(timeout=30)

    run(main())


def test_one_that_goes_off_meanwhile_runs_once(place: Place) -> None:
    """Whoever wins, worker or person: one run, with the arguments that the answer says."""

    async def main() -> None:
        app = place.make()
        ran: list[tuple[str, int]] = []

        @app.task(name="note")
        async def note(who: str, value: int) -> None:
            ran.append((who, value))

        async with app, working(app):
            jobs = [await note.options(delay=0.05 + i * 0.005).enqueue(str(i), 0) for i in range(40)]
            changed = [
                int(done) for done in await asyncio.gather(*(job.edit([str(i), 1]) for i, job in enumerate(jobs)))
            ]
            for i, job in enumerate(jobs):
                if await job.edit([str(i), 2]):
                    changed[i] = 2
            for job in jobs:
                await job.result(timeout=30)
        assert sorted(ran) == sorted((str(i), value) for i, value in enumerate(changed))

    run(main())


def test_what_cannot_be_is_refused_and_nothing_changed() -> None:
    async def main() -> None:
        app = make_app()
        add = add_task(app)

        @app.task(name="only", unique_by="x")
        async def only(x: int, y: int = 0) -> None: ...

        async with app:
            job = await add.options(delay=FAR, expires_in=timedelta(hours=2)).enqueue(1)
            before = await (await app.connect()).specs([job.id])
            bad: list[tuple[type[Exception], str, dict[str, Any]]] = [
                (ConfigurationError, "nothing to change", {}),
                (ConfigurationError, "cannot be changed", {"queue": "other"}),
                (ConfigurationError, "did you mean", {"priorty": "high"}),
                (ConfigurationError, "no priority", {"priority": "urgent"}),
                (ConfigurationError, "give one of them", {"delay": 1, "run_at": 2}),
                (ConfigurationError, "could never start", {"delay": timedelta(hours=3)}),
                (SerializationError, "add", {"args": ["no number"]}),
                (SerializationError, "add", {"kwargs": {"z": 1}}),
                (PayloadTooLarge, "tags", {"tags": {"a": "x" * 5000}}),
            ]
            for kind, text, asked in bad:
                with pytest.raises(kind, match=text):
                    await job.edit(**asked)
            assert await (await app.connect()).specs([job.id]) == before
            keyed = await only.options(delay=FAR).enqueue(1)
            with pytest.raises(ConfigurationError, match="unique key"):
                await keyed.edit([2])
            assert await keyed.edit([1], {"y": 2}) is True
            assert (await only.enqueue(1)).duplicate
            assert await app.job("nobody").edit([2]) is False

    run(main())


def test_without_an_event_loop() -> None:
    app = make_app()
    add = add_task(app)
    job = add.options(delay=FAR).enqueue_sync(1)
    assert job.edit_sync([2], priority="low") is True
    assert job.record_sync().priority == "low"
    assert job.steps_sync() == []
