"""The leader's duties: undeliverable messages, stuck timers, claims of dead workers, who leads (RELIABILITY.md 5.4)."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from jetstream_tools import NS, claim_all, claim_one, eventually, job, opened, operator, story, succeeded

from naq import clock
from naq.backends.base import WorkerInfo
from naq.backends.nats import upkeep
from naq.backends.nats.backend import NatsBackend
from naq.backends.nats.broker.process import ServerProcess
from naq.backends.nats.upkeep import overdue


@contextmanager
def holder(url: str, queue: str, count: int, lease: float) -> Generator[subprocess.Popen[str]]:
    """A process that holds `count` jobs of `queue`."""
    program = [sys.executable, str(Path(__file__).with_name("holder.py")), url, queue, str(count), str(lease)]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


async def make_zombies(url: str, queue: str, count: int) -> list[str]:
    """Jobs that are stored and that no consumer will ever deliver: given up at `max_deliver`, which an operator set."""
    async with opened(url, queue, lease=1.0) as backend, operator(url) as admin:
        await admin.update_consumer(f"{queue}_n", max_deliver=1)
        await backend.enqueue([job(queue, fresh=number % 2 == 0) for number in range(count)])
        claims = await claim_all(backend, queue, count)

        async def given_up() -> bool:
            info = await admin.consumer(f"{queue}_n")
            await backend.fetch([queue], limit=1, lease=1.0, wait=0.05)
            return info["num_ack_pending"] == 0

        await eventually(given_up, "the broker to give them up")
        await admin.update_consumer(f"{queue}_n", max_deliver=-1)
        assert await backend.fetch([queue], limit=1, lease=1.0, wait=0.3) == []
        assert (await admin.consumer(f"{queue}_n"))["num_pending"] == 0
        return [claim.job.id for claim in claims]


@story
async def test_the_audit_puts_undeliverable_jobs_back_in_line(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(upkeep, "AUDIT_EVERY", 0.0)
    async with opened(server.url, "dead", lease=1.0) as backend:
        zombies = await make_zombies(server.url, "dead", 20)
        [stats] = await backend.stats(["dead"])
        assert (stats.queued, stats.running) == (0, 0), "nobody sees them"
        assert (await backend.maintain()).repaired == 0, "one look proves nothing"
        assert (await backend.maintain()).repaired == 20
        assert "20 stored jobs" in caplog.text
        claims = await claim_all(backend, "dead", 20)
        assert {claim.job.id for claim in claims} == set(zombies)
        for claim in claims:
            assert not claim.job.fresh, "it may have run: it is looked up first"
            await backend.complete(claim, succeeded(claim))
        await backend.link.flush()
        assert [(await backend.maintain()).repaired for _ in range(3)] == [0, 0, 0]


@story
async def test_the_audit_removes_what_is_final(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "AUDIT_EVERY", 0.0)
    async with opened(server.url, "over", lease=1.0) as backend, operator(server.url) as admin:
        zombies = await make_zombies(server.url, "over", 10)
        for job_id in zombies[:5]:  # an ack was lost after these: their records are there
            record = f'{{"id":"{job_id}","state":"succeeded","queue":"over"}}'
            await admin.store(f"naq.{NS}.r.over.{job_id}", record.encode())
        repaired = [(await backend.maintain()).repaired for _ in range(3)]
        assert sum(repaired) == 10
        claims = await claim_all(backend, "over", 5)
        assert {claim.job.id for claim in claims} == set(zombies[5:])
        assert await admin.stored() == 5


@story
async def test_the_audit_finds_them_under_load_and_touches_nothing_else(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lane that is never still."""
    monkeypatch.setattr(upkeep, "AUDIT_EVERY", 0.0)
    zombies = set(await make_zombies(server.url, "load", 5))
    async with opened(server.url, "load") as backend, opened(server.url) as leader:
        counts: dict[str, int] = {}
        stop = asyncio.Event()

        async def produce() -> None:
            while not stop.is_set():
                await backend.enqueue([job("load") for _ in range(20)])

        async def consume() -> None:
            while claims := await backend.fetch(["load"], limit=50, lease=30, wait=1):
                for claim in claims:
                    counts[claim.job.id] = counts.get(claim.job.id, 0) + 1
                await asyncio.gather(*(backend.complete(claim, succeeded(claim)) for claim in claims))

        producing, consuming = asyncio.create_task(produce()), asyncio.create_task(consume())
        repaired = 0
        begin = time.monotonic()
        while repaired < 5 or time.monotonic() - begin < 2:
            assert time.monotonic() - begin < 30, f"{repaired} of 5 repaired"
            repaired += (await leader.maintain()).repaired
        stop.set()
        await asyncio.gather(producing, consuming)
        assert repaired == 5, "and nothing that was healthy"
        assert zombies <= set(counts)
        assert set(counts.values()) == {1}


@story
async def test_a_stuck_timer_is_set_going_once_by_two_leaders(
    shared: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep takes one past due; what is not due it leaves alone."""
    monkeypatch.setattr(overdue, "PAST_DUE", -3600.0)  # what is due within the hour counts as stuck
    async with opened(shared.url, "stuck") as one, opened(shared.url, "stuck") as two:
        stuck = [job("stuck", run_at=clock.now() + 600, attempt=3, fresh=False) for _ in range(50)]
        await one.enqueue([*stuck, job("stuck", run_at=clock.now() + 7200)])
        await asyncio.gather(one.maintain(), two.maintain())
        claims = await claim_all(one, "stuck", 50)
        assert {claim.job.id for claim in claims} == {spec.id for spec in stuck}
        assert {claim.job.attempt for claim in claims} == {3}
        assert await two.fetch(["stuck"], limit=5, lease=30, wait=0.5) == []
        [stats] = await one.stats(["stuck"])
        assert stats.scheduled == 1


@story
async def test_timers_are_swept_in_parts(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each round goes on where the last one ended, and round again."""
    async with opened(server.url, "parts") as backend:
        await backend.enqueue([job("parts", run_at=clock.now() + 7200) for _ in range(25)])
        await backend.enqueue([last := job("parts", run_at=clock.now() + 60)])
        monkeypatch.setattr(overdue, "PAST_DUE", -3600.0)
        assert [(await backend.maintain(limit=10)).overdue for _ in range(3)] == [0, 0, 1]
        assert (await claim_one(backend, "parts")).job.id == last.id


@story
async def test_our_clock_does_not_decide_what_is_overdue(
    shared: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A leader whose clock is an hour ahead must not set off what is due in an hour."""
    async with opened(shared.url, "skew") as backend:
        await backend.enqueue([job("skew", run_at=clock.now() + 600)])
        real = clock.now
        monkeypatch.setattr(clock, "now", lambda: real() + 3600)
        assert (await backend.maintain()).overdue == 0
        assert await backend.fetch(["skew"], limit=1, lease=30, wait=0.5) == []


@story
async def test_a_killed_worker_s_jobs_are_back_within_seconds(server: ServerProcess) -> None:
    async with opened(server.url, "killed", lease=30.0, heartbeat_interval=1.0) as backend:
        await backend.enqueue([job("killed") for _ in range(10)])
        with holder(server.url, "killed", 10, 30.0) as process:
            assert (await backend.maintain()).rescued == 0
            process.kill()
            begin = time.monotonic()

            async def rescued() -> int:
                return (await backend.maintain()).rescued

            assert await eventually(rescued, "the rescue") == 10
            claims = await claim_all(backend, "killed", 10)
            assert time.monotonic() - begin < 10, "long before their lease ran out"
            assert {claim.delivered for claim in claims} == {2}
        assert (await backend.maintain()).rescued == 0


@story
async def test_a_stopped_worker_s_jobs_are_left_to_their_lease(server: ServerProcess) -> None:
    """SIGSTOP, or a task that holds the GIL: it is slow, not dead, and may go on any moment."""
    async with opened(server.url, "frozen", lease=30.0, heartbeat_interval=0.5) as backend:
        await backend.enqueue([job("frozen") for _ in range(5)])
        with holder(server.url, "frozen", 5, 30.0) as process:
            await backend.maintain()
            os.kill(process.pid, signal.SIGSTOP)
            frozen = time.monotonic()
            while time.monotonic() - frozen < 5:
                assert (await backend.maintain()).rescued == 0
                assert await backend.fetch(["frozen"], limit=1, lease=30.0, wait=0.1) == []
            os.kill(process.pid, signal.SIGCONT)


@story
async def test_a_worker_that_said_goodbye_is_not_dead(shared: ServerProcess) -> None:
    async with opened(shared.url, "bye", heartbeat_interval=0.1) as leader:
        await leader.enqueue([job("bye")])
        async with opened(shared.url, "bye") as leaving:
            claim = await claim_one(leaving, "bye")
            await leaving.register(WorkerInfo(id="bye", queues=["bye"], claims=[claim.receipt]), ttl=30)
            assert [info.id for info in await leader.workers()] == ["bye"]
            await leader.maintain()
            await leaving.unregister("bye")
            assert await leader.workers() == []
        end = time.monotonic() + 1
        while time.monotonic() < end:
            assert (await leader.maintain()).rescued == 0


@story
async def test_what_a_dead_worker_had_settled_or_given_back_is_left_alone(server: ServerProcess) -> None:
    """Its last word may be older than what it did, and the broker takes a NAK of an old delivery for one of the new."""
    async with opened(server.url, "old", heartbeat_interval=0.2) as leader, opened(server.url, "old") as other:
        await leader.enqueue([job("old"), job("old"), job("old")])
        async with opened(server.url, "old") as dying:
            done, given, lost = await claim_all(dying, "old", 3)
            claims = [done.receipt, given.receipt, lost.receipt]
            await dying.register(WorkerInfo(id="old", queues=["old"], claims=claims), ttl=30)
            await leader.maintain()
            await dying.complete(done, succeeded(done))
            await dying.release(given)
            held = await claim_one(other, "old")
            assert (held.job.id, held.delivered) == (given.job.id, 2)
            await other.register(WorkerInfo(id="other", queues=["old"], claims=[held.receipt]), ttl=30)

        async def rescued() -> int:
            return (await leader.maintain()).rescued

        await eventually(rescued, "the rescue")
        again = await claim_one(leader, "old")
        assert (again.job.id, again.delivered) == (lost.job.id, 2)
        assert await leader.fetch(["old"], limit=5, lease=30, wait=0.5) == []


@story
async def test_a_leader_since_a_moment_ago_does_not_take_an_old_word_for_a_new_one(server: ServerProcess) -> None:
    """By then the lease may have run out, and the job be with somebody else."""
    async with opened(server.url, "late", lease=3.0, heartbeat_interval=0.1) as backend:
        await backend.enqueue([job("late")])
        async with opened(server.url, "late", lease=3.0) as dying:
            claim = await claim_one(dying, "late")
            await dying.register(WorkerInfo(id="late", queues=["late"], claims=[claim.receipt]), ttl=30)
        again = await claim_one(backend, "late")
        assert again.delivered == 2
        async with opened(server.url, "late", lease=3.0, heartbeat_interval=0.1) as leader:
            end = time.monotonic() + 1
            while time.monotonic() < end:
                assert (await leader.maintain()).rescued == 0


@story
async def test_receipts_that_are_none_reach_no_wire(shared: ServerProcess, caplog: pytest.LogCaptureFixture) -> None:
    odd = [b"", b"junk", b"$JS.ACK.a b", b"$JS.ACK.x.y.1.2.3.4.5\r\nPUB x 0\r\n", b"$JS.ACK.x.y.z.2.3.4.5"]
    async with opened(shared.url, heartbeat_interval=0.05) as leader:
        async with opened(shared.url) as stranger:
            await stranger.register(WorkerInfo(id="odd", queues=[], claims=odd), ttl=30)
        wire = leader.link.wire
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            assert (await leader.maintain()).rescued == 0
        await leader.link.flush()
        assert leader.link.wire is wire
        assert "worker odd is gone" in caplog.text, "it was looked at"


@story
async def test_there_is_one_leader_at_a_time(shared: ServerProcess) -> None:
    """Over many leases: whoever thinks that it leads is the only one."""
    async with opened(shared.url) as one, opened(shared.url) as two, opened(shared.url) as three:
        backends = {"one": one, "two": two, "three": three}
        until_when: dict[str, float] = {}
        terms: list[str] = []

        async def live(name: str, backend: NatsBackend) -> None:
            end = clock.monotonic() + 5
            while clock.monotonic() < end:
                deadline = await backend.lead("boss", name, ttl=1)
                if deadline is not None:
                    now = clock.monotonic()
                    others = [other for other, at in until_when.items() if other != name and at > now]
                    assert others == [], f"{name} leads beside {others}"
                    until_when[name] = deadline
                    if not terms or terms[-1] != name:
                        terms.append(name)
                        continue  # renews once, then falls silent until its lease is over
                    await asyncio.sleep(max(0, deadline - clock.monotonic()) + 0.5)
                await asyncio.sleep(0.05)

        await asyncio.gather(*(live(name, backend) for name, backend in backends.items()))
        assert len(terms) >= 2, "and the leadership does go on"
        assert await one.lead("other", "one", ttl=1) is not None, "leaderships are apart"


@story
async def test_a_race_for_the_lead_has_one_winner(shared: ServerProcess) -> None:
    async with opened(shared.url) as one, opened(shared.url) as two:
        for number in range(20):
            tries = [(two if n % 2 else one).lead(f"race-{number}", f"w{n}", ttl=5) for n in range(20)]
            won = [deadline for deadline in await asyncio.gather(*tries) if deadline is not None]
            assert len(won) == 1


@story
async def test_resigning_lets_the_next_one_in_at_once(shared: ServerProcess) -> None:
    async with opened(shared.url) as one, opened(shared.url) as two:
        assert await one.lead("hand", "one", ttl=30) is not None
        assert await two.lead("hand", "two", ttl=30) is None
        await two.resign("hand", "two")
        assert await two.lead("hand", "two", ttl=30) is None
        await one.resign("hand", "one")
        assert await two.lead("hand", "two", ttl=30) is not None


@story
async def test_strangers_in_the_registry_disturb_nobody(shared: ServerProcess) -> None:
    async with opened(shared.url) as backend, operator(shared.url) as admin:
        await admin.store(f"naq.{NS}.l.worker.odd", b"\x00 not json")
        await admin.store(f"naq.{NS}.l.worker.newer", b'{"id":"newer","queues":7}')
        await admin.store(f"naq.{NS}.l.lease.odd", b"[]", Nats_TTL="1s")
        await backend.register(WorkerInfo(id="fine", queues=["q"]), ttl=30)
        assert [info.id for info in await backend.workers()] == ["fine"]
        await backend.maintain()
        assert await backend.lead("odd", "me", ttl=1) is None

        async def leads() -> float | None:
            return await backend.lead("odd", "me", ttl=1)

        await eventually(leads, "the stranger's lease to run out")
        await backend.unregister("odd")
        await admin.must(f"STREAM.PURGE.NAQ_{NS}_LIVE")


@story
async def test_maintaining_an_empty_namespace_is_nothing(shared: ServerProcess) -> None:
    async with opened(shared.url, namespace="empty") as backend:
        done = await backend.maintain()
        assert (done.overdue, done.repaired, done.rescued) == (0, 0, 0)
        assert await backend.stats() == []
        assert await backend.dead() == []
        assert await backend.read() == []
        known = await backend.get("nothing")
        assert known is None


@pytest.mark.parametrize("first", ["successor", "leader"])
@story
async def test_of_a_leader_and_a_successor_one_hands_a_dead_worker_s_jobs_back(
    server: ServerProcess, first: str
) -> None:
    """The other's NAK would be one of the claim that somebody has by then. Also where its registration has run out."""
    settings = {"lease": 30.0, "heartbeat_interval": 0.2, "worker_ttl": 1.0}
    async with opened(server.url, "one", **settings) as leader, opened(server.url, "one", **settings) as other:
        await leader.enqueue([job("one")])
        async with opened(server.url, "one", **settings) as dying:
            claim = await claim_one(dying, "one")
            await dying.register(WorkerInfo(id="dead", queues=["one"], claims=[claim.receipt]), ttl=1.0)
            await leader.maintain()
        if first == "successor":
            assert await other.died("dead", [claim.receipt]) == 1
        else:

            async def rescued() -> int:
                return (await leader.maintain()).rescued

            await until_gone(other)
            assert await eventually(rescued, "the rescue") == 1
        held = await claim_one(other, "one")
        assert held.delivered == 2
        assert await other.died("dead", [claim.receipt]) == 0
        end = time.monotonic() + 2
        while time.monotonic() < end:
            assert (await leader.maintain()).rescued == 0
        assert await leader.fetch(["one"], limit=1, lease=30.0, wait=0.2) == []


async def until_gone(backend: NatsBackend) -> None:
    """Nobody is registered any more."""

    async def gone() -> bool:
        return await backend.workers() == []

    await eventually(gone, "the registration to run out")
