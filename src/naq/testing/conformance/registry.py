"""Workers that say they live, and leaders."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from naq import clock
from naq.backends.base import Backend, Running, Settled, WorkerInfo
from naq.job import JobState
from naq.testing.conformance.bench import PATIENCE, STEP, Bench, record, scenario

TTL = 2.0  # seconds; as short as stores with a resolution of a second keep well


async def _find(backend: Backend, worker_id: str) -> WorkerInfo | None:
    return next((worker for worker in await backend.workers() if worker.id == worker_id), None)


class TestWorkers:
    """`register`, `unregister`, `workers`."""

    @scenario
    async def test_what_a_worker_says(self, bench: Bench) -> None:
        """Every field, to every instance; the last word counts."""
        backend, other = await bench.open(), await bench.open()
        worker = WorkerInfo(
            id=bench.name("w"),
            queues=["a", "b"],
            tasks=["mail.send"],
            concurrency=7,
            host="h",
            pid=42,
            version="1",
            started_at=1.5,
            claims=[b"\x00\xff receipt"],
            slots=7,
            code="v2.1",
            memory=123_456_789,
            cpu=0.25,
            leads=["leader"],
            facts={"lease": 30.0, "scheduler": True, "cores": 4, "system": "Linux"},
            jobs=[Running("01JC4", "mail.send", 1.25)],
        )
        await backend.register(worker, ttl=60)
        assert await _find(other, worker.id) == worker
        busy = replace(worker, running=3, processed=9, state="stopping", claims=[])
        await backend.register(busy, ttl=60)
        assert await _find(other, worker.id) == busy
        await backend.unregister(worker.id)

    @scenario
    async def test_one_that_leaves(self, bench: Bench) -> None:
        """Is gone at once; leaving twice is no error."""
        backend = await bench.open()
        worker = WorkerInfo(id=bench.name("w"), queues=[])
        await backend.register(worker, ttl=60)
        await backend.unregister(worker.id)
        assert await _find(backend, worker.id) is None
        await backend.unregister(worker.id)

    @scenario
    async def test_one_that_falls_silent(self, bench: Bench) -> None:
        """Is forgotten after its time, and one that speaks is not."""
        backend = await bench.open()
        silent, alive = (WorkerInfo(id=bench.name("w"), queues=[]) for _ in range(2))
        await backend.register(silent, ttl=TTL)
        end = clock.monotonic() + TTL + bench.slack + PATIENCE

        async def forgotten() -> bool:
            await backend.register(alive, ttl=TTL)
            assert await _find(backend, alive.id) is not None
            return await _find(backend, silent.id) is None

        assert not await forgotten()
        await bench.until(forgotten, within=end - clock.monotonic())
        await backend.unregister(alive.id)


class TestDeath:
    """`died`."""

    @scenario
    async def test_its_claims_are_handed_out_at_once(self, bench: Bench) -> None:
        """To whoever asks, as if their leases had run out: the same attempt, delivered once more. Others stay."""
        queue = bench.name()
        dead, other = await bench.open(queue), await bench.open(queue)
        lost, kept = await bench.claimed(dead, queue), await bench.claimed(dead, queue)
        worker = WorkerInfo(id=bench.name("w"), queues=[queue], claims=[lost.receipt, kept.receipt])
        await dead.register(worker, ttl=60)
        assert await other.died(worker.id, [lost.receipt]) == 1
        assert await _find(other, worker.id) is None
        again = await bench.claim(other, queue)
        assert (again.job.id, again.job.attempt, again.delivered) == (lost.job.id, 1, 2)
        await bench.silent(other, queue)
        assert await dead.complete(kept, record(kept)) is Settled.DONE

    @scenario
    async def test_whoever_says_so_second_changes_nothing(self, bench: Bench) -> None:
        """By then somebody else has the job."""
        queue = bench.name()
        dead, first, second = [await bench.open(queue) for _ in range(3)]
        lost = await bench.claimed(dead, queue)
        worker = WorkerInfo(id=bench.name("w"), queues=[queue], claims=[lost.receipt])
        await dead.register(worker, ttl=60)
        said = await asyncio.gather(*(each.died(worker.id, [lost.receipt]) for each in (first, second)))
        assert sorted(said) == [0, 1]
        again = await bench.claim(first, queue)
        assert await second.died(worker.id, [lost.receipt]) == 0
        await bench.silent(second, queue)
        assert again.job.id in (await first.extend([again], lease=bench.lease)).deadlines

    @scenario
    async def test_one_that_nobody_knows_or_that_has_left_was_not_alive(self, bench: Bench) -> None:
        """What it held is its own affair: it has put it back, or somebody else did."""
        queue = bench.name()
        backend, other = await bench.open(queue), await bench.open(queue)
        claim = await bench.claimed(backend, queue)
        left = WorkerInfo(id=bench.name("w"), queues=[queue], claims=[claim.receipt])
        await backend.register(left, ttl=60)
        await backend.unregister(left.id)
        for worker_id in (left.id, bench.name("w")):
            assert await other.died(worker_id, [claim.receipt]) == 0
        await bench.silent(other, queue)

    @scenario
    async def test_what_it_had_settled_stays_so(self, bench: Bench) -> None:
        """Whoever knows what it held may not know the last of it."""
        queue = bench.name()
        dead, other = await bench.open(queue), await bench.open(queue)
        done, later = await bench.claimed(dead, queue), await bench.claimed(dead, queue)
        worker = WorkerInfo(id=bench.name("w"), queues=[queue])
        await dead.register(worker, ttl=60)
        await dead.complete(done, record(done))
        await dead.retry(later, delay=3600)
        await other.died(worker.id, [done.receipt, later.receipt, b"junk"])
        await bench.silent(other, queue)
        known = await other.get(later.job.id)
        assert known is not None
        assert known.state is JobState.RETRYING


class TestLeadership:
    """`lead` and `resign`."""

    @scenario
    async def test_one_leads(self, bench: Bench) -> None:
        """Of many that ask at once, over several instances."""
        name = bench.name("lead")
        backends = [await bench.open() for _ in range(4)]
        asked = [backends[n % 4].lead(name, f"h{n}", ttl=60) for n in range(12)]
        answers = await asyncio.gather(*asked)
        assert sum(answer is not None for answer in answers) == 1

    @scenario
    async def test_the_deadline_is_monotonic(self, bench: Bench) -> None:
        """And lies within `ttl` from the call; renewing moves it on."""
        name = bench.name("lead")
        backend = await bench.open()
        before = clock.monotonic()
        first = await backend.lead(name, "a", ttl=60)
        assert first is not None
        assert before < first <= clock.monotonic() + 60
        await bench.harness.advance(STEP)
        second = await backend.lead(name, "a", ttl=60)
        assert second is not None
        assert first < second <= clock.monotonic() + 60
        assert await backend.lead(name, "b", ttl=60) is None

    @scenario
    async def test_one_that_falls_silent_is_replaced(self, bench: Bench) -> None:
        """But not before its own deadline."""
        name = bench.name("lead")
        backend, other = await bench.open(), await bench.open()
        deadline = await backend.lead(name, "a", ttl=TTL)
        assert deadline is not None
        await bench.until(lambda: other.lead(name, "b", ttl=60), within=TTL + bench.slack + PATIENCE)
        assert clock.monotonic() >= deadline
        assert await backend.lead(name, "a", ttl=TTL) is None

    @scenario
    async def test_renewing_keeps_it(self, bench: Bench) -> None:
        """For longer than `ttl`, with a rival asking all the time."""
        name = bench.name("lead")
        backend, other = await bench.open(), await bench.open()
        end = clock.monotonic() + 2 * TTL
        while clock.monotonic() < end:
            assert await backend.lead(name, "a", ttl=TTL) is not None
            assert await other.lead(name, "b", ttl=TTL) is None
            await bench.harness.advance(TTL / 4)

    @scenario
    async def test_resigning(self, bench: Bench) -> None:
        """Frees it at once; only the holder can."""
        name = bench.name("lead")
        backend = await bench.open()
        await backend.lead(name, "a", ttl=60)
        await backend.resign(name, "b")
        assert await backend.lead(name, "b", ttl=60) is None
        await backend.resign(name, "a")
        assert await backend.lead(name, "b", ttl=60) is not None
        await backend.resign(bench.name("nobody"), "a")

    @scenario
    async def test_names_are_apart(self, bench: Bench) -> None:
        """One leadership says nothing of another."""
        backend = await bench.open()
        name = bench.name("lead")
        assert await backend.lead(name, "a", ttl=60) is not None
        assert await backend.lead(f"{name}-2", "b", ttl=60) is not None
