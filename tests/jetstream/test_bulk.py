"""Many jobs in one call: fast-ingest where the broker syncs now and then, atomic batches where it always does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from jetstream_tools import JOBS, PAYLOAD, claim_all, eventually, job, opened, operator, story, succeeded, until

from naq import clock
from naq.backends.base import Settled
from naq.backends.nats import batch
from naq.backends.nats.broker.process import ServerProcess
from naq.config import Durability
from naq.exceptions import NaqBackpressureError, NaqConnectionError
from naq.job import JobState
from naq.testing.broker import bundled_server

MODES: list[Durability] = ["standard", "strict"]


@pytest.fixture(scope="module", params=MODES)
def mode(request: pytest.FixtureRequest) -> Durability:
    return request.param


@pytest.fixture(scope="module")
def synced(mode: Durability, tmp_path_factory: pytest.TempPathFactory) -> Generator[ServerProcess]:
    """A server of that mode which nobody breaks."""
    with bundled_server(tmp_path_factory.mktemp(mode), durability=mode) as server:
        yield server


@pytest.fixture
def fragile(mode: Durability, tmp_path: Path) -> Generator[ServerProcess]:
    with bundled_server(tmp_path, durability=mode) as server:
        try:
            yield server
        finally:
            server.resume()


@pytest.mark.parametrize("count", [2, 8, 31, 32, 499, 500, 501, 1501])
def test_every_one_is_stored_in_order(synced: ServerProcess, mode: Durability, count: int) -> None:
    async def body() -> None:
        queue = f"order{count}"
        async with opened(synced.url, queue, durability=mode) as backend:
            jobs = [job(queue) for _ in range(count)]
            results = await backend.enqueue(jobs)
            assert [(result.job_id, result.duplicate) for result in results] == [(spec.id, False) for spec in jobs]
            claims = await claim_all(backend, queue, count)
            assert [claim.job.id for claim in claims] == [spec.id for spec in jobs]
            assert all(claim.job.fresh for claim in claims)
            assert claims[-1].job == jobs[-1], "no trace of how it came"
            assert await backend.complete(claims[0], succeeded(claims[0])) is Settled.DONE

    asyncio.run(body())


@story
async def test_strict_uses_batches(tmp_path: Path) -> None:
    with bundled_server(tmp_path, durability="strict") as server:
        async with opened(server.url, "strict", durability="strict") as backend:
            await backend.enqueue([job("strict") for _ in range(600)])
            headers = [m.headers async for m in backend.js.walk(JOBS, ">")]
            assert len({header["Nats-Batch-Id"] for header in headers}) == 2
            assert max(int(header["Nats-Batch-Sequence"]) for header in headers) == batch.GROUP


@story
async def test_all_kinds_in_one_call(synced: ServerProcess, mode: Durability) -> None:
    """Headers, priorities, queues, timers."""
    async with opened(synced.url, "kinds", "others", durability=mode) as backend:
        soon = clock.now() + 0.5
        jobs = [
            job(
                "kinds" if number % 2 else "others",
                headers={"Naq-Tag-n": str(number)} if number % 3 else None,
                run_at=soon if number % 5 == 0 else None,
                priority="high" if number % 7 == 0 else "normal",
            )
            for number in range(200)
        ]
        assert not any(result.duplicate for result in await backend.enqueue(jobs))
        claims = [*await claim_all(backend, "kinds", 100), *await claim_all(backend, "others", 100)]
        found = {claim.job.id: claim.job for claim in claims}
        for spec in jobs:
            assert (found[spec.id].headers, found[spec.id].priority) == (spec.headers, spec.priority)
        assert clock.now() >= soon
        timer = next(claim for claim in claims if claim.job.id == jobs[0].id)
        await backend.retry(timer, delay=0.1)
        [again] = await claim_all(backend, "others", 1)
        assert (again.job.attempt, again.job.headers) == (2, jobs[0].headers)


@story
async def test_one_that_is_taken_spoils_nothing(synced: ServerProcess, mode: Durability) -> None:
    """A new id that is not new: it is told, and the others of its group are stored once."""
    async with opened(synced.url, "taken", durability=mode) as backend:
        await backend.enqueue([old := job("taken")])
        jobs = [job("taken") for _ in range(700)]
        jobs[300] = old
        results = await backend.enqueue(jobs)
        assert [result.job_id for result in results] == [spec.id for spec in jobs]
        claims = await claim_all(backend, "taken", 700)
        assert {claim.job.id for claim in claims} == {spec.id for spec in jobs}
        assert await backend.fetch(["taken"], limit=10, lease=30, wait=0.3) == []


@story
async def test_large_ones(synced: ServerProcess, mode: Durability) -> None:
    """Groups are cut by size too, and no more is sent ahead than the socket takes."""
    async with opened(synced.url, "large", durability=mode) as backend:
        payload = b"x" * 700_000
        jobs = [job("large", payload=payload) for _ in range(60)]
        storing = asyncio.create_task(backend.enqueue(jobs))
        most = 0
        wire = backend.link.wire
        assert wire is not None
        while not storing.done():
            most = max(most, wire.unsent)
            await asyncio.sleep(0.001)
        assert not any(result.duplicate for result in await storing)
        assert most < 30_000_000
        assert backend.link.wire is wire
        claims = await claim_all(backend, "large", 60)
        assert {len(claim.job.payload) for claim in claims} == {700_000}
        await backend.purge("large")


@story
async def test_the_server_is_killed_on_the_way(fragile: ServerProcess, mode: Durability) -> None:
    """What the call says is stored, is; and each job once."""
    async with opened(fragile.url, "killed", durability=mode) as backend:
        jobs = [job("killed") for _ in range(6000)]
        storing = asyncio.create_task(backend.enqueue(jobs, timeout=40))
        async with operator(fragile.url) as admin:
            await eventually(admin.stored, "the first to be stored")
        fragile.restart(kill=True)
        results = await storing
        assert not any(result.duplicate for result in results)
        claims = await claim_all(backend, "killed", 6000)
        assert {claim.job.id for claim in claims} == {spec.id for spec in jobs}
        await backend.link.flush()
        assert await backend.fetch(["killed"], limit=10, lease=30, wait=0.3) == []


@story
async def test_the_server_is_frozen_on_the_way(fragile: ServerProcess, mode: Durability) -> None:
    async with opened(fragile.url, "frozen", durability=mode) as backend:
        fragile.pause()
        for count in (10, 5000):
            begin = time.monotonic()
            with pytest.raises(NaqConnectionError):
                await backend.enqueue([job("frozen") for _ in range(count)], timeout=1.0)
            assert time.monotonic() - begin < 3
        await until(lambda: backend.courier.in_flight == 0, "nothing in flight")
        fragile.resume()
        await backend.enqueue([spec := job("frozen")])
        record = await backend.get(spec.id)
        assert record is not None
        assert record.state is JobState.QUEUED


@story
async def test_the_store_is_full(tmp_path: Path, mode: Durability) -> None:
    with bundled_server(tmp_path, durability=mode, max_file_store=8 * 1024 * 1024) as small:
        async with opened(small.url, "full", durability=mode) as backend:
            with pytest.raises(NaqBackpressureError):
                await backend.enqueue([job("full", payload=PAYLOAD * 400) for _ in range(1000)])
            assert backend.health().ready
            await backend.purge("full")
            await backend.enqueue([job("full") for _ in range(100)])
