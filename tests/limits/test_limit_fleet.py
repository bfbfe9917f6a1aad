"""Limits under contention of eight worker processes, and with one of them killed (faults 29, 72 and 73)."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from limit_tools import most_in_a_window

from naq import Job, Naq
from naq.exceptions import JobCancelled
from naq.job import JobState
from naq.limits.permits import SKEW
from tests.tools import DEADLINE, until, until_so

pytestmark = pytest.mark.faults

WORKERS = 8
LEASE = 4.0  # seconds; as in limited_app
HERE = Path(__file__).parent
TASK = "tests.limits.limited_app"


Event = tuple[str, float, int]
"""Begin or end, when (UNIX seconds), in which process."""


class Fleet:
    """Worker processes, and what their tasks wrote down."""

    def __init__(self, url: str, log: Path) -> None:
        self.url, self._log = url, log
        self._env = {**os.environ, "NAQ_BROKER_URL": url, "LIMITED_APP_LOG": str(log), "PYTHONUNBUFFERED": "1"}
        self.processes: list[subprocess.Popen[bytes]] = []
        log.touch()

    def start(self, count: int, *, queue: str = "default") -> None:
        command = [sys.executable, "-m", "naq", "worker", "tests.limits.limited_app:app", "-c", "4", "-q", queue]
        for _ in range(count):
            self.processes.append(
                subprocess.Popen(
                    command, env=self._env, cwd=HERE.parents[1], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
            )

    def events(self) -> list[Event]:
        """What was written down, in order."""
        lines = [line.split() for line in self._log.read_text().splitlines()]
        return sorted(((word, float(at), int(pid)) for word, at, pid in lines), key=lambda event: event[1])

    def count(self, word: str) -> int:
        return sum(event[0] == word for event in self.events())

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise


def most_at_once(events: Sequence[Event], *, after: float = 0.0) -> int:
    """How many ran at once at most, counted at those that began `after` a time (UNIX seconds)."""
    now = most = 0
    for word, at, _ in events:
        now += 1 if word == "begin" else -1
        if word == "begin" and at > after:
            most = max(most, now)
    return most


@asynccontextmanager
async def fleet_of(url: str, log: Path, count: int, *, queue: str = "default") -> AsyncGenerator[tuple[Fleet, Naq]]:
    fleet = Fleet(url, log)
    app = Naq("limited", broker_url=url, lease=LEASE, worker_ttl=LEASE * 2, heartbeat_interval=1.0)
    fleet.start(count, queue=queue)
    try:
        async with app:

            async def ready() -> bool:
                return sum(worker.state == "running" for worker in await app.backend.workers()) == count

            await until_so(ready)
            yield fleet, app
    finally:
        await asyncio.to_thread(fleet.stop)


async def _stand_in(seconds: float) -> None: ...


async def _enqueue(app: Naq, name: str, count: int, seconds: float, *, queue: str = "default") -> list[Job[None]]:
    known = f"{TASK}.{name}"
    task = app.tasks.get(known) or app.task(name=known, queue=queue)(_stand_in)
    return await task.enqueue_many([task.call(seconds) for _ in range(count)])


def test_under_contention(url: str, tmp_path: Path) -> None:
    """Eight processes, more jobs than a rate, a group or a queue lets in: no promise is broken, everything runs."""

    async def body() -> None:
        async with fleet_of(url, tmp_path / "log", WORKERS, queue="default,narrow") as (fleet, app):
            await _rate(fleet, app)
            await _group(fleet, app)
            await _queue(fleet, app)

    asyncio.run(body())


async def _rate(fleet: Fleet, app: Naq) -> None:
    await _enqueue(app, "rated", 90, 0.0)
    await until(lambda: fleet.count("end") == 90)
    began = [at for word, at, _ in fleet.events() if word == "begin"]
    assert most_in_a_window(began, 1.0) <= 40
    assert len({pid for _, _, pid in fleet.events()}) > 1


async def _group(fleet: Fleet, app: Naq) -> None:
    before = len(fleet.events())
    await _enqueue(app, "grouped", 40, 0.05)
    await until(lambda: len(fleet.events()) == before + 80)
    assert most_at_once(fleet.events()[before:]) <= 3


async def _queue(fleet: Fleet, app: Naq) -> None:
    """Fault 72: the limit is lowered below what runs, then raised again."""
    before = len(fleet.events())

    def since(word: str) -> int:
        return sum(event[0] == word for event in fleet.events()[before:])

    await app.backend.limit("narrow", 6)
    await _enqueue(app, "narrow", 50, 0.1, queue="narrow")
    await until(lambda: since("begin") >= 6)
    await app.backend.limit("narrow", 2)
    lowered_at = time.time()
    await until(lambda: since("end") >= 24)
    raised_at = time.time()
    await app.backend.limit("narrow", 5)
    await until(lambda: since("end") == 50)
    events = fleet.events()[before:]
    assert most_at_once(events) <= 6
    # What ran when the limit was lowered may end; a moment later no more begin than it allows.
    assert 1 <= most_at_once([event for event in events if event[1] <= raised_at], after=lowered_at + 0.5) <= 2
    assert since("begin") == 50


def test_a_holder_is_killed(url: str, tmp_path: Path) -> None:
    """Fault 73: a worker that holds every permit is killed; they are back within a lease, and nothing is lost."""

    async def body() -> None:
        async with fleet_of(url, tmp_path / "killed", 1) as (fleet, app):
            victim = fleet.processes[0]
            held = await _enqueue(app, "grouped", 3, 120.0)
            await until(lambda: fleet.count("begin") == 3)
            fleet.start(1)

            async def both() -> bool:
                return sum(worker.state == "running" for worker in await app.backend.workers()) == 2

            await until_so(both)
            short = await _enqueue(app, "grouped", 2, 0.0)

            async def put_off() -> bool:
                return len(await app.backend.jobs(states=[JobState.SCHEDULED])) == 2

            await until_so(put_off)
            victim.kill()
            killed_at = time.time()
            victim.wait()

            def elsewhere() -> list[Event]:
                return [event for event in fleet.events() if event[2] != victim.pid]

            await until(lambda: len(elsewhere()) > 0)
            first = elsewhere()[0][1]
            # A lease, what clocks may differ, and the time until the next look.
            assert first - killed_at <= LEASE + SKEW + 5.0
            assert first - killed_at >= 0
            for job in held:  # they run again, for long; all that waits behind them runs then
                await job.cancel()
            await until(lambda: fleet.count("end") >= 2)
            assert most_at_once(elsewhere()) <= 3
            for job in held:
                with pytest.raises(JobCancelled):
                    await job.result(timeout=DEADLINE)
            for job in short:
                await job.result(timeout=DEADLINE)

    asyncio.run(body())


def test_a_thousand_producers_of_one_key(url: str) -> None:
    """Fault 29: whichever way the key is taken, they make one job, and all are told which."""
    app = Naq("racing", broker_url=url)

    @app.task(name="same")
    async def same(number: int) -> None: ...

    async def body() -> None:
        async with app:
            for options in ({}, {"unique_while": "waiting"}, {"unique_for": 60}):
                call = same.options(unique=["account", len(options), *options], **options)  # pyright: ignore[reportArgumentType]
                jobs = await asyncio.gather(*(call.enqueue(number) for number in range(1000)))
                assert len({job.id for job in jobs}) == 1
                assert sum(not job.duplicate for job in jobs) == 1
            [stats] = await app.backend.stats(["default"])
            assert stats.queued == 3

    asyncio.run(body())
