"""Schedules from end to end on the memory backend, with time that the test sets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from schedule_tools import jobs_of

from naq import JobState, Naq, clock
from naq.backends import from_url
from naq.backends.base import Backend
from naq.exceptions import ConfigurationError, ScheduleNotFoundError, SerializationError
from naq.scheduler import Schedule
from naq.scheduler.acts import Acts
from naq.scheduler.declared import reconcile
from naq.scheduler.planner import Planner
from naq.testing.clock import FakeClock
from naq.worker import Worker
from tests.tools import make_app, until_so


@asynccontextmanager
async def working(app: Naq) -> AsyncGenerator[Worker]:
    worker = Worker(app)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(20):
        await worker.wait_ready()
    try:
        yield worker
    finally:
        worker.stop()
        async with asyncio.timeout(20):
            await running


async def states(backend: Backend, name: str) -> list[str]:
    return [job.state.value for job in await jobs_of(backend, name)]


def test_a_worker_makes_and_runs_what_is_declared() -> None:
    """Nothing but the decorator and a worker: each slot runs once, with its arguments."""

    async def story(time: FakeClock) -> None:
        app = make_app()
        ran: list[str] = []

        @app.cron("*/5 * * * *", tz="Europe/Berlin", args=["world"])
        @app.task(name="greet")
        async def greet(name: str) -> None:
            ran.append(f"{name} {clock.now() - start:.0f}")

        async with app, working(app):
            start = clock.now()
            backend = await app.connect()
            await until_so(lambda: jobs_of(backend, "greet"), "the declared schedule")
            for count in (1, 2, 3):
                await time.pass_time(300)
                await until_so(partial(_has, ran, count), "the next run")
        assert ran == ["world 300", "world 600", "world 900"]

    with FakeClock(1_800_000_000.0 - 1_800_000_000.0 % 300) as time:
        asyncio.run(story(time))


async def _has(ran: list[str], count: int) -> bool:
    return len(ran) >= count


def test_everything_that_can_be_done_to_a_schedule() -> None:
    async def story(time: FakeClock) -> None:
        app = make_app()
        ran: list[int] = []

        @app.task(name="add", queue="sums")
        async def add(n: int) -> None:
            ran.append(n)

        async with app:
            backend = await app.connect()
            start = clock.now()
            sums = await app.schedules.create("sums", add.call(1), interval=100)
            with pytest.raises(ConfigurationError, match="already"):
                await app.schedules.create("sums", add.call(1), interval=100)
            assert [when.timestamp() - start for when in await sums.upcoming(3)] == [100, 200, 300]
            assert await states(backend, "sums") == ["scheduled", "scheduled"]

            # Paused, nothing waits, and nothing comes.
            paused = await sums.pause("holidays", by="ann")
            assert paused.paused is not None
            assert await states(backend, "sums") == ["cancelled", "cancelled"]
            assert await sums.upcoming(3) == []
            time.advance(1000)
            assert await Planner(backend, app.config).round() == 0
            assert (await sums.pause()).paused == paused.paused
            await sums.resume()
            assert [when.timestamp() - start for when in await sums.upcoming(2)] == [1100, 1200]

            # Edited, the jobs to come are of the new definition.
            await sums.edit(add.options(queue="other").call(2), jitter=timedelta(seconds=10))
            waiting = [job for job in await jobs_of(backend, "sums") if job.state is JobState.SCHEDULED]
            assert {job.queue for job in waiting} == {"other"}
            assert [when.timestamp() for when in await sums.upcoming(2)] == sorted(job.run_at for job in waiting)
            with pytest.raises(ConfigurationError, match="intervall"):
                await sums.edit(intervall=5)  # pyright: ignore[reportCallIssue]

            # One left out, one at once, some of the past.
            skipped = await sums.skip_next()
            assert skipped is not None
            assert skipped.timestamp() - start == 1100
            assert [round(when.timestamp() - start, -2) for when in await sums.upcoming(1)] == [1200]
            now = await app.job(await sums.run_now()).record()
            assert (now.state, now.queue) == (JobState.QUEUED, "other")
            first, last = clock.as_datetime(start + 100), clock.as_datetime(start + 500)
            assert len(await sums.backfill(first, last, dry_run=True)) == 4
            ids = await sums.backfill(first, last, rate=0.5)
            assert await sums.backfill(first, last) == ids
            filled = [await app.job(job_id).record() for job_id in ids]
            assert [record.run_at and record.run_at - clock.now() for record in filled] == [0, 2, 4, 6]
            with pytest.raises(ConfigurationError, match="past"):
                await sums.backfill(first, clock.as_datetime(clock.now() + 500))

            assert [found.name for found in await app.schedules.list()] == ["sums"]
            assert await sums.delete()
            assert not await sums.delete()
            assert await app.schedules.list() == []
            assert "scheduled" not in [job.state.value for job in await jobs_of(backend, "sums") if job.id not in ids]
            with pytest.raises(ScheduleNotFoundError, match="sums"):
                await sums.pause()

            # The name is free again, and its ticks are not taken for those of before.
            await app.schedules.create("sums", add.call(3), interval=100)
            assert (await states(backend, "sums")).count("scheduled") >= 2

    with FakeClock() as time:
        asyncio.run(story(time))


def test_what_cannot_be_a_schedule_is_refused_before_anything_is_stored() -> None:
    async def story() -> None:
        app = make_app()

        @app.task(name="add")
        async def add(n: int = 0) -> None: ...

        async with app:
            for call in (add.options(delay=5).call(1), add.options(job_id="x").call(1)):
                with pytest.raises(ConfigurationError, match="schedule makes many jobs"):
                    await app.schedules.create("s", call, interval=60)
            with pytest.raises(SerializationError):
                await app.schedules.create("s", add.call("no number"), interval=60)  # pyright: ignore[reportArgumentType]
            with pytest.raises(ConfigurationError, match="not allowed"):
                await app.schedules.create("a.b", add.call(1), interval=60)
            with pytest.raises(ConfigurationError, match="cron"):
                await app.schedules.create("s", add.call(1), cron="nonsense")
            assert await app.schedules.list() == []
        with pytest.raises(ConfigurationError, match="cron"):
            app.cron("61 * * * *")
        with pytest.raises(SerializationError):
            app.cron("@daily", args=["x"])(add)
        app.every(60)(add)
        with pytest.raises(ConfigurationError, match="two schedules"):
            app.every(60)(add)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("missed", "runs"), [("skip", []), ("latest", [3600]), ("catch_up(4)", [2700, 3000, 3300, 3600])]
)
def test_an_hour_without_anybody(missed: str, runs: list[int]) -> None:
    """Workers and scheduler away for an hour: what was in the broker before, and what was missed, by the policy."""

    async def story(time: FakeClock) -> None:
        app = make_app()
        ran: list[str] = []

        @app.task(name="note")
        async def note() -> None:
            ran.append("ran")

        async with app:
            start = clock.now()
            backend = await app.connect()
            schedule = await app.schedules.create("note", note.call(), cron="*/5 * * * *", missed=missed)
            time.advance(3600)
            if missed == "skip":
                time.advance(70)  # out of the grace of the last slot
            async with working(app):
                await until_so(partial(_ahead, schedule), "the next ticks")
                await until_so(partial(_caught_up, backend), "the jobs to end")
            jobs = await jobs_of(backend, "note")
            done = [job for job in jobs if job.state is JobState.SUCCEEDED]
            assert [_slot(job.id) - start for job in done] == runs
            assert len(ran) == len(runs)
            reasons = {job.reason for job in jobs if job.state is JobState.CANCELLED}
            assert all(reason.startswith("missed") for reason in reasons)

    with FakeClock(1_800_000_000.0) as time:
        asyncio.run(story(time))


async def _caught_up(backend: Backend) -> bool:
    return not {"queued", "running"} & set(await states(backend, "note"))


async def _ahead(schedule: Schedule) -> bool:
    kept = await schedule.info()
    return bool([tick for tick in kept.ahead if tick.due > clock.now()])


def _slot(job_id: str) -> float:
    return datetime.strptime(job_id.split("-")[2], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


#: After so many ticks: how many have started, run, and were cancelled.
EXPECTED: dict[str, Callable[[int], tuple[int, int, int]]] = {
    "allow": lambda ticks: (ticks, ticks, 0),
    "skip": lambda ticks: (1, 1, ticks - 1),
    "cancel_previous": lambda ticks: (ticks, 1, ticks - 1),
}


async def _stands(backend: Backend, started: list[float], *expected: int) -> bool:
    seen = await states(backend, "slow")
    return (len(started), seen.count("running"), seen.count("cancelled")) == expected


@pytest.mark.parametrize("overlap", ["allow", "skip", "cancel_previous"])
def test_a_run_that_takes_longer_than_the_period(overlap: str) -> None:
    async def story(time: FakeClock) -> None:
        app = make_app(lease=86400.0)  # no lease ends with the time that we set
        release = asyncio.Event()
        started: list[float] = []

        @app.cron("* * * * *", overlap=overlap)  # pyright: ignore[reportArgumentType]
        @app.task(name="slow")
        async def slow() -> None:
            started.append(clock.now())
            await release.wait()

        async with app, working(app):
            backend = await app.connect()
            await until_so(lambda: jobs_of(backend, "slow"), "the schedule")
            for count in (1, 2, 3):
                await time.pass_time(60)
                await until_so(partial(_stands, backend, started, *EXPECTED[overlap](count)), f"tick {count}")
            release.set()

    with FakeClock(1_800_000_000.0) as time:
        asyncio.run(story(time))


def test_what_is_declared_is_brought_in_line_and_nothing_else() -> None:
    async def story() -> None:
        place = make_app().config.broker_url

        def version(minutes: int, *names: str) -> Naq:
            app = Naq("test", broker_url=place)

            @app.task(name="work")
            async def work() -> None: ...

            for name in names:
                app.cron(f"*/{minutes} * * * *", name=name)(work)
            return app

        backend = from_url(make_app(broker_url=place).config)
        await backend.open()

        async def start(app: Naq) -> int:
            return await reconcile(Acts(backend, app.config), app.name, app.declarations.all.values())

        try:
            one = version(5, "a", "b", "mine")
            async with one:
                mine = await one.schedules.create("mine", one.get_task("work").call(), interval=60)
                await one.schedules.create("other", one.get_task("work").call(), interval=60)
            assert await start(one) == 2  # "mine" was there, made by somebody
            assert await start(one) == 0  # nothing has changed: nothing is written
            async with one:
                await one.schedules["a"].edit(cron="0 * * * *")
                await one.schedules["b"].pause()
                assert await start(version(5, "a", "b")) == 0  # what was done at run time stays
                assert (await one.schedules["a"].info()).table.cron == "0 * * * *"
                assert await start(version(7, "a", "b")) == 2  # until the declaration changes; a pause stays even then
                assert (await one.schedules["a"].info()).table.cron == "*/7 * * * *"
                assert (await one.schedules["b"].info()).paused is not None
                assert await start(version(7, "a")) == 1
                assert [kept.name for kept in await one.schedules.list()] == ["a", "mine", "other"]
                assert (await mine.info()).table.interval == 60
                assert await start(version(7)) == 0  # a program that declares nothing removes nothing
        finally:
            await backend.close()

    asyncio.run(story())


def test_what_a_schedule_keeps_is_sealed_as_jobs_are() -> None:
    """Encrypted where there are keys, and worth nothing to whoever has others."""

    async def story(time: FakeClock) -> None:
        signing, encryption = ("k1:" + "a" * 64,), ("k1:" + "b" * 64,)
        app = make_app(signing_keys=signing, encryption_keys=encryption)
        ran: list[str] = []

        @app.task(name="pay")
        async def pay(card: str) -> None:
            ran.append(card)

        async with app:
            backend = await app.connect()
            schedule = await app.schedules.create("pay", pay.call("4111-1111"), interval=100)
            (entry,) = await backend.entries("schedule")
            assert b"4111" not in entry.value
            assert b"4111" not in (await schedule.info()).template.payload
            async with working(app):
                await time.pass_time(100)
                await until_so(partial(_has, ran, 1), "the run")
            other = make_app(broker_url=app.config.broker_url, signing_keys=("k2:" + "c" * 64,))
            time.advance(1000)
            assert await Planner(backend, other.config).round() == 0  # it says so in the log, and makes nothing
            assert await Planner(backend, app.config).round() > 0
        assert ran == ["4111-1111"]

    with FakeClock() as time:
        asyncio.run(story(time))


def test_a_schedule_that_nobody_can_read_keeps_no_job_and_no_other_schedule() -> None:
    async def story(time: FakeClock) -> None:
        app = make_app()
        ran: list[str] = []

        @app.cron("* * * * *", name="too-much", args=["x" * 2_000_000])
        @app.cron("* * * * *", name="good", args=["good"])
        @app.task(name="say")
        async def say(what: str) -> None:
            ran.append(what)

        async with app:
            backend = await app.connect()
            broken = await app.schedules.create("broken", say.call("broken"), interval=60)
            assert len(await broken.upcoming(2)) == 2
            await backend.put("schedule", "broken", b"no schedule")
            async with working(app):
                await until_so(lambda: jobs_of(backend, "good"), "the good one")
                await time.pass_time(60)
                await until_so(partial(_has, ran, 2), "both to run")
            assert sorted(ran) == ["broken", "good"]
            assert len(await jobs_of(backend, "good")) > 2
            assert [kept.name for kept in await app.schedules.list()] == ["good"]
            assert await broken.delete()

    with FakeClock(1_800_000_000.0) as time:
        asyncio.run(story(time))
