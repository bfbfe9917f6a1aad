"""Standing pulls: they die with their server and nobody says so; ours come back by themselves (traps 10 to 12, 16)."""

from __future__ import annotations

import asyncio
import time

import pytest
from jetstream_tools import JOBS, claim_all, claim_one, eventually, job, opened, operator, story, succeeded, until

from naq import clock
from naq.backends.base import CancelResult, Settled
from naq.backends.nats.backend import NatsBackend
from naq.backends.nats.broker.process import ServerProcess
from naq.backends.nats.client import lane as lanes
from naq.backends.nats.client import puller
from naq.testing.proxy import UP, FaultProxy

RESUMED = 10.0  # seconds; it takes well below one


async def standing(backend: NatsBackend, queue: str) -> None:
    """Until there is a pull at each lane of `queue`."""
    found = backend.puller.lanes
    await until(lambda: queue in found and all(lane.outstanding for lane in found[queue]), "standing pulls")


@story
async def test_an_idle_worker_has_the_next_job_after_the_server_was_killed(server: ServerProcess) -> None:
    async with opened(server.url, "idle") as backend:
        for kill in (True, False, True):
            fetching = asyncio.create_task(backend.fetch(["idle"], limit=10, lease=30, wait=60))
            await standing(backend, "idle")
            server.restart(kill=kill)
            async with opened(server.url) as other:
                await other.enqueue([job("idle")])
            [claim] = await asyncio.wait_for(fetching, RESUMED)
            assert await backend.complete(claim, succeeded(claim)) is Settled.DONE


@story
async def test_a_busy_worker_goes_on_after_the_server_was_killed(server: ServerProcess) -> None:
    async with opened(server.url, "busy") as backend:
        jobs = [job("busy") for _ in range(3000)]
        await backend.enqueue(jobs)
        done: set[str] = set()
        killed = 0
        begin = time.monotonic()
        while len(done) < 3000:
            claims = await backend.fetch(["busy"], limit=50, lease=30, wait=60)
            for claim in claims:
                # A killed broker forgets some acks: what comes again is found to be over.
                known = await backend.lookup(claim) if claim.delivered > 1 or not claim.job.fresh else None
                if known is None:
                    await backend.complete(claim, succeeded(claim))
                else:
                    await backend.drop(claim)
                done.add(claim.job.id)
            if len(done) > 1000 * (killed + 1) and killed < 2:
                killed += 1
                server.restart(kill=True)
            assert time.monotonic() - begin < 60
        assert done == {spec.id for spec in jobs}


@story
async def test_a_pull_that_the_server_forgot_is_asked_again(
    shared: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two missed heartbeats, and it is taken for dead, also where the connection lives."""
    monkeypatch.setattr(lanes, "HEARTBEAT", 0.3)
    async with opened(shared.url, "forgot") as backend:
        await backend.fetch(["forgot"], limit=1, lease=30, wait=0.01)
        for lane in backend.puller.lanes["forgot"]:
            lane.withdraw()
            lane.outstanding = 5  # as it thinks; the broker knows of none
            lane._heard_at = clock.monotonic()  # pyright: ignore[reportPrivateUsage]
        await backend.enqueue([job("forgot")])
        assert len(await backend.fetch(["forgot"], limit=5, lease=30, wait=RESUMED)) == 1


@story
async def test_a_missing_consumer_is_made_again_without_a_busy_loop(server: ServerProcess) -> None:
    with FaultProxy(server.url) as proxy:
        async with opened(proxy.url, "gone") as backend, operator(server.url) as admin:
            fetching = asyncio.create_task(backend.fetch(["gone"], limit=5, lease=30, wait=60))
            await standing(backend, "gone")
            await admin.must(f"CONSUMER.DELETE.{JOBS}.gone_n")

            async def there() -> bool:
                return "error" not in await admin.ask(f"CONSUMER.INFO.{JOBS}.gone_n")

            await eventually(there, "the consumer to be made again")
            assert (await admin.consumer("gone_n"))["config"]["ack_wait"] == 30 * 10**9
            await backend.enqueue([job("gone")])
            assert len(await asyncio.wait_for(fetching, RESUMED)) == 1
            # With the stream gone there is nobody to ask: each pull is refused at once.
            await admin.must(f"STREAM.DELETE.{JOBS}")
            fetching = asyncio.create_task(backend.fetch(["gone"], limit=5, lease=30, wait=4))
            before, begin = proxy.passed(UP), time.monotonic()
            assert await fetching == []
            rate = (proxy.passed(UP) - before) / (time.monotonic() - begin)
            assert rate < 50 * 200, "bytes a second: fewer than 50 requests"


@story
async def test_pulls_are_withdrawn_when_nobody_asks(shared: ServerProcess) -> None:
    """A worker whose slots are taken must not be handed what another could run."""
    async with opened(shared.url, "full") as full, opened(shared.url, "full") as free:
        await full.enqueue([job("full")])
        await claim_one(full, "full")
        await until(lambda: not any(lane.outstanding for lane in full.puller.lanes["full"]), "no standing pull")
        await full.link.flush()
        for _ in range(20):
            await free.enqueue([job("full", priority=priority) for priority in ("high", "normal", "low")])
            claims = await claim_all(free, "full", 3)
            assert {claim.delivered for claim in claims} == {1}
            for claim in claims:
                await free.complete(claim, succeeded(claim))
        fetching = asyncio.create_task(full.fetch(["full"], limit=1, lease=30, wait=10))
        await free.enqueue([job("full")])
        assert len(await fetching) == 1, "it asks again when it wants to"


@story
async def test_withdrawing_leaves_nothing_behind(shared: ServerProcess) -> None:
    """A worker withdraws its pulls thousands of times a day."""
    async with opened(shared.url, "leak") as backend:
        await backend.fetch(["leak"], limit=1, lease=30, wait=0.01)
        wire = backend.link.wire
        assert wire is not None
        before = len(wire.handlers)
        for _ in range(200):
            for lane in backend.puller.lanes["leak"]:
                lane.withdraw()
        assert len(wire.handlers) > before
        await until(lambda: len(wire.handlers) == before, "the old handlers to be forgotten")
        fetching = asyncio.create_task(backend.fetch(["leak"], limit=1, lease=30, wait=10))
        await backend.enqueue([job("leak")])
        assert len(await fetching) == 1


@story
async def test_what_found_no_slot_goes_back_uncounted(shared: ServerProcess) -> None:
    """Delivered, but never taken: the next worker has it within seconds, as if for the first time."""
    async with opened(shared.url, "held") as full, opened(shared.url, "held") as free:
        await full.enqueue([job("held")])
        await claim_one(full, "held")
        waiting = [job("held", priority="high"), job("held", priority="low")]
        await free.enqueue(waiting)  # delivered to the pulls that still stand
        await until(lambda: sum(len(lane.buffer) for lane in full.puller.lanes["held"]) == 2, "both to be delivered")
        begin = time.monotonic()
        claims = await claim_all(free, "held", 2)
        assert time.monotonic() - begin < puller.HELD_TOO_LONG + 3
        assert {claim.job.id for claim in claims} == {spec.id for spec in waiting}
        assert {claim.delivered for claim in claims} == {1}
        for claim in claims:
            assert not claim.job.fresh, "looked up before it runs: its case may have changed meanwhile"
            assert await free.lookup(claim) is None


@story
async def test_closing_gives_back_what_was_not_taken(shared: ServerProcess) -> None:
    async with opened(shared.url, "back") as free:
        async with opened(shared.url, "back") as full:
            await full.enqueue([job("back")])
            await full.complete(claim := await claim_one(full, "back"), succeeded(claim))
            await free.enqueue([spec := job("back", priority="low")])
            await until(lambda: full.puller.lanes["back"][2].buffer, "the delivery")
        begin = time.monotonic()
        assert (await claim_one(free, "back")).job.id == spec.id
        assert time.monotonic() - begin < 3


@story
async def test_a_job_cancelled_while_it_waits_at_a_worker_is_not_taken_for_new(shared: ServerProcess) -> None:
    """It counts as running, so `cancel` can only ask; whoever takes it looks first."""
    async with opened(shared.url, "taken") as full, opened(shared.url) as other:
        await full.enqueue([job("taken")])
        await claim_one(full, "taken")
        await other.enqueue([spec := job("taken", priority="low")])
        await until(lambda: full.puller.lanes["taken"][2].buffer, "the delivery")
        assert await other.cancel(spec.id) is CancelResult.REQUESTED
        await until(lambda: b"Naq-Republish" in full.puller.lanes["taken"][2].buffer[0][1][3], "the hint")
        claim = await claim_one(full, "taken")
        assert not claim.job.fresh
        known = await full.lookup(claim)
        assert known is not None
        assert known.state == "cancelled"


@story
async def test_pausing_takes_back_what_waits_at_workers(shared: ServerProcess) -> None:
    async with opened(shared.url, "rest") as full, opened(shared.url) as other:
        await full.enqueue([job("rest")])
        await claim_one(full, "rest")
        await other.enqueue([spec := job("rest", priority="high")])
        await until(lambda: full.puller.lanes["rest"][0].buffer, "the delivery")
        await other.pause("rest")
        assert await full.fetch(["rest"], limit=1, lease=30, wait=0.5) == []
        begin = clock.monotonic()
        await other.resume("rest")
        claim = await claim_one(full, "rest")
        assert (claim.job.id, claim.delivered) == (spec.id, 1)
        assert clock.monotonic() - begin < 3, "a standing pull is noticed at once"


@story
async def test_a_fetch_given_up_loses_nothing(shared: ServerProcess) -> None:
    """Trap 10: nats-py loses what is delivered while its fetch is cancelled until the lease lapses."""
    async with opened(shared.url, "give") as backend, opened(shared.url, "give") as other:
        for _ in range(30):
            fetching = asyncio.create_task(backend.fetch(["give"], limit=5, lease=30, wait=10))
            await other.enqueue([spec := job("give")])
            fetching.cancel()
            try:
                claims = await fetching
            except asyncio.CancelledError:
                claims = await backend.fetch(["give"], limit=5, lease=30, wait=5)
            assert [claim.job.id for claim in claims] == [spec.id]
            await backend.complete(claims[0], succeeded(claims[0]))
