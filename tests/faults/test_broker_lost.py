"""Faults 28, 34 and 37: the broker dies, comes back, or freezes, under load and without. Nothing is lost, calls end by
their deadline, and readiness tells the truth."""

from __future__ import annotations

import asyncio
import signal

import psutil
import pytest
from rig.fleet import Rig, story, until
from rig.specs import job, jobs

from naq import clock
from naq.exceptions import NaqConnectionError
from naq.testing.chaos import Expected

pytestmark = pytest.mark.faults
LONG = 10.0  # seconds of lease: longer than any outage here, so that an outage excuses nothing
MEGABYTE = 1024 * 1024


@story
async def test_the_broker_is_killed_under_load(rig: Rig) -> None:
    """Fault 34: kill -9 with producers and workers at full speed, twice; A B C D K, and calls end by their deadline."""
    async with rig.connected(lease=LONG):
        workers = [rig.worker(NAQ_LEASE=f"{LONG}") for _ in range(2)]
        await rig.ready(*workers)
        producers = [
            rig.producer("work", 0, 4000, batch=20, NAQ_PUBLISH_TIMEOUT="5"),
            rig.producer("work", 0, 4000, batch=20, mode="fresh", NAQ_PUBLISH_TIMEOUT="5"),
        ]
        for number, outage in enumerate((1.5, 0.0)):
            done = 500 + 2000 * number
            await until(lambda done=done: len(rig.executions("returned")) > done, "jobs flow")
            since = clock.now()
            rig.server.kill()
            if outage:
                await rig.unready(*workers)
                back = clock.now() + outage
                await until(lambda back=back: clock.now() > back, "the broker stays away")
            rig.server.start()
            rig.note("kill -9 of the broker", "amnesia", since=since, outage=True)
            await rig.ready(*workers)
        for producer in producers:
            await rig.ended(producer, 0)
        expected = Expected(within=LONG + 10.0, unready_within=1.0)
        report = await rig.verdict("outage", "unready", "succeeded", expected=expected)
        assert report.seen["accepted"] >= 4000
        # Who lives is kept in the broker's memory: said again to the new one.
        for worker in workers:
            await rig.registered(worker)
        await rig.stop(*workers)


@story
async def test_a_broker_that_forgot_a_delivery_costs_no_second_execution_of_a_recorded_job(rig: Rig) -> None:
    """The record was stored, the ack was not sent, and the broker is killed before it wrote down who has the job: it
    hands the job out again as if for the first time, to a worker that must look."""
    async with rig.connected() as app:
        struck = rig.gate("struck")
        fault = f"complete.after_record:stop:mark={struck}"
        workers = [rig.worker(NAQ_FAULT=fault), rig.worker(NAQ_FAULT=fault)]
        await rig.ready(*workers)
        await rig.enqueue(job(app, "work", 7))
        await until(struck.exists, "a worker is stopped between record and ack")
        with rig.breaking("kill -9 of the broker", "amnesia"):
            rig.server.kill()
            rig.server.start()
        report = await rig.verdict("succeeded")
        assert report.seen["executed"] == 1
        for worker in workers:
            worker.send(signal.SIGCONT)
        await rig.stop(*workers)


@story
async def test_enqueuing_into_an_outage_ends_in_time_and_costs_no_memory(rig: Rig) -> None:
    """Fault 28: 20,000 jobs are offered to a broker that is away; each call says so by its deadline."""
    async with rig.connected() as app:
        await rig.enqueue(*jobs(app, "work", 10))
        me = psutil.Process()
        with rig.breaking("broker away", "nothing", outage=True):
            rig.server.kill()
            await until(lambda: not rig.broker.health().ready, "the loss is noticed")
            before = me.memory_info().rss
            for _ in range(5):
                calls = [rig.enqueue(*(job(app, "work", n) for n in range(400)), timeout=0.5) for _ in range(10)]
                for outcome in await asyncio.gather(*calls, return_exceptions=True):
                    assert isinstance(outcome, NaqConnectionError)
            grown = me.memory_info().rss - before
            rig.server.start()
        assert grown < 40 * MEGABYTE, f"{grown / MEGABYTE:.0f} MiB more after 20,000 calls that failed"
        await until(lambda: rig.broker.health().ready, "the broker is found again")
        await rig.enqueue(*jobs(app, "work", 10))
        worker = rig.worker()
        report = await rig.verdict("unknown", "outage")
        # None of them was ever sent, so none may turn up.
        assert report.seen["executed"] == 20
        await rig.stop(worker)


@story
async def test_a_frozen_broker_is_noticed(rig: Rig) -> None:
    """Fault 37: connections stay open and nothing answers; readiness and calls say so within their bounds."""
    async with rig.connected() as app:
        workers = [rig.worker(), rig.worker()]
        await rig.ready(*workers)
        await rig.enqueue(*(job(app, "gated", str(rig.gate())) for _ in range(4)))
        await rig.running(4)
        with rig.breaking("SIGSTOP of the broker", "cut_off", outage=True):
            rig.server.pause()
            with pytest.raises(NaqConnectionError, match="within its deadline"):
                await rig.enqueue(job(app, "work", 1), timeout=1.0)
            used = [sum(psutil.Process(worker.pid).cpu_times()[:2]) for worker in workers]
            # Frozen until they must have noticed.
            by = clock.now() + 15.0
            await until(lambda: clock.now() > by, "15 s have passed")
            for worker, before in zip(workers, used, strict=True):
                spent = sum(psutil.Process(worker.pid).cpu_times()[:2]) - before
                assert spent < 0.2 * 15.0, f"{worker.name} spun: {spent:.1f} s of CPU in 15 s"
            rig.server.resume()
        await rig.ready(*workers)
        rig.gate().touch()
        await until(lambda: rig.broker.health().ready, "the broker is found again")
        await rig.enqueue(*jobs(app, "work", 50))
        await rig.verdict("unready", "outage", "unknown")
        await rig.stop(*workers)
