"""Our publisher, where nats-py's hangs, leaks or lies (RELIABILITY.md 3.4, traps 1 to 4 and 7); calls end in time."""

from __future__ import annotations

import asyncio
import time

import pytest
from jetstream_tools import JOBS, NS, PAYLOAD, claim_all, eventually, job, opened, operator, story, succeeded, until

from naq.backends.nats import messages
from naq.backends.nats.broker.process import ServerProcess
from naq.backends.nats.client.errors import Conflict
from naq.backends.nats.enqueue import OWN_HEADERS
from naq.exceptions import ConfigurationError, NaqConnectionError, NaqException, PayloadTooLarge
from naq.job import JobSpec, JobState
from naq.testing.broker import bundled_server
from naq.testing.proxy import DOWN, FaultProxy


@story
async def test_a_refusal_ends_the_publish_and_nothing_stays_behind(shared: ServerProcess) -> None:
    """Trap 1: nats-py raises it where nobody listens, and the future waits for ever."""
    async with opened(shared.url) as backend:
        subject = f"naq.{NS}.k.test.trap1".encode()
        header = b"NATS/1.0\r\nNats-Expected-Last-Subject-Sequence: 7\r\n\r\n"
        futures = [backend.courier.publish(subject, b"x", header, timeout=10) for _ in range(500)]
        outcomes = await asyncio.wait_for(asyncio.gather(*futures, return_exceptions=True), 10)
        assert {type(outcome) for outcome in outcomes} == {Conflict}
        assert backend.courier.in_flight == 0
        bad = b"NATS/1.0\r\nNats-Schedule: @at nonsense\r\nNats-Schedule-Target: naq.default.j.q.x.n.-.y\r\n\r\n"
        with pytest.raises(ConfigurationError, match="refused"):
            await backend.courier.publish(f"naq.{NS}.j.s.x.n.-.y".encode(), b"x", bad, timeout=10)


@story
async def test_everything_in_flight_at_a_disconnect_ends_once_it_is_back(server: ServerProcess) -> None:
    """Trap 2: 5,000 of 5,000 futures never resolved. Ours resolve, and each message is stored once."""
    with FaultProxy(server.url) as proxy:
        async with opened(proxy.url, "trap2") as backend:
            proxy.drop(DOWN)  # what we send arrives, no answer comes back
            jobs = [job("trap2") for _ in range(2000)]
            storing = asyncio.create_task(backend.enqueue(jobs, timeout=30))
            async with operator(server.url) as admin:
                await eventually(admin.stored, "the first to be stored")
                proxy.reset()
                proxy.heal()
                results = await asyncio.wait_for(storing, 40)
                assert [result.duplicate for result in results] == [False] * 2000
                assert await admin.stored() == 2000
            await until(lambda: backend.courier.in_flight == 0, "nothing in flight")


@story
async def test_everything_in_flight_ends_by_its_deadline_when_the_broker_stays_away(server: ServerProcess) -> None:
    async with opened(server.url, "away") as backend:
        server.kill()
        begin = time.monotonic()
        calls = [
            backend.enqueue([job("away")], timeout=1.5),
            backend.enqueue([job("away") for _ in range(300)], timeout=1.5),
            backend.enqueue([JobSpec(id=f"mine{n}", queue="away", payload=PAYLOAD) for n in range(30)], timeout=1.5),
        ]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [NaqConnectionError] * 3
        assert time.monotonic() - begin < 5
        assert "unknown" in str(outcomes[0])
        assert "cannot be reached" in str(outcomes[0])
        await until(lambda: backend.courier.in_flight == 0, "nothing in flight")


@story
async def test_cancelling_is_cancelling_and_leaks_nothing(server: ServerProcess) -> None:
    """Trap 3: nats-py raises TooManyStalledMsgsError; and a caller who left must not have his job stored later."""
    async with opened(server.url, "trap3") as backend:
        server.pause()
        tasks = [asyncio.create_task(backend.enqueue([job("trap3")], timeout=10)) for _ in range(100)]
        await until(lambda: backend.courier.in_flight == 100, "all on their way")
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {asyncio.CancelledError}
        await until(lambda: backend.courier.in_flight == 0, "nothing in flight")
        server.resume()
        [result] = await backend.enqueue([job("trap3")])
        assert not result.duplicate


@story
async def test_nothing_is_stored_after_its_caller_gave_up(server: ServerProcess) -> None:
    """Trap 4: nats-py stores 1,951 of 1,951 publishes on reconnect although their callers got a timeout."""
    async with opened(server.url, "trap4") as backend:
        server.kill()
        await until(lambda: not backend.link.is_up, "the loss to be noticed")
        for count in (1, 200):
            with pytest.raises(NaqConnectionError):
                await backend.enqueue([job("trap4") for _ in range(count)], timeout=0.5)
        server.start()
        await until(lambda: backend.health().ready, "the connection to be back")
        await backend.enqueue([mine := job("trap4")])
        async with operator(server.url) as admin:
            assert await admin.stored() == 1
            assert mine.id in (await admin.must(f"STREAM.MSG.GET.{JOBS}", {"last_by_subj": ">"}))["message"]["subject"]


@story
async def test_a_try_whose_answer_is_lost_is_repeated_and_stored_once(server: ServerProcess) -> None:
    with FaultProxy(server.url) as proxy:
        async with opened(proxy.url, "once") as backend:
            for spec in (job("once"), JobSpec(id="chosen", queue="once", payload=PAYLOAD)):
                proxy.drop(DOWN)
                storing = asyncio.create_task(backend.enqueue([spec], timeout=20))
                async with operator(server.url) as admin:
                    await eventually(admin.stored, "it to be stored")
                    proxy.reset()
                    proxy.heal()
                    [result] = await storing
                    assert not result.duplicate, "our own message stood in our way, not somebody else's"
                    assert await admin.stored() == 1
                    await admin.must(f"STREAM.PURGE.{JOBS}")


@story
async def test_an_oversized_message_is_refused_before_the_wire(server: ServerProcess) -> None:
    """Trap 7: payload plus headers over the server's limit closes nats-py for good."""
    with bundled_server(server.directory.parent / "small", max_payload=20_000) as small:
        async with opened(small.url, "trap7") as backend:
            wire = backend.link.wire
            most = 20_000 - 4096 - OWN_HEADERS
            headers = {"Naq-Tag-a": "x" * 4000}
            fitting = [job("trap7", payload=b"x" * most, headers=headers) for _ in range(100)]
            await backend.enqueue(fitting)
            await backend.enqueue([JobSpec(id="fits", queue="trap7", payload=b"x" * most, headers=headers)])
            for bad in (job("trap7", payload=b"x" * (most + 1)), job("trap7", payload=b"x" * 30_000)):
                with pytest.raises(PayloadTooLarge, match=str(most)):
                    await backend.enqueue([bad])
                with pytest.raises(PayloadTooLarge):
                    await backend.enqueue([*(job("trap7") for _ in range(200)), bad])
            claims = await claim_all(backend, "trap7", 101)
            for claim in claims[:3]:  # a dead letter and a retry carry more than the job did
                failed = succeeded(claim, state=JobState.FAILED, result=None, reason="r" * 5000)
                await backend.discard(claim, failed)
            await backend.retry(claims[3], delay=60, reason="r" * 5000)
            async with operator(small.url) as admin:
                assert await admin.stored("NAQ_default_DEAD") == 3
            assert backend.link.wire is wire, "the connection stayed up"


@story
async def test_the_courier_refuses_what_the_server_would_cut_the_connection_for(server: ServerProcess) -> None:
    with bundled_server(server.directory.parent / "small", max_payload=10_000) as small:
        async with opened(small.url) as backend:
            wire = backend.link.wire
            stored = 0
            for size in range(9_900, 10_001):  # wherever exactly the limit lies, it is ours that refuses
                try:
                    subject = f"naq.{NS}.k.test.{size}".encode()
                    await backend.courier.publish(subject, b"x" * size, messages.CAS_NEW, timeout=5)
                    stored += 1
                except PayloadTooLarge:
                    break
            assert 0 < stored < 100
            assert backend.link.wire is wire


@pytest.mark.parametrize("fate", ["frozen", "killed"])
def test_every_call_ends_by_its_deadline(server: ServerProcess, fate: str) -> None:
    async def body() -> None:
        async with opened(server.url, "late", publish_timeout=1.0, connect_timeout=1.0, lease=3.0) as backend:
            await backend.enqueue([job("late")])
            [claim] = await backend.fetch(["late"], limit=1, lease=3.0, wait=5)
            server.pause() if fate == "frozen" else server.kill()
            begin = time.monotonic()
            calls = [
                backend.enqueue([job("late")]),
                backend.get("x"), backend.cancel("x"), backend.requeue("x"), backend.lookup(claim),
                backend.retry(claim, delay=1), backend.release(claim, delay=1), backend.extend([claim], lease=3.0),
                backend.pause("late"), backend.limit("late", 3), backend.stats(["late"]), backend.stats(),
                backend.purge("late"), backend.dead(), backend.read(), backend.workers(),
                backend.lead("a", "b", ttl=1), backend.resign("a", "b"), backend.maintain(), backend.open(["other"]),
            ]  # fmt: skip
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            took = time.monotonic() - begin
            assert {type(outcome) for outcome in outcomes} == {NaqConnectionError}, outcomes
            assert took < 5, "one deadline, not one for each step"
            begin = time.monotonic()
            with pytest.raises(NaqException):
                await backend.wait("x", timeout=1)
            assert await backend.fetch(["late"], limit=1, lease=3.0, wait=0.5) == []
            assert time.monotonic() - begin < 4
            begin = time.monotonic()
        assert time.monotonic() - begin < 5, "closing does not wait for a broker that is gone"

    asyncio.run(body())
