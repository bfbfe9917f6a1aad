"""`Naq.jobs`, and dead letters looked at, run again and removed, with and without an event loop."""

from __future__ import annotations

from datetime import timedelta

import pytest

from naq import ConfigurationError, JobExecutionError, JobState, clock, sync
from tests.tools import Place, make_app, run, until_so, working


def test_jobs_by_queue_task_state_tag_and_time(place: Place) -> None:
    async def main() -> None:
        app = place.make()

        @app.task(name="send", queue="mail")
        async def send(n: int) -> int:
            return n

        @app.task(name="tidy")
        async def tidy() -> None: ...

        async with app:
            hours = [
                await send.options(delay=timedelta(hours=hour), tags={"hour": str(hour)}).enqueue(hour)
                for hour in (3, 1, 2)
            ]
            queued, other = await send.enqueue(0), await tidy.options(delay=timedelta(hours=1)).enqueue()

            async def found(*ids: str, **which: object) -> None:
                async def so() -> bool:
                    return [record.id for record in await app.jobs(**which)] == list(ids)  # pyright: ignore[reportArgumentType]

                await until_so(so, str(which))

            three, one, two = [job.id for job in hours]
            now = clock.now()
            await found(queued.id, two, one, three, queue="mail")
            await found(two, one, queue="mail", states=[JobState.SCHEDULED], limit=2)
            await found(one, two, queue="mail", due_before=now + 2.5 * 3600)
            await found(one, queue="mail", due_before=clock.as_datetime(now + 5 * 3600), limit=1)
            await found(other.id, task="t*", due_before=now + 2 * 3600)
            await found(two, tags={"hour": "2"})
            await found(queue="nobody")
            with pytest.raises(ConfigurationError, match="wait for a time"):
                await app.jobs(states=[JobState.FAILED], due_before=now)
            async with working(app, queues=["mail"]):
                assert await queued.result(timeout=30) == 0
                await found(queued.id, states=[JobState.SUCCEEDED])

    run(main())


def test_without_an_event_loop() -> None:
    app = make_app()

    @app.task(name="bad")
    async def bad(why: str) -> None:
        raise ValueError(why)

    async def fail() -> None:
        async with app, working(app):
            for why in ("one", "two", "three"):
                job = await bad.enqueue(why)
                with pytest.raises(JobExecutionError):
                    await job.result(timeout=30)
            assert await app.discard_dead(await app.dead_letters(reason="two")) == 1
            assert await app.discard_dead(["nobody"]) == 0

    keep = app.jobs_sync()  # the bridge's connection keeps the store of `memory:` alive
    assert keep == []
    run(fail())
    third, first = app.dead_letters_sync(task="bad")
    assert app.retry_edited_sync(first, ["one more"]) is True
    assert app.retry_dead_sync([first]) == 0
    assert app.discard_dead_sync([third, "nobody"]) == 1
    assert app.dead_letters_sync() == []
    assert [(record.id, record.run) for record in app.jobs_sync(states=[JobState.QUEUED])] == [(first.id, 2)]
    sync.stop()
