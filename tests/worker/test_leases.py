"""Leases: kept however the loop is blocked, never used past their end."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Sequence

import pytest

from naq.backends.base import Claim, Extended
from naq.backends.memory import MemoryBackend
from naq.exceptions import NaqConnectionError
from naq.job import JobState
from tests.tools import ended, make_app, put, run, store, take, until, working, working_elsewhere

LEASE = 0.6


def test_a_task_that_blocks_the_loop_for_three_leases_runs_once(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app(lease=LEASE)
    other = make_app(lease=LEASE, broker_url=app.config.broker_url)
    runs: list[int] = []

    async def block() -> str:
        runs.append(1)
        time.sleep(4 * LEASE)  # noqa: ASYNC251  long enough for the watchdog too
        return "done"

    other.task(name="block")(block)
    task = app.task(name="block")(block)

    async def test() -> None:
        # Whichever takes it, the other's loop is free and stands by to take whatever lapses.
        async with working(app), working_elsewhere(other):
            record = await ended(await task.enqueue())
        assert (record.state, record.delivered) == (JobState.SUCCEEDED, 1)
        assert runs == [1]

    with caplog.at_level(logging.WARNING, "naq.worker"):
        run(test())
    assert any("task block" in line and "blocked the event loop" in line for line in caplog.messages), caplog.messages


def test_long_tasks_keep_their_leases_in_threads_and_on_the_loop() -> None:
    app = make_app(lease=LEASE)

    @app.task(name="thread")
    def thread() -> int:
        time.sleep(2.5 * LEASE)
        return 1

    @app.task(name="loop")
    async def loop() -> int:
        await asyncio.sleep(2.5 * LEASE)
        return 2

    async def test() -> None:
        async with working(app), working(app):
            jobs = [await thread.enqueue(), await loop.enqueue()]
            records = [await ended(job) for job in jobs]
        assert [(record.state, record.delivered) for record in records] == [(JobState.SUCCEEDED, 1)] * 2

    run(test())


def test_an_outcome_past_its_deadline_is_dropped(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The keeper is cut off: the first worker's lease lapses, and the second one's record is the only one."""
    app = make_app(lease=LEASE)
    runs: list[threading.Event] = []
    extend = MemoryBackend.extend
    cut_off = True

    async def cut(self: MemoryBackend, claims: Sequence[Claim], *, lease: float) -> Extended:
        if cut_off:
            raise NaqConnectionError("cut off")
        return await extend(self, claims, lease=lease)

    monkeypatch.setattr(MemoryBackend, "extend", cut)

    @app.task(name="task")
    def task() -> str:
        runs.append(threading.Event())
        if len(runs) == 1:
            runs[0].wait(10)
            return "stale"
        return "fresh"

    async def test() -> None:
        async with working(app):
            job = await task.enqueue()
            assert await job.result(timeout=5) == "fresh", "delivered again when the lease had lapsed"
            runs[0].set()
            record = await job.record()
        assert (record.state, record.delivered) == (JobState.SUCCEEDED, 2)

    with caplog.at_level(logging.WARNING, "naq.worker"):
        run(test())
    assert any("LeaseLost" in line for line in caplog.messages)


def test_a_coroutine_whose_lease_lapsed_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(lease=LEASE)
    cancelled: list[int] = []

    async def cut(self: MemoryBackend, claims: Sequence[Claim], *, lease: float) -> Extended:
        raise NaqConnectionError("cut off")

    monkeypatch.setattr(MemoryBackend, "extend", cut)

    @app.task(name="task")
    async def task() -> str:
        if cancelled:
            return "second"
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(1)
            raise
        return "first"

    async def test() -> None:
        async with working(app):
            assert await (await task.enqueue()).result(timeout=8) == "second"
        assert cancelled == [1]

    run(test())


def test_settling_waits_for_a_backend_that_is_away_as_long_as_the_lease_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(lease=LEASE)
    complete = MemoryBackend.complete
    tries: list[float] = []

    async def away(self: MemoryBackend, claim: Claim, record: object) -> object:
        tries.append(time.monotonic())
        if tries[-1] - tries[0] < 1.5 * LEASE:
            raise NaqConnectionError("away")
        return await complete(self, claim, record)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(MemoryBackend, "complete", away)
    runs: list[int] = []

    @app.task(name="task")
    async def task() -> str:
        runs.append(1)
        return "kept"

    async def test() -> None:
        async with working(app):
            assert await (await task.enqueue()).result(timeout=8) == "kept"

    run(test())
    assert runs == [1]
    assert len(tries) > 2


def test_a_job_that_kills_its_workers_ends_in_the_dead_letters() -> None:
    app = make_app(lease=0.2, crash_limit=3)

    @app.task(name="poison")
    async def poison() -> None:
        raise AssertionError("must not run again")

    async def test() -> None:
        job = await poison.enqueue()
        for delivered in range(1, 4):
            claims = await take(app, lease=0.2)
            assert claims[0].delivered == delivered
        async with working(app):
            record = await ended(job)
            async with store(app) as backend:
                dead = await backend.dead()
        assert (record.state, record.delivered) == (JobState.FAILED, 4)
        assert record.errors[0].type == "naq.exceptions.WorkerLost"
        assert (record.task, [letter.id for letter in dead]) == ("poison", [job.id])

    run(test())


def test_a_job_of_a_dead_worker_runs_again_within_its_lease() -> None:
    app = make_app(lease=LEASE)

    @app.task(name="task")
    async def task() -> int:
        return 1

    async def test() -> None:
        job = await task.enqueue()
        await take(app, lease=LEASE)
        taken_at = time.monotonic()
        async with working(app):
            record = await ended(job)
        assert record.delivered == 2
        assert time.monotonic() - taken_at < LEASE + 2

    run(test())


def test_only_jobs_that_may_be_known_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(lease=LEASE)
    looked_up: list[str] = []
    lookup = MemoryBackend.lookup

    async def watched(self: MemoryBackend, claim: Claim) -> object:
        looked_up.append(claim.job.id)
        return await lookup(self, claim)

    monkeypatch.setattr(MemoryBackend, "lookup", watched)

    @app.task(name="task", retries=0)
    async def task() -> int:
        return 1

    async def test() -> None:
        redelivered = await task.enqueue()
        await take(app, lease=0.1)
        async with working(app):
            await ended(redelivered)
            fresh, chosen = await task.enqueue(), await task.options(job_id="mine").enqueue()
            foreign = await put(app, b'{"v":1,"task":"task"}')
            await ended(fresh)
            await ended(chosen)
            await ended(app.job(foreign))
        assert looked_up == [redelivered.id, "mine", foreign]

    run(test())


def test_a_job_that_was_final_already_is_dropped_unrun(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a worker that stored its record and died before it could ack."""
    app = make_app(lease=0.2)
    dropped: list[str] = []
    runs: list[int] = []
    stored = make_app()

    @stored.task(name="task")
    async def done() -> int:
        return 1

    @app.task(name="task")
    async def task() -> int:
        runs.append(1)
        return 2

    async def test() -> None:
        async with working(stored):
            record = await ended(await done.enqueue())

        async def known(self: MemoryBackend, claim: Claim) -> object:
            return record

        async def drop(self: MemoryBackend, claim: Claim) -> None:
            dropped.append(claim.job.id)

        monkeypatch.setattr(MemoryBackend, "lookup", known)
        monkeypatch.setattr(MemoryBackend, "drop", drop)
        async with working(app):
            job = await task.options(job_id="known").enqueue()
            await until(lambda: dropped)
        assert (set(dropped), runs) == ({job.id}, [])

    run(test())
