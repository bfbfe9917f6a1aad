"""What outlives a worker process: the claims of jobs that ran, and nothing else."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Generator

import pytest
from msgspec.structs import replace

from naq import clock
from naq.backends.base import Claim, WorkerInfo
from naq.job import JobSpec
from naq.worker import Worker
from naq.worker.flights import Flight, Flights
from naq.worker.leading import LEADER, SCHEDULER
from naq.worker.supervisor import ledger
from naq.worker.supervisor.ledger import Ledger
from tests.tools import ended, make_app, run, store, take, until_so


@pytest.fixture
def file() -> Generator[int]:
    opened = ledger.create()
    yield opened
    os.close(opened)


def flight(number: int = 1, *, seconds: float = 60.0, receipt: bytes | None = None) -> Flight:
    job = JobSpec(id=f"job-{number}", payload=b"", queue="default")
    now = clock.monotonic()
    named = b"$JS.ACK.receipt.%d" % number if receipt is None else receipt
    return Flight(Claim(job=job, receipt=named, deadline=now + seconds, delivered=1, claimed_at=now))


def held(file: int) -> list[bytes] | None:
    left = Ledger(file).left
    return None if left is None else left.held()


def test_what_runs_when_the_process_dies_is_left_to_the_next(file: int) -> None:
    own = Ledger(file)
    assert own.left is None
    flights = Flights(own)
    flights.add(flight(1))
    assert held(file) is None, "nobody's, before it has begun"
    own.begin("me")
    runs, ended, removed = flight(2), flight(3), flight(4)
    for each in (runs, ended, removed):
        flights.add(each)
    flights.end(ended)  # about to be settled: it may be somebody else's in a moment
    flights.end(removed)
    flights.remove(removed)
    following = Ledger(file)
    assert following.left is not None
    assert following.left.worker == "me"
    assert following.left.held() == [runs.claim.receipt]
    assert held(file) == [runs.claim.receipt], "until it has been seen to"
    Ledger(file).end()
    assert held(file) == [runs.claim.receipt], "by one that began"
    following.begin("next")
    assert held(file) == []


def test_a_claim_whose_lease_may_have_ended_is_left_alone_and_one_that_was_renewed_is_not(file: int) -> None:
    own = Ledger(file)
    own.begin("me")
    flights = Flights(own)
    lapsed, renewed = flight(1, seconds=-1.0), flight(2, seconds=-1.0)
    flights.add(lapsed)
    flights.add(renewed)
    flights.extend(renewed, clock.monotonic() + 60.0)
    assert held(file) == [renewed.claim.receipt]
    flights.end(lapsed)
    flights.extend(lapsed, clock.monotonic() + 60.0)
    assert held(file) == [renewed.claim.receipt]


def test_one_that_ends_in_order_leaves_nothing(file: int) -> None:
    own = Ledger(file)
    own.begin("me")
    flights = Flights(own)
    flights.add(flight())
    own.end()
    assert held(file) is None
    flights.add(flight(2))
    assert held(file) is None


def test_what_has_no_room_is_left_out_and_room_is_used_again(file: int) -> None:
    own = Ledger(file)
    own.begin("me")
    flights = Flights(own)
    long = flight(0, receipt=b"$JS.ACK." + b"x" * 300)
    flights.add(long)
    many = [flight(number) for number in range(1, 2000)]
    for each in many:
        flights.add(each)
    first = held(file)
    assert first is not None
    assert 500 < len(first) < len(many)
    assert long.claim.receipt not in first
    for each in (long, *many):
        flights.end(each)
    assert held(file) == []
    again = [flight(number) for number in range(3000, 3000 + len(first))]
    for each in again:
        flights.add(each)
    assert held(file) is not None
    assert set(held(file) or ()) == {each.claim.receipt for each in again}


def test_what_is_no_ledger_says_nothing(file: int) -> None:
    os.pwrite(file, os.urandom(262_144), 0)
    left = Ledger(file).left
    assert left is None or all(isinstance(receipt, bytes) for receipt in left.claims)


def test_a_process_takes_it_once(file: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ledger.take() is None
    for name, value in ledger.variable(os.dup(file)).items():
        monkeypatch.setenv(name, value)
    mine = ledger.take()
    assert mine is not None
    mine.begin("me")
    assert ledger.take() is None
    assert held(file) == []


def test_a_claim_that_is_handed_out_anew_stands_there_once(file: int) -> None:
    own = Ledger(file)
    own.begin("me")
    flights = Flights(own)
    before = flight(1)
    flights.add(before)
    after = Flight(replace(before.claim, receipt=b"$JS.ACK.newer"))
    assert flights.add(after) is before
    flights.end(before)
    flights.remove(before)
    assert held(file) == [b"$JS.ACK.newer"]


@pytest.mark.parametrize("known", [True, False], ids=["registered", "forgotten"])
def test_a_worker_sees_to_what_the_one_before_left(file: int, known: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Its jobs run again at once, and nobody waits for what it led. What somebody else has seen to is left alone."""
    app = make_app(lease=600)

    @app.task(name="task")
    async def task() -> int:
        return 1

    async def test() -> None:
        job = await task.enqueue()
        (claim,) = await take(app, lease=600)
        before = Ledger(file)
        before.begin("dead")
        Flights(before).add(Flight(claim))
        async with store(app) as backend:
            if known:
                await backend.register(WorkerInfo(id="dead", queues=["default"]), ttl=600)
            for name in (LEADER, SCHEDULER):
                assert await backend.lead(name, "dead", ttl=600) is not None
            worker = Worker(app)
            worker.ledger = Ledger(file)
            running = asyncio.create_task(worker.run())
            if known:
                assert (await ended(job)).delivered == 2
            for name in (LEADER, SCHEDULER):

                async def leads(name: str = name) -> bool:
                    return await backend.lead(name, worker.id, ttl=600) is not None

                await until_so(leads, "the leadership to be given up")
            worker.stop()
            await running
            assert held(file) is None, "it ended in order"
            if not known:
                record = await backend.get(job.id)
                assert record is not None
                assert (record.state.value, record.delivered) == ("running", 1)

    with caplog.at_level(logging.INFO, "naq.worker"):
        run(test())
    assert f"worker dead is dead; {int(known)} of its jobs were handed back" in caplog.messages
