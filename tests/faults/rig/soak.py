"""A mixed load for long, while workers and the broker are killed at random, and what processes take meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

import psutil

from naq import Naq, clock
from naq.exceptions import NaqException
from naq.job import JobSpec, JobState
from rig.fleet import Rig, until
from rig.processes import Process
from rig.specs import job

BEAT: Final = 0.5  # seconds between two rounds of the load
DELAY: Final = 20.0  # seconds that a delayed job waits at most
FAR: Final = 3600.0  # seconds that jobs wait which are cancelled before
RUNS: Final = 2.0  # seconds that a job which never ends by itself runs before it is cancelled
BETWEEN: Final = (4.0, 12.0)  # seconds between two faults
AWAY: Final = 2.0  # seconds that the broker stays away at most; leases outlive it
BROKER: Final = 0.25  # share of faults that hit the broker; the others hit workers
SAMPLE: Final = 2.0  # seconds between two looks at memory
SCHEDULE: Final = "soak"  # a job a second
MEBIBYTE: Final = 1024 * 1024


class Soak:
    """The load, the faults and the scales of one run of `rig`, on `app`; `make` starts a worker.

    Attributes:
        states: jobs that do not succeed, and how they end.
        killed: how often a worker, and the broker, was.
        memory: what was seen of each process that lived all the while, in MiB, oldest first.
        seed: of everything random.
    """

    def __init__(self, rig: Rig, app: Naq, make: Callable[[], Process], *, seed: int) -> None:
        self.states: dict[str, JobState] = {}
        self.killed = {"worker": 0, "broker": 0}
        self.memory: dict[str, list[float]] = {}
        self.seed: Final = seed
        self._rig = rig
        self._app = app
        self._make = make
        self._chance = random.Random(seed)
        self._number = 0
        self._cancelling: set[asyncio.Task[None]] = set()

    async def run(self, seconds: float, victims: list[Process], watched: dict[str, int]) -> None:
        """Go on for `seconds`; `victims` are killed and replaced in place, `watched` ones (by pid) measured."""
        call = self._app.get_task("work").call(-1)
        await self._app.schedules.create(SCHEDULE, call, interval=1, missed="catch_up(60)")
        ends = clock.monotonic() + seconds
        parts = [self._load(ends), self._break(ends, victims), self._measure(ends, watched)]
        await asyncio.gather(*parts)
        await until_done(self._app.schedules[SCHEDULE].delete)
        await asyncio.gather(*self._cancelling)

    async def _load(self, ends: float) -> None:
        folder = str(self._rig.folder)
        while (now := clock.monotonic()) < ends:
            specs = [
                *self._some(10, "work"),
                *self._some(3, "flaky"),
                *(job(self._app, "work", n, delay=self._chance.uniform(0, DELAY)) for n in range(5)),
                job(self._app, "streamer", 10),
                job(self._app, "stepped_once", 1),
                job(self._app, "chatty", 20),
                *self._flow(),
            ]
            doomed = [job(self._app, "work", 0, delay=FAR), job(self._app, "gated", f"{folder}/never")]
            dead = self._some(1, "doomed")
            self.states.update({spec.id: JobState.CANCELLED for spec in doomed})
            self.states.update({spec.id: JobState.FAILED for spec in dead})
            await self._enqueue([*specs, *dead])
            await self._enqueue(doomed)
            for spec in doomed:
                self._cancelling.add(asyncio.create_task(self._cancel(spec.id)))
            await asyncio.sleep(max(0.0, now + BEAT - clock.monotonic()))

    def _some(self, count: int, task: str) -> list[JobSpec]:
        self._number += count
        return [job(self._app, task, self._number - n) for n in range(count)]

    def _flow(self) -> list[JobSpec]:
        """Three side by side, one of which is tried again, and one that waits for them; another waits for that."""
        parents = [*self._some(2, "work"), *self._some(1, "flaky")]
        join = job(self._app, "work", 0, depends_on=[parent.id for parent in parents])
        return [*parents, join, job(self._app, "work", 0, depends_on=[join.id])]

    async def _enqueue(self, specs: list[JobSpec]) -> None:
        try:
            await self._rig.enqueue(*specs, timeout=5.0)
        except NaqException:
            return  # the log says that nobody knows

    async def _cancel(self, job_id: str) -> None:
        """Cancel it, also where it is not known whether it was stored: it would run for ever."""
        await asyncio.sleep(RUNS)
        await until_done(lambda: self._app.job(job_id).cancel())

    async def _break(self, ends: float, victims: list[Process]) -> None:
        while (pause := self._chance.uniform(*BETWEEN)) < ends - clock.monotonic():
            await asyncio.sleep(pause)
            if self._chance.random() < BROKER:
                await self._kill_broker()
            else:
                one = self._chance.randrange(len(victims))
                self._rig.kill(victims[one])
                victims[one] = self._make()
                self.killed["worker"] += 1

    async def _kill_broker(self) -> None:
        since = clock.now()
        self._rig.server.kill()
        await asyncio.sleep(self._chance.uniform(0.0, AWAY))
        await asyncio.to_thread(self._rig.server.start)
        # What was handed out before the death is begun when its worker has dialled again; all dial alike, as we do.
        await until(lambda: self._rig.broker.health().ready, "the broker is found again")
        self._rig.note("kill -9 of the broker", "amnesia", since=since, outage=True)
        self.killed["broker"] += 1

    async def _measure(self, ends: float, watched: dict[str, int]) -> None:
        processes = {name: psutil.Process(pid) for name, pid in watched.items()}
        self.memory = {name: [] for name in [*processes, "broker"]}
        while clock.monotonic() < ends:
            for name, process in processes.items():
                self.memory[name].append(process.memory_info().rss / MEBIBYTE)
            if (pid := self._rig.server.pid) is not None and psutil.pid_exists(pid):
                self.memory["broker"].append(psutil.Process(pid).memory_info().rss / MEBIBYTE)
            await asyncio.sleep(SAMPLE)


async def until_done(act: Callable[[], Awaitable[object]]) -> None:
    """Do it again until the broker has answered."""
    while True:
        try:
            await act()
        except NaqException:
            await asyncio.sleep(BEAT)
        else:
            return


def growth(sizes: list[float]) -> float:
    """MiB by which the last fifth of `sizes` lies above the second: what it takes to warm up does not count."""
    fifth = max(1, len(sizes) // 5)
    return sum(sizes[-fifth:]) / fifth - sum(sizes[fifth : 2 * fifth]) / fifth
