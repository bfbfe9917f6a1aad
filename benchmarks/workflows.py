"""python -m benchmarks.workflows [WIDTH]: what it costs that jobs wait for jobs, with a server of its own.

A chain of 1,000; how long after its parent a child begins; a pair of parent and child beside two plain jobs; and one
that waits for WIDTH others (default 50,000) and is called with all their results.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import naq
from naq import Job, Naq
from naq.job import JobState
from naq.testing.broker import bundled_server
from naq.worker import Worker

LINKS = 1_000  # of the chain
LOOKS = 200  # parents and children whose gap is measured
PAIRS = 5_000
PATIENCE = 600.0  # seconds for one measure; only a failure takes so long


class Bench:
    """An app on the server at `url`, and its tasks."""

    def __init__(self, url: str) -> None:
        self.app = app = Naq("bench-workflows", broker_url=url, concurrency=100)

        @app.task(name="noop")
        async def noop() -> int:
            return 1

        @app.task(name="step")
        async def step(number: int) -> int:
            return number + 1

        @app.task(name="join")
        async def join(numbers: list[int]) -> int:
            return sum(numbers)

        self.noop, self.step, self.join = noop, step, join

    @asynccontextmanager
    async def working(self) -> AsyncGenerator[None]:
        worker = Worker(self.app)
        running = asyncio.create_task(worker.run())
        await worker.wait_ready()
        try:
            yield
        finally:
            worker.stop()
            await running


async def chain(bench: Bench) -> None:
    begin = time.perf_counter()
    jobs = await naq.chain(bench.step.call(0), *(bench.step.call(naq.PREVIOUS) for _ in range(LINKS - 1)))
    assert await jobs[-1].result(PATIENCE) == LINKS
    took = time.perf_counter() - begin
    print(f"a chain of {LINKS:,}: {took:.2f} s, {took / LINKS * 1000:.1f} ms a link")


async def gap(bench: Bench) -> None:
    gaps: list[float] = []
    for _ in range(LOOKS):
        parent = await bench.step.options(delay=0.05).enqueue(1)  # the child waits before its parent runs
        child = await bench.step.enqueue(naq.result_of(parent))
        await child.result(PATIENCE)
        before, after = await parent.record(), await child.record()
        gaps.append((after.started_at - before.finished_at) * 1000)
    gaps.sort()
    print(f"parent ended to child begun: p50 {gaps[LOOKS // 2]:.1f} ms, p95 {gaps[LOOKS * 95 // 100]:.1f} ms")


async def drained(bench: Bench, jobs: Sequence[Job[int]]) -> float:
    """Jobs a second from now until none of `jobs` waits or runs."""
    backend, begin = await bench.app.connect(), time.perf_counter()
    await jobs[-1].result(PATIENCE)
    while await backend.unfinished(limit=1):  # noqa: ASYNC110 - the end of a backlog has no event
        await asyncio.sleep(0.01)
    return len(jobs) / (time.perf_counter() - begin)


async def pairs(bench: Bench) -> None:
    for what in ("plain jobs", "pairs of parent and child"):
        begin = time.perf_counter()
        parents = [bench.noop.call() for _ in range(PAIRS)]
        waits = what != "plain jobs"
        rest = [bench.noop.options(depends_on=parent).call() if waits else bench.noop.call() for parent in parents]
        jobs = await bench.app.enqueue_many([*parents, *rest])
        stored = len(jobs) / (time.perf_counter() - begin)
        async with bench.working():
            print(f"{what}: {stored:,.0f} enqueued/s, {await drained(bench, jobs):,.0f} drained/s")


async def fan_in(bench: Bench, width: int) -> None:
    begin = time.perf_counter()
    group = await naq.group(*(bench.noop.call() for _ in range(width)), then=bench.join.call(naq.RESULTS))
    stored = time.perf_counter() - begin
    assert group.then is not None
    assert await group.then.result(PATIENCE) == width
    took = time.perf_counter() - begin
    assert await group.progress() == {JobState.SUCCEEDED: width}
    last = max([(await job.record()).finished_at for job in group.jobs[-100:]])
    after = (await group.then.record()).started_at - last
    print(f"one that waits for {width:,}: {stored:.1f} s to store, {took:.1f} s in all, {after:.2f} s after the last")


async def measure(url: str, width: int) -> None:
    bench = Bench(url)
    async with bench.app:
        async with bench.working():
            await chain(bench)
            await gap(bench)
        await pairs(bench)
        async with bench.working():
            await fan_in(bench, width)


def main() -> None:
    logging.getLogger("naq").setLevel(logging.ERROR)
    width = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    with bundled_server() as server:
        asyncio.run(measure(server.url, width))


if __name__ == "__main__":
    main()
