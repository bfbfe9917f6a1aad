"""What becomes of missed and overlapping runs, with a real broker's timers, and workers that keep no schedules."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count

from msgspec.structs import replace
from schedule_tools import jobs_of, table

from naq import JobRecord, JobState, Naq, clock
from naq.backends.base import Backend
from naq.functional.scheduler import Scheduler
from naq.scheduler.acts import Acts
from naq.scheduler.handle import make_template
from naq.scheduler.planner import KIND
from naq.schedules import moves
from naq.schedules.kept import encode_kept
from naq.worker import Worker
from tests.tools import until_so

BEHIND = 800  # seconds since anybody looked
PERIOD = 200  # seconds between the slots meanwhile; half of it is later than "only just late"
_numbers = count(1)


def make_app(url: str) -> Naq:
    return Naq("policies", broker_url=url, namespace=f"policies-{os.getpid()}-{next(_numbers)}", shutdown_timeout=0.5)


@asynccontextmanager
async def working(app: Naq, *, scheduler: bool | None = None) -> AsyncGenerator[None]:
    worker = Worker(app, scheduler=scheduler)
    running = asyncio.create_task(worker.run())
    try:
        await worker.wait_ready()
        yield
    finally:
        worker.stop()
        await running


def slots_of(jobs: list[JobRecord], state: JobState) -> int:
    return sum(job.state is state for job in jobs)


def test_missed_runs_by_policy(url: str) -> None:
    expected = {"skip": 0, "latest": 1, "catch_up(3)": 3}

    async def story() -> None:
        app = make_app(url)

        @app.task(name="note")
        async def note() -> None: ...

        async with app:
            backend = await app.connect()
            acts, begun = Acts(backend, app.config), float(int(clock.now()))
            names = {policy: f"s{number}" for number, policy in enumerate(expected)}
            for policy, name in names.items():
                template = make_template(name, note.call(), acts.jobs)
                # Half a period beside the slots of now: none of them is only just late, nor due while this runs.
                start = begun - BEHIND - PERIOD / 2
                kept = moves.first(name, template, table(interval=PERIOD, missed=policy, start=start), start)
                await backend.put(KIND, name, encode_kept(replace(kept, last=start)))
            async with working(app):

                async def made_up() -> bool:
                    found = {policy: await jobs_of(backend, name) for policy, name in names.items()}
                    looked = [(await app.schedules[name].info()).ahead for name in names.values()]
                    return all(looked) and all(
                        slots_of(found[policy], JobState.SUCCEEDED) >= count for policy, count in expected.items()
                    )

                await until_so(made_up, "the missed runs")
            for policy, name in names.items():
                jobs = await jobs_of(backend, name)
                assert slots_of(jobs, JobState.SUCCEEDED) == expected[policy], policy
                assert slots_of(jobs, JobState.SCHEDULED) == 2, "the next two are in the broker"

    asyncio.run(story())


def test_runs_that_overlap_by_policy(url: str) -> None:
    async def story() -> None:
        app = make_app(url)
        started: list[str] = []

        @app.task(name="slow")
        async def slow(name: str) -> None:
            started.append(name)
            await asyncio.Event().wait()

        async with app:
            backend = await app.connect()
            for policy in ("allow", "skip", "cancel_previous"):
                name = policy.replace("_", "-")
                await app.schedules.create(name, slow.call(name), interval=1, overlap=policy)  # pyright: ignore[reportArgumentType]
            async with working(app):

                async def shown() -> bool:
                    jobs = {name: await jobs_of(backend, name) for name in ("allow", "skip", "cancel-previous")}
                    return (
                        slots_of(jobs["allow"], JobState.RUNNING) >= 3
                        and slots_of(jobs["skip"], JobState.CANCELLED) >= 2
                        and slots_of(jobs["cancel-previous"], JobState.CANCELLED) >= 2
                    )

                await until_so(shown, "three runs of each")
                assert started.count("skip") == 1
                assert started.count("cancel-previous") >= 3
                assert await _cancelled(backend, "allow") == 0
                for name in ("allow", "skip", "cancel-previous"):
                    await app.schedules[name].delete()

    asyncio.run(story())


async def _cancelled(backend: Backend, name: str) -> int:
    return slots_of(await jobs_of(backend, name), JobState.CANCELLED)


def test_workers_that_keep_no_schedules_run_what_a_scheduler_makes(url: str) -> None:
    async def story() -> None:
        app = make_app(url)

        @app.every(1, name="often")
        @app.task(name="note")
        async def note() -> None: ...

        async with app:
            backend = await app.connect()
            done = await note.enqueue()
            async with working(app, scheduler=False):
                await done.result(timeout=10)
                assert await app.schedules.list() == [], "what is declared is left to the scheduler as well"
                schedule = await app.schedules.create("seconds", note.call(), interval=20)
                ahead = len((await schedule.info()).ahead)
                await schedule.run_now()
                await until_so(lambda: _ran(backend, "seconds"), "the run that was asked for")
                assert len((await schedule.info()).ahead) == ahead
                scheduler = Scheduler(app=app, poll_interval=1.0)
                running = asyncio.create_task(scheduler.run())
                await until_so(lambda: _ran(backend, "often"), "a run of what is declared")
                scheduler.stop()
                await running

    asyncio.run(story())


def test_a_worker_that_keeps_no_schedules_does_not_stand_in_a_schedulers_way(url: str) -> None:
    """It leads the fleet in all else."""

    async def story() -> None:
        app = make_app(url)

        @app.task(name="note")
        async def note() -> None: ...

        async with app, working(app, scheduler=False):
            backend = await app.connect()
            schedule = await app.schedules.create("on", note.call(), interval=1)
            await until_so(lambda: _ran(backend, "on"), "the first run, which was stored ahead")
            begun = clock.now()
            scheduler = Scheduler(app=app, poll_interval=1.0)
            running = asyncio.create_task(scheduler.run())

            async def goes_on() -> bool:
                return (await schedule.info()).ahead[-1].at > begun + moves.HORIZON

            await until_so(goes_on, "the scheduler to look")
            assert scheduler.is_leader
            scheduler.stop()
            await running
            await schedule.delete()

    asyncio.run(story())


async def _ran(backend: Backend, name: str) -> bool:
    return slots_of(await jobs_of(backend, name), JobState.SUCCEEDED) > 0
