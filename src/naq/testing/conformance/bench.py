"""What every test of the suite works with: opened backends, names of its own, and time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from secrets import token_hex
from typing import Any, Final, TypeVar

from msgspec import Raw

from naq import clock
from naq.backends.base import Backend, Claim, DeadLetter
from naq.job import JobRecord, JobSpec, JobState, new_id
from naq.testing.conformance.harness import Harness

T = TypeVar("T")

LONG: Final = 30.0  # seconds; a lease that does not lapse while a test runs
PATIENCE: Final = 15.0  # seconds until something that should happen at once is taken for broken
DELAY: Final = 0.6  # seconds; long enough to look at a job that waits, short enough to wait for it
QUIET: Final = 0.4  # seconds in which a job that must not come out would have come
STEP: Final = 0.02  # seconds of the clock between two looks

PAYLOAD: Final = b'{"v":1,"task":"conformance.task","args":[1],"kwargs":{}}'


class Bench:
    """The tools of one test.

    `lease` is the one it claims with; after `outlived` seconds a claim that nobody renewed would be with another.
    """

    def __init__(self, harness: Harness, lease: float) -> None:
        self.harness = harness
        self.lease = lease
        self.outlived = lease * 1.5
        self.slack = harness.slack
        self._opened: list[Backend] = []

    # ------------------------------------------------------------------ backends and names

    async def open(self, *queues: str) -> Backend:
        """A new instance, ready to fetch from `queues`; closed when the test ends."""
        backend = self.harness.connect(self.lease)
        self._opened.append(backend)
        await backend.open(queues)
        return backend

    async def close(self) -> None:
        """Close whatever was opened."""
        for backend in self._opened:
            await backend.close()

    def name(self, word: str = "q") -> str:
        """A name that no other test uses."""
        return f"{word}-{token_hex(6)}"

    def job(self, queue: str, **fields: Any) -> JobSpec:
        """A job for `queue`; its id counts as the caller's choice unless ``fresh=True`` is given."""
        made: dict[str, Any] = {"id": new_id(), "payload": PAYLOAD, "queue": queue}
        return JobSpec(**made | fields)

    async def elsewhere(self, act: Callable[[Backend], Awaitable[T]], *queues: str) -> T:
        """What `act` returns, given an instance of its own in a thread and event loop of its own."""

        async def body() -> T:
            backend = self.harness.connect(self.lease)
            await backend.open(queues)
            try:
                return await act(backend)
            finally:
                await backend.close()

        return await asyncio.to_thread(lambda: asyncio.run(body()))

    # ------------------------------------------------------------------ time

    async def passing(self, doing: Awaitable[T], *, within: float = PATIENCE) -> T:
        """What `doing` returns, while time passes; fails when it takes longer than `within` seconds."""
        task = asyncio.ensure_future(doing)
        end = clock.monotonic() + within
        try:
            while not task.done():
                assert clock.monotonic() < end, f"nothing within {within:g} s"
                pause = asyncio.ensure_future(self.harness.advance(STEP))
                await asyncio.wait({task, pause}, return_when=asyncio.FIRST_COMPLETED)
                pause.cancel()
                await asyncio.wait({pause})
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})

    async def until(self, holds: Callable[[], Awaitable[T]], *, within: float = PATIENCE) -> T:
        """The first truthy value of `holds`; fails when there is none within `within` seconds."""
        end = clock.monotonic() + within
        while not (found := await holds()):
            assert clock.monotonic() < end, f"it did not come true within {within:g} s"
            await self.harness.advance(STEP)
        return found

    # ------------------------------------------------------------------ counts and lists: a replica may be behind

    async def counted(self, backend: Backend, queue: str, **wanted: int) -> None:
        """Return when `stats` has these counts of `queue`."""

        async def so() -> bool:
            [stats] = await backend.stats([queue])
            return all(getattr(stats, name) == value for name, value in wanted.items())

        await self.until(so)

    async def listed(self, backend: Backend, queue: str, *ids: str, **which: Any) -> list[JobRecord]:
        """The jobs of `queue` and `which`, as soon as `jobs` gives those of `ids` in this order."""
        found: list[JobRecord] = []

        async def so() -> bool:
            found[:] = await backend.jobs(queue=queue, **which)
            return [record.id for record in found] == list(ids)

        await self.until(so)
        return found

    async def letters(self, backend: Backend, queue: str, count: int) -> list[DeadLetter]:
        """The dead letters of `queue`, the newest first, as soon as there are `count`."""
        found: list[DeadLetter] = []

        async def so() -> bool:
            found[:] = [letter for letter in await backend.dead() if letter.queue == queue]
            return len(found) == count

        await self.until(so)
        return found

    # ------------------------------------------------------------------ claims

    async def fetch(self, backend: Backend, *queues: str, limit: int = 1, wait: float = PATIENCE) -> list[Claim]:
        """Up to `limit` claims, as soon as there is one."""
        return await self.passing(
            backend.fetch(queues, limit=limit, lease=self.lease, wait=wait), within=wait + PATIENCE
        )

    async def claim(self, backend: Backend, *queues: str, wait: float = PATIENCE) -> Claim:
        """One claim; fails if there is none."""
        claims = await self.fetch(backend, *queues, wait=wait)
        assert len(claims) == 1, f"asked for one job of {queues} and got {claims}"
        return claims[0]

    async def gather(self, backend: Backend, *queues: str, count: int, limit: int = 100) -> list[Claim]:
        """`count` claims, in the order they came, `limit` at a time."""
        claims: list[Claim] = []
        while len(claims) < count:
            more = await self.fetch(backend, *queues, limit=min(limit, count - len(claims)))
            assert more, f"{len(claims)} of {count} jobs came out, then no more"
            claims += more
        return claims

    async def silent(self, backend: Backend, *queues: str, wait: float = QUIET) -> None:
        """Fail if any job comes out within `wait` seconds."""
        assert await self.fetch(backend, *queues, limit=10, wait=wait) == []

    async def enqueued(self, backend: Backend, queue: str, **fields: Any) -> JobSpec:
        """A new job, stored."""
        job = self.job(queue, **fields)
        [result] = await backend.enqueue([job])
        assert (result.job_id, result.duplicate) == (job.id, False)
        return job

    async def claimed(self, backend: Backend, queue: str, **fields: Any) -> Claim:
        """A new job, stored and claimed."""
        job = await self.enqueued(backend, queue, **fields)
        claim = await self.claim(backend, queue)
        assert claim.job.id == job.id
        return claim

    async def lapsed(self, first: Backend, second: Backend, queue: str) -> tuple[Claim, Claim]:
        """Two claims of one job: `first` lost it when its lease lapsed, `second` has it."""
        lost = await self.claimed(first, queue)
        held = await self.claim(second, queue, wait=self.lease + self.slack)
        assert held.job.id == lost.job.id
        return lost, held


def record(claim: Claim, state: JobState = JobState.SUCCEEDED, **fields: Any) -> JobRecord:
    """A final record of the job that `claim` holds, by the worker ``w1`` unless `fields` say otherwise."""
    job = claim.job
    made: dict[str, Any] = {
        "id": job.id,
        "state": state,
        "queue": job.queue,
        "priority": job.priority,
        "task": "conformance.task",
        "run": job.run,
        "attempt": job.attempt,
        "delivered": claim.delivered,
        "result": Raw(b"42") if state is JobState.SUCCEEDED else None,
        "worker": "w1",
        "finished_at": clock.now(),
    }
    return JobRecord(**made | fields)


_Test = Callable[[Any, Bench], Coroutine[Any, Any, None]]


def scenario(test: _Test) -> Callable[[Any, Harness], None]:
    """A test method on a `Bench`, as one that pytest runs with the ``harness`` fixture and an event loop of its own."""
    return _runnable(test, short=False)


def lapsing(test: _Test) -> Callable[[Any, Harness], None]:
    """As `scenario`, with a lease short enough to wait for its end."""
    return _runnable(test, short=True)


def _runnable(test: _Test, *, short: bool) -> Callable[[Any, Harness], None]:
    async def play(group: Any, bench: Bench) -> None:
        try:
            await test(group, bench)
        finally:
            await bench.close()

    def run(self: Any, harness: Harness) -> None:
        asyncio.run(play(self, Bench(harness, harness.lease if short else LONG)))

    # Not functools.wraps: pytest would follow __wrapped__ and ask for a fixture called "bench".
    run.__name__, run.__qualname__, run.__doc__ = test.__name__, test.__qualname__, test.__doc__
    run.__module__ = test.__module__
    return run
