"""Leaders that race, die and wake up late, as processes on a real server: one job for each slot (faults 65, 66)."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from schedule_tools import jobs_of, table

from naq import JobState, Naq, clock, current_context
from naq.backends.base import Backend
from naq.scheduler import Planner, Schedule
from naq.scheduler.acts import Acts
from naq.scheduler.handle import make_template
from naq.scheduler.planner import KIND
from naq.schedules import moves
from naq.schedules.kept import Kept, encode_kept
from naq.worker import Worker
from tests.tools import until_so

pytestmark = pytest.mark.faults
BEHIND = 120  # seconds that a schedule is behind when its leaders begin, with a slot in each
_numbers = count(1)


class World:
    """An app whose task says which jobs ran, and with what; its broker; scheduler processes."""

    def __init__(self, url: str, folder: Path) -> None:
        self.app = Naq("leaders", broker_url=url, namespace=f"leaders-{os.getpid()}-{next(_numbers)}")
        self.folder = folder
        self.ran: list[tuple[str, int]] = []
        self.backend: Backend

        @self.app.task(name="tick")
        async def tick(version: int) -> None:
            self.ran.append((current_context().job_id, version))

        self.tick = tick

    async def behind(self, name: str) -> Kept:
        """A schedule that nobody looked after since it was made, a while ago: a slot each second, all made up for."""
        acts = Acts(self.backend, self.app.config)
        template = make_template(name, self.tick.call(1), acts.jobs)
        timetable = table(interval=1, missed="catch_up(1000)", repeat=BEHIND + 5)
        kept = moves.first(name, template, timetable, clock.now() - BEHIND)
        await self.backend.put(KIND, name, encode_kept(kept), expect=0)
        return kept

    @contextmanager
    def scheduler(self, fault: str = "", *args: str) -> Generator[subprocess.Popen[bytes]]:
        """``naq scheduler`` that acts whoever leads; `fault` strikes once."""
        mark = self.folder / f"mark-{next(_numbers)}"
        env = {**os.environ, "NAQ_BROKER_URL": self.app.config.broker_url, "NAQ_NAMESPACE": self.app.config.namespace}
        if fault:
            env["NAQ_FAULT"] = f"{fault}:mark={mark}"
        command = [sys.executable, "-m", "naq", "scheduler", *(args or ("--no-ha",)), "--poll-interval", "1s"]
        process = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    @asynccontextmanager
    async def working(self) -> AsyncGenerator[None]:
        worker = Worker(self.app)
        running = asyncio.create_task(worker.run())
        try:
            yield
        finally:
            worker.stop()
            await running

    async def kept(self, name: str) -> Kept:
        return await Schedule(name, self.app).info()

    async def all_ran(self, name: str, kept: Kept) -> None:
        """Run workers until every slot of a schedule that was behind has run; each did once."""
        slots = BEHIND + 5

        async def ended() -> bool:
            return len({job for job, _ in self.ran if f"-{name}-" in job}) >= slots

        async with self.working():
            await until_so(ended, f"{slots} slots of {name}")
        mine = Counter(job for job, _ in self.ran if f"-{name}-" in job)
        assert set(mine.values()) == {1}
        assert len(mine) == slots
        assert (await self.kept(name)).count == slots
        assert {job.state for job in await jobs_of(self.backend, name)} == {JobState.SUCCEEDED}


def story(url: str, folder: Path, test: Any) -> None:
    async def main() -> None:
        world = World(url, folder)
        async with world.app, asyncio.timeout(100):
            world.backend = await world.app.connect()
            act: Coroutine[Any, Any, None] = test(world)
            await act

    asyncio.run(main())


def test_two_forced_leaders(url: str, tmp_path: Path) -> None:
    """Two processes that both take themselves for the leader, and this one: a slot is one job, and runs once."""

    async def act(world: World) -> None:
        names = [f"race{number}" for number in range(3)]
        made = {name: await world.behind(name) for name in names}
        with world.scheduler(), world.scheduler():

            async def both_looked() -> bool:
                await asyncio.gather(*(Planner(world.backend, world.app.config).round() for _ in range(2)))
                return all([(await world.kept(name)).left == 0 for name in names])

            await until_so(both_looked, "all jobs to be stored")
            for name in names:
                await world.all_ran(name, made[name])

    story(url, tmp_path, act)


def test_a_leader_dies_between_the_timers_and_its_note_of_them(url: str, tmp_path: Path) -> None:
    """Fault 66: what it stored is not stored again, and nothing is missing."""

    async def act(world: World) -> None:
        made = await world.behind("death")
        with world.scheduler("schedule.after_timers:kill") as victim:
            assert await asyncio.to_thread(victim.wait, 30) == -signal.SIGKILL
        stored = await jobs_of(world.backend, "death")
        assert len(stored) == BEHIND + 5
        assert (await world.kept("death")).count == 0  # it died before it could say so
        with world.scheduler():

            async def noted() -> bool:
                return (await world.kept("death")).count > 0

            await until_so(noted, "the next leader")
        assert [job.id for job in await jobs_of(world.backend, "death")] == [job.id for job in stored]
        await world.all_ran("death", made)

    story(url, tmp_path, act)


def test_a_paused_leader_that_wakes_up_late(url: str, tmp_path: Path) -> None:
    """Fault 65: it stored ticks of a definition that was changed while it stood still. None of them runs."""

    async def act(world: World) -> None:
        schedule = await world.app.schedules.create("late", world.tick.call(1), interval=1)
        await schedule.pause()
        await schedule.edit(missed="skip", repeat=1000)
        with world.scheduler("schedule.after_timers:stop") as victim:
            await asyncio.sleep(0)
            # It is about to store what follows; then it stands still.
            kept = moves.resume(await schedule.info(), clock.now()).kept
            await world.backend.put(KIND, "late", encode_kept(kept))
            await asyncio.to_thread(os.waitpid, victim.pid, os.WUNTRACED)
            stale = {job.id for job in await jobs_of(world.backend, "late") if job.state is not JobState.CANCELLED}
            assert len(stale) > 20
            await schedule.edit(world.tick.call(2))
            os.kill(victim.pid, signal.SIGCONT)

            async def refused() -> bool:
                jobs = [job for job in await jobs_of(world.backend, "late") if job.id in stale]
                return sum(job.reason.startswith("its schedule was paused or changed") for job in jobs) >= 4

            async with world.working():
                await until_so(refused, "four stale ticks to be refused")
                await until_so(_more_than(world.ran, 4), "four new ones to run")
        assert not stale & {job for job, _ in world.ran}
        assert {version for _, version in world.ran} == {2}
        slots = Counter(job.split("-")[2] for job, _ in world.ran)
        assert set(slots.values()) == {1}

    story(url, tmp_path, act)


def _more_than(ran: list[tuple[str, int]], n: int) -> Any:
    async def holds() -> bool:
        return len(ran) > n

    return holds


def test_a_follower_takes_over_within_two_leases(url: str, tmp_path: Path) -> None:
    """And until it does nothing is late: the jobs of the next 30 s are in the broker."""

    async def act(world: World) -> None:
        schedule = await world.app.schedules.create("follow", world.tick.call(1), interval=1)
        with world.scheduler("", "--ha") as leader:
            since = clock.now()

            async def looked() -> bool:
                return (await schedule.info()).ahead[-1].at > since + 31

            await until_so(looked, "the leader's look")
            with world.scheduler("", "--ha"):
                await asyncio.sleep(1.5)  # the follower has asked by then, or asks later: either is right
                leader.kill()
                died = clock.now()
                assert (await schedule.info()).ahead[-1].at > died + moves.HORIZON - 5

                async def follows() -> bool:
                    return (await schedule.info()).ahead[-1].at > died + moves.HORIZON + 2

                await until_so(follows, "the follower's look")
                assert clock.now() - died < 20

    story(url, tmp_path, act)
