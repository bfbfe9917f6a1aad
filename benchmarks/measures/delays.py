"""A million jobs that wait for their time: taken in, held by an idle broker, kept through kill -9, on time."""

from __future__ import annotations

import asyncio
import time

import msgspec
import uvloop

from benchmarks.measure import Row, percentile, rounds, summary
from benchmarks.process import cpu_seconds, resident
from naq import Naq, clock
from naq.backends.base import Backend
from naq.backends.nats.broker.process import ServerProcess
from naq.testing.broker import bundled_server

FAR = 86_400.0  # seconds that the pending ones wait: longer than the measure takes
BATCH = 10_000  # jobs of one call of enqueue_many
SETTLE, IDLE = 5.0, 30.0  # seconds until the broker has written out what it was sent, and of looking at it
RATE, STEP = 5_000, 0.05  # jobs a second that fall due, and seconds between two moments at which some do
FALLING = 10.0  # seconds for which they do
NOTICE = 30.0  # seconds in which they are stored before the first is due
STALL = 30.0  # seconds without a job after which what has not come counts as lost
QUEUE = "due"  # where those are that fall due; the pending ones are elsewhere
KEYS = ("in_per_s", "idle_percent", "rss_mb", "back_s", "late_p50_ms", "late_p99_ms", "late_max_ms")


def delays(jobs: int, count: int) -> list[Row]:
    """One row. `early` and `lost` must be 0; lateness is from the due time to the job in a worker's hands."""

    def once() -> Row:
        with bundled_server() as server, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_measure(server, jobs))

    results = rounds(count, once, f"delays: {jobs:,} pending")
    worst = {name: max(result[name] for result in results) for name in ("early", "lost", "twice")}
    return [summary("delays", "naq", results, *KEYS, jobs=jobs, due_per_s=RATE, **worst)]


async def _measure(server: ServerProcess, jobs: int) -> Row:
    app = Naq("delays", broker_url=server.url, connect_timeout=60.0)

    @app.task(name="later", queue="pending")
    async def later(due: float) -> None: ...

    async with app:
        began = time.monotonic()
        for first in range(0, jobs, BATCH):
            # A second apart, as real ones are not all due at once.
            some = later.options(delay=FAR + first / BATCH)
            await some.enqueue_many([some.call(0.0) for _ in range(min(BATCH, jobs - first))])
        took = time.monotonic() - began
        backend = await app.connect()
        assert await _pending(backend) == jobs
        idle = await _idle(server)
        memory = resident(server.pid or 0) / 1e6
        server.kill()
        back = time.monotonic()
        server.start()
        lost = jobs - await _until_told(backend, server)
        back = time.monotonic() - back
        late, missing, twice = await _fall_due(app)
        lost += missing + (jobs - await _pending(backend))
    return {
        "in_per_s": jobs / took,
        "idle_percent": idle,
        "rss_mb": memory,
        "back_s": back,
        "late_p50_ms": percentile(late, 50) * 1000,
        "late_p99_ms": percentile(late, 99) * 1000,
        "late_max_ms": max(late) * 1000,
        "early": sum(seconds < 0 for seconds in late),
        "lost": lost,
        "twice": twice,
    }


async def _pending(backend: Backend) -> int:
    [stats] = await backend.stats(["pending"])
    return stats.scheduled


async def _idle(server: ServerProcess) -> float:
    """Percent of one core that the broker uses while it holds them."""
    await asyncio.sleep(SETTLE)
    began, used = time.monotonic(), cpu_seconds([server.pid or 0])
    await asyncio.sleep(IDLE)
    return (cpu_seconds([server.pid or 0]) - used) / (time.monotonic() - began) * 100


async def _until_told(backend: Backend, server: ServerProcess) -> int:
    """How many are pending, once the broker is back and says so."""
    await asyncio.to_thread(server.wait_ready)
    return await _pending(backend)


async def _fall_due(app: Naq) -> tuple[list[float], int, int]:
    """Jobs that fall due at `RATE`, on top of the pending ones: how late each came, how many never, or twice."""
    backend = await app.connect()
    await backend.open([QUEUE])
    task = app.get_task("later")
    start = clock.now() + NOTICE
    moments = [start + number * STEP for number in range(int(FALLING / STEP))]
    each = int(RATE * STEP)
    for moment in moments:
        some = task.options(run_at=moment, queue=QUEUE)
        await some.enqueue_many([some.call(moment) for _ in range(each)])
    assert clock.now() < start, "this machine is too slow: they fall due before all of them are stored"
    return await _fetch(backend, each * len(moments))


async def _fetch(backend: Backend, expected: int) -> tuple[list[float], int, int]:
    late: list[float] = []
    seen: set[str] = set()
    heard = time.monotonic()
    while len(seen) < expected and time.monotonic() - heard < STALL + NOTICE:
        claims = await backend.fetch([QUEUE], limit=500, lease=30.0, wait=1.0)
        now = clock.now()
        for claim in claims:
            heard = time.monotonic()
            seen.add(claim.job.id)
            late.append(now - msgspec.json.decode(claim.job.payload)["args"][0])
            await backend.drop(claim)
    return late, expected - len(seen), len(late) - len(seen)
