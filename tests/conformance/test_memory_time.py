"""What only the memory backend promises: time that a test sets, a life in one process, and bounds."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator

import pytest

from naq import clock
from naq.backends import from_url
from naq.backends.base import Backend, WorkerInfo
from naq.backends.memory import MemoryBackend, connect, forget, records, store
from naq.config import Config
from naq.exceptions import JobNotFoundError, NaqBackpressureError
from naq.job import JobRecord, JobSpec, JobState, new_id
from naq.testing.clock import FakeClock

CONFIG = Config(broker_url="memory:time")
WEEK = 7 * 86400


@pytest.fixture(autouse=True)
def fresh_store() -> Iterator[None]:
    yield
    forget(CONFIG)


@pytest.fixture
def time() -> Iterator[FakeClock]:
    with FakeClock() as fake:
        yield fake


def play(test: Callable[[Backend], Awaitable[None]]) -> None:
    async def body() -> None:
        backend = connect(CONFIG)
        await backend.open(["q"])
        try:
            await test(backend)
        finally:
            await backend.close()

    asyncio.run(body())


def spec(**fields: float) -> JobSpec:
    return JobSpec(id=new_id(), payload=b"{}", queue="q", run_at=fields.get("run_at"))


async def finish(backend: Backend, job: JobSpec) -> None:
    await backend.enqueue([job])
    [claim] = await backend.fetch(["q"], limit=1, lease=30, wait=0)
    await backend.complete(claim, JobRecord(id=job.id, state=JobState.SUCCEEDED, queue="q"))


def test_an_hour_passes_at_once(time: FakeClock) -> None:
    async def body(backend: Backend) -> None:
        job = spec(run_at=clock.now() + 3600)
        await backend.enqueue([job])
        waiting = asyncio.ensure_future(backend.fetch(["q"], limit=1, lease=30, wait=7200))
        await time.pass_time(3599)
        assert not waiting.done()
        await time.pass_time(1)
        assert [claim.job.id for claim in await asyncio.wait_for(waiting, 5)] == [job.id]

    play(body)


def test_a_step_wakes_sleepers_of_other_threads(time: FakeClock) -> None:
    sleeps = threading.Event()
    got: list[str] = []

    def other() -> None:
        async def body(backend: Backend) -> None:
            waiting = asyncio.ensure_future(backend.fetch(["q"], limit=1, lease=30, wait=7200))
            await asyncio.sleep(0.05)
            sleeps.set()
            got.extend(claim.job.id for claim in await asyncio.wait_for(waiting, 10))

        play(body)

    thread = threading.Thread(target=other)
    thread.start()
    assert sleeps.wait(10)
    job = spec(run_at=clock.now() + 60)

    async def later(backend: Backend) -> None:
        await backend.enqueue([job])
        await time.pass_time(60)

    play(later)
    thread.join(10)
    assert got == [job.id]


def test_setting_the_time_of_day_ends_no_lease(time: FakeClock) -> None:
    async def body(backend: Backend) -> None:
        await backend.enqueue([spec()])
        [claim] = await backend.fetch(["q"], limit=1, lease=30, wait=0)
        for jump in (86400, -2 * 86400):
            time.jump(jump)
            assert await backend.fetch(["q"], limit=1, lease=30, wait=0) == []
        assert claim.job.id in (await backend.extend([claim], lease=30)).deadlines

    play(body)


def test_the_real_clock_comes_back() -> None:
    before = clock.monotonic()
    with FakeClock(start=5.0) as time:
        time.advance(2.5)
        assert (clock.now(), clock.monotonic()) == (7.5, 2.5)
    assert clock.monotonic() >= before
    assert clock.now() > 1_700_000_000


def test_a_record_is_kept_for_a_week_and_with_it_the_id(time: FakeClock) -> None:
    async def body(backend: Backend) -> None:
        job = spec()
        await finish(backend, job)
        time.advance(WEEK - 1)
        assert await backend.get(job.id) is not None
        [again] = await backend.enqueue([job])
        assert again.duplicate
        time.advance(1)
        assert await backend.get(job.id) is None
        with pytest.raises(JobNotFoundError):
            await backend.wait(job.id)
        [again] = await backend.enqueue([job])
        assert not again.duplicate

    play(body)


def test_records_and_events_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_RECORDS", 10)

    async def body(backend: Backend) -> None:
        jobs = [spec() for _ in range(15)]
        for job in jobs:
            await finish(backend, job)
        kept = [job.id for job in jobs if await backend.get(job.id) is not None]
        assert kept == [job.id for job in jobs[5:]]

    play(body)
    log = records.Log()
    for n in range(records.MAX_EVENTS + 5):
        log.append(JobRecord(id=str(n), state=JobState.SUCCEEDED))
    # A cursor that has fallen out of the log goes on at what is left of it.
    for cursor in (-1, 2, 10**9):
        [(number, event)] = log.after(cursor, 1)
        assert (number, event.job_id) == ("6", "5")


def test_a_full_store_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("naq.backends.memory.queue.MAX_JOBS", 3)
    assert store.MAX_JOBS > 3

    async def body(backend: Backend) -> None:
        await backend.enqueue([spec(), spec()])
        with pytest.raises(NaqBackpressureError, match="3"):
            await backend.enqueue([spec(), spec()])
        [stats] = await backend.stats(["q"])
        assert stats.queued == 2

    play(body)


def test_a_vanished_workers_jobs_are_handed_back(time: FakeClock) -> None:
    async def body(backend: Backend) -> None:
        await backend.enqueue([spec(), spec(), spec()])
        claims = await backend.fetch(["q"], limit=3, lease=3600, wait=0)
        [done, lost, alive] = claims
        await backend.complete(done, JobRecord(id=done.job.id, state=JobState.SUCCEEDED, queue="q"))
        await backend.register(WorkerInfo(id="a", queues=[], claims=[done.receipt, lost.receipt, b"junk\xff"]), ttl=5)
        await backend.register(WorkerInfo(id="b", queues=[], claims=[alive.receipt]), ttl=50)
        assert (await backend.maintain()).rescued == 0
        time.advance(5)
        assert (await backend.maintain()).rescued == 1
        assert (await backend.maintain()).rescued == 0
        [again] = await backend.fetch(["q"], limit=3, lease=30, wait=0)
        assert (again.job.id, again.delivered) == (lost.job.id, 2)

    play(body)


def test_a_rejected_job_ends_the_wait() -> None:
    async def body(backend: Backend) -> None:
        job = spec()
        await backend.enqueue([job])
        waiting = asyncio.ensure_future(backend.wait(job.id, timeout=60))
        [claim] = await backend.fetch(["q"], limit=1, lease=30, wait=0)
        await backend.reject(claim, reason="no job")
        with pytest.raises(JobNotFoundError):
            await asyncio.wait_for(waiting, 5)

    play(body)


def test_a_name_is_one_store() -> None:
    async def known(url: str, namespace: str, job_id: str) -> bool:
        backend = from_url(Config(broker_url=url, namespace=namespace))
        await backend.open()
        try:
            return await backend.get(job_id) is not None
        finally:
            await backend.close()

    async def body(backend: Backend) -> None:
        job = spec()
        await backend.enqueue([job])
        assert await known("memory:time", "default", job.id)
        assert not await known("memory:other", "default", job.id)
        assert not await known("memory:time", "elsewhere", job.id)
        forget(CONFIG)
        assert not await known("memory:time", "default", job.id)
        assert await backend.get(job.id) is not None

    play(body)


def test_what_is_cancelled_or_settled_leaves_nothing_behind() -> None:
    async def body(backend: Backend) -> None:
        await backend.pause("q")
        for _ in range(3000):
            job = spec()
            await backend.enqueue([job])
            await backend.cancel(job.id)
        await backend.resume("q")
        for _ in range(3000):
            await finish(backend, spec())
        assert isinstance(backend, MemoryBackend)
        kept = backend._store  # pyright: ignore[reportPrivateUsage]
        assert not kept.jobs
        assert not kept.finals
        lanes = kept.lines["q"]._lanes  # pyright: ignore[reportPrivateUsage]
        assert sum(map(len, lanes)) <= 1100
        assert len(kept._leases._heap) <= 1100  # pyright: ignore[reportPrivateUsage]

    play(body)


def test_threads_share_a_store() -> None:
    """Producers and workers in threads and event loops of their own: each job once, each result to its waiter."""
    each, producers, workers = 300, 3, 3
    total = each * producers
    runs: list[str] = []
    results: list[JobRecord] = []

    def produce() -> None:
        async def body(backend: Backend) -> None:
            for _ in range(each):
                job = spec()
                await backend.enqueue([job])
                results.append(await backend.wait(job.id, timeout=60))

        play(body)

    def work() -> None:
        async def body(backend: Backend) -> None:
            while len(runs) < total:
                for claim in await backend.fetch(["q"], limit=5, lease=30, wait=0.1):
                    runs.append(claim.job.id)
                    await backend.complete(claim, JobRecord(id=claim.job.id, state=JobState.SUCCEEDED, queue="q"))

        play(body)

    threads = [threading.Thread(target=produce) for _ in range(producers)]
    threads += [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == total
    assert Counter(runs) == Counter(record.id for record in results)
    assert max(Counter(runs).values()) == 1
