"""Workers that are told to go from outside, with signals and without."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from naq import Job, Naq
from naq.backends.base import Backend
from naq.backends.orders import Told, read, set_slots, tell
from naq.job import JobState
from naq.worker import Worker
from naq.worker.orders import KEPT, KIND, Order, give
from tests.tools import DEADLINE, Place, ended, make_app, run, running_state, store, until, until_so, working

SEEN_SOON = {"heartbeat_interval": 0.1}
SEEN_BY_SIGNAL_ONLY = {"heartbeat_interval": 3000.0, "worker_ttl": 6000.0}


async def give_without_signal(backend: Backend, worker_id: str, order: Order | str) -> None:
    """As `give`, with the signal lost."""
    await backend.put(KIND, worker_id, str(order).encode(), ttl=KEPT)


@asynccontextmanager
async def at_work(app: Naq, gate: threading.Event) -> AsyncGenerator[tuple[Worker, asyncio.Task[None], Job[None]]]:
    """A worker that runs a job which ends when `gate` opens."""

    @app.task(name="gated")
    def gated() -> None:
        gate.wait(DEADLINE)

    async with app:
        worker = Worker(app)
        running = asyncio.create_task(worker.run())
        await worker.wait_ready()
        job = await gated.enqueue()
        await running_state(job)
        try:
            yield worker, running, job
        finally:
            gate.set()
            worker.stop()
            async with asyncio.timeout(DEADLINE):
                await running


def test_a_drain_lets_jobs_end_however_long_they_take_though_every_signal_is_lost() -> None:
    app, gate = make_app(shutdown_timeout=0.01, **SEEN_SOON), threading.Event()

    async def test() -> None:
        async with at_work(app, gate) as (worker, running, job), store(app) as backend:
            await give_without_signal(backend, worker.id, Order.DRAIN)
            await until(lambda: worker.vitals.state == "stopping")
            assert worker.vitals.dismissed
            left = await app.tasks["gated"].enqueue()
            assert not running.done()
            gate.set()
            async with asyncio.timeout(DEADLINE):
                await running
            assert (await job.record()).state is JobState.SUCCEEDED
            assert (await left.record()).state is JobState.QUEUED, "nothing more is claimed"

    run(test())


def test_a_signal_makes_it_quick() -> None:
    app, gate = make_app(**SEEN_BY_SIGNAL_ONLY), threading.Event()

    async def test() -> None:
        async with at_work(app, gate) as (worker, _, _), store(app) as backend:
            async with asyncio.timeout(DEADLINE):
                while worker.vitals.state != "stopping":  # it may not listen yet
                    await give(backend, worker.id, Order.STOP)
                    await asyncio.sleep(0.01)

    run(test())


def test_a_harder_order_overrides_a_gentler_one_and_not_the_other_way_round() -> None:
    app, gate = make_app(shutdown_timeout=1000.0, **SEEN_SOON), threading.Event()

    async def test() -> None:
        async with at_work(app, gate) as (worker, running, job), store(app) as backend:
            await give_without_signal(backend, worker.id, Order.STOP)
            await until(lambda: worker.vitals.state == "stopping")
            await give_without_signal(backend, worker.id, Order.DRAIN)
            await give_without_signal(backend, worker.id, Order.NOW)
            async with asyncio.timeout(DEADLINE):
                await running
            assert (await job.record()).state is JobState.QUEUED, "it was put back"

    run(test())


def test_nobody_else_obeys_and_nobody_an_order_that_is_none(caplog: pytest.LogCaptureFixture) -> None:
    app, gate = make_app(**SEEN_SOON), threading.Event()

    async def test() -> None:
        async with at_work(app, gate) as (worker, running, _), store(app) as backend:
            await give_without_signal(backend, worker.id[:-1] + "x", Order.NOW)
            await give_without_signal(backend, worker.id, "dance")
            await until(lambda: "an order that this naq does not know: 'dance'; ignored" in caplog.messages)
            assert worker.vitals.state == "running"
            assert not running.done()

    with caplog.at_level(logging.WARNING, "naq.worker"):
        run(test())


def test_slots_are_changed_while_it_runs_and_none_is_a_pause(place: Place) -> None:
    app = place.make(**SEEN_SOON)
    gate, lock, now, most = asyncio.Event(), threading.Lock(), 0, 0

    @app.task(name="held")
    async def held() -> None:
        nonlocal now, most
        with lock:
            now, most = now + 1, max(most, now + 1)
        await gate.wait()
        now -= 1

    async def test() -> None:
        nonlocal most
        async with working(app, concurrency=2) as worker, store(app) as backend:

            async def says(slots: int) -> bool:
                return [(info.concurrency, info.slots) for info in await backend.workers()] == [(slots, 2)]

            await set_slots(backend, worker.id, 0)
            await until_so(lambda: says(0), "it says that it is paused")
            jobs = await held.enqueue_many([held.call() for _ in range(8)])
            assert worker.vitals.state == "running"
            assert worker.running == 0, "it claims nothing"
            await set_slots(backend, worker.id, 5)
            await until(lambda: now == 5)
            await until_so(lambda: says(5))
            await set_slots(backend, worker.id, 1)
            await until_so(lambda: says(1))
            most = 0
            gate.set()
            for job in jobs:
                await ended(job)
            assert most == 1, "those that ran over it end, and then one runs at a time"
            await set_slots(backend, worker.id, None)
            await until_so(lambda: says(2), "as it was started")

    run(test())


def test_what_is_told_is_one_value_of_which_nothing_is_lost() -> None:
    app = make_app()

    async def test() -> None:
        async with store(app) as backend:
            await asyncio.gather(
                set_slots(backend, "w", 3),
                give(backend, "w", Order.NOW),
                tell(backend, "w", lambda told: Told(told.order, told.slots, look=True)),
            )
            await give(backend, "w", Order.DRAIN)
            entry = await backend.entry(KIND, "w")
            assert entry is not None
            assert read(entry.value) == Told("now", 3, look=True), "the harder order stays"
            assert read(b"drain") == Told("drain"), "as an older naq says it"

    run(test())
