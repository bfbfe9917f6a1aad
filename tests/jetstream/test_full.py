"""A broker that is full says so at once, loses nothing, and heals (RELIABILITY.md 0.9, fault 40)."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from jetstream_tools import claim_all, claim_one, eventually, job, opened, story, succeeded

from naq import clock
from naq.backends.base import Claim, Settled
from naq.backends.nats.backend import NatsBackend
from naq.backends.nats.broker.process import ServerProcess
from naq.backends.nats.upkeep import overdue
from naq.exceptions import NaqBackpressureError
from naq.job import JobSpec, JobState
from naq.testing.broker import bundled_server

MIB = 1024 * 1024
BIG = b"x" * 100_000


@pytest.fixture
def small(tmp_path: Path) -> Generator[ServerProcess]:
    """A server that takes 8 MiB."""
    with bundled_server(tmp_path, max_file_store=8 * MIB) as server:
        yield server


async def fill(backend: NatsBackend, queue: str, size: int = 100_000) -> list[JobSpec]:
    """Store jobs of `size` bytes until it is full; what was stored."""
    stored: list[JobSpec] = []
    while len(stored) < 5000:
        spec = job(queue, payload=b"x" * size)
        try:
            await backend.enqueue([spec])
        except NaqBackpressureError:
            return stored
        stored.append(spec)
    pytest.fail("it never was full")


@story
async def test_it_says_so_and_heals(small: ServerProcess) -> None:
    async with opened(small.url, "full") as backend:
        stored = await fill(backend, "full")
        assert len(stored) > 50
        begin = clock.monotonic()
        for jobs in ([job("full", payload=BIG)], [job("full", payload=BIG) for _ in range(100)]):
            with pytest.raises(NaqBackpressureError, match="free space"):
                await backend.enqueue(jobs, timeout=15)
        assert clock.monotonic() - begin < 5, "at once, not at the deadline"
        assert backend.health().ready
        # What is there can be worked off: a record is small, but there may be no room for one either.
        claims = await claim_all(backend, "full", 10)
        for claim in claims:
            backend.settle(claim.receipt, b"+ACK")
        await backend.link.flush()

        async def room() -> bool:
            try:
                await backend.enqueue([job("full")])
            except NaqBackpressureError:
                return False
            return True

        await eventually(room, "room")
        assert await backend.purge("full") == len(stored) - 10 + 1
        await backend.enqueue([spec := job("full", payload=BIG)])
        claim = await claim_one(backend, "full")
        assert claim.job.id == spec.id
        assert await backend.complete(claim, succeeded(claim)) is Settled.DONE


@story
async def test_a_claim_whose_record_finds_no_room_comes_again(small: ServerProcess) -> None:
    async with opened(small.url, "norec", lease=2.0) as backend:
        for size in (100_000, 10_000, 1_000, 1):
            await fill(backend, "norec", size)
        claim = await claim_one(backend, "norec")
        with pytest.raises(NaqBackpressureError):
            await backend.complete(claim, succeeded(claim))
        with pytest.raises(NaqBackpressureError):
            await backend.retry(claim, delay=1)
        with pytest.raises(NaqBackpressureError):
            await backend.discard(claim, succeeded(claim, state=JobState.FAILED, result=None))
        for other in await claim_all(backend, "norec", 5):
            backend.settle(other.receipt, b"+ACK")

        async def again() -> Claim | None:
            claims = await backend.fetch(["norec"], limit=1, lease=2.0, wait=5)
            return next((found for found in claims if found.job.id == claim.job.id), None)

        held = await eventually(again, "it to come again")
        assert await backend.complete(held, succeeded(held)) is Settled.DONE


@story
async def test_a_timer_that_fell_due_while_it_was_full_is_set_going_again(
    small: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker gives such a timer up until it is restarted (0.8); upkeep publishes it anew."""
    monkeypatch.setattr(overdue, "PAST_DUE", 1.0)
    async with opened(small.url, "timer", "bulk") as backend:
        late = job("timer", payload=BIG, run_at=clock.now() + 3, headers={"Naq-Tag-a": "b"})
        await backend.enqueue([late])
        due = clock.monotonic() + 3
        await fill(backend, "bulk")
        assert clock.monotonic() < due, "too slow a machine for this test: it was not full in time"

        async def passed() -> bool:
            return clock.monotonic() > due + 2

        await eventually(passed, "the timer to be overdue")
        assert await backend.fetch(["timer"], limit=1, lease=30, wait=0.2) == []
        await backend.purge("bulk")

        async def mended() -> int:
            return (await backend.maintain()).overdue

        assert await backend.fetch(["timer"], limit=1, lease=30, wait=1.5) == [], "the broker mends it by itself now"
        assert await eventually(mended, "upkeep to find it") == 1
        claim = await claim_one(backend, "timer")
        assert (claim.job.id, claim.job.payload) == (late.id, BIG)
        assert claim.job.headers == {"Naq-Tag-a": "b"}
        assert (await backend.maintain()).overdue == 0
