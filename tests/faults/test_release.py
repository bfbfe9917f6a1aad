"""Faults 8 and 71: whoever releases a job dies over it; 50,000 jobs that one waits for end while they are enqueued."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from rig.fleet import Rig, story
from rig.specs import job

import naq
from naq import Naq
from naq.testing.broker import bundled_server
from naq.testing.chaos import Expected
from naq.worker import Worker
from naq.worker.leading import LEASE as LEADS

pytestmark = pytest.mark.faults

WIDTH = 50_000  # jobs that one waits for
PATIENCE = 240.0  # seconds for all of them; only a failure takes that long


@pytest.mark.parametrize("point", ["release.decided", "release.after_edge"])
@story
async def test_a_worker_dies_over_a_release(rig: Rig, point: str) -> None:
    """Fault 8: the next one to lead finds what is to be done, or that it was done: the child runs once."""
    async with rig.connected() as app:
        parent = job(app, "work", 7)
        child = job(app, "work", 8, depends_on=[parent.id])
        await rig.enqueue(parent, child)
        victim = rig.worker(fault=f"{point}:kill")
        await rig.struck(victim)
        rescuer = rig.worker()
        report = await rig.verdict("succeeded", "death", expected=Expected(within=LEADS + 20.0))
        assert report.seen["executed"] == 2
        await rig.ready(rescuer)
        await rig.stop(rescuer)


def test_a_very_wide_fan_in(tmp_path: Path) -> None:
    """Fault 71: the join runs once, with all results, though most jobs ended before all were stored."""

    async def body(url: str) -> None:
        app = Naq("fan-in", broker_url=url, concurrency=200, shutdown_timeout=10.0)
        runs: list[int] = []

        @app.task(name="part")
        async def part(number: int) -> int:
            return number

        @app.task(name="join")
        async def join(numbers: list[int]) -> int:
            runs.append(len(numbers))
            return sum(numbers)

        async with app:
            workers = [Worker(app), Worker(app)]
            running = [asyncio.create_task(worker.run()) for worker in workers]
            try:
                parts: list[naq.Job[int]] = []
                for first in range(0, WIDTH, WIDTH // 10):
                    calls = [part.call(number) for number in range(first, first + WIDTH // 10)]
                    parts += await part.enqueue_many(calls)
                last = await join.enqueue(naq.results_of(parts))
                assert await last.result(PATIENCE) == sum(range(WIDTH))
            finally:
                for worker in workers:
                    worker.stop()
                await asyncio.gather(*running)
            assert runs == [WIDTH]
            backend = await app.connect()
            assert await backend.unfinished() == []

    with bundled_server(tmp_path / "broker") as server:
        asyncio.run(body(server.url))
