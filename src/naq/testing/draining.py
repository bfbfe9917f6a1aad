"""Running everything that is due, one job after the other, on the event loop that asks for it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from naq import clock
from naq.codec.reader import Reader
from naq.codec.sealing import opened
from naq.events.fanout import Fanout
from naq.exceptions import ConfigurationError
from naq.flow.resolver import Resolver
from naq.job import JobRecord, JobState
from naq.task.callbacks import TAKES
from naq.task.function import find_known
from naq.task.options import TaskOptions
from naq.task.task import make_task
from naq.testing.drained import Drained
from naq.worker import Worker
from naq.worker.service import Service
from naq.worker.tasks import Tasks
from naq.worker.timekeeper import Timekeeper, declaring

if TYPE_CHECKING:
    from naq.app import Naq
    from naq.backends.base import Backend
    from naq.handle import Job
    from naq.task import Task
    from naq.testing.clock import FakeClock

#: Attempts after which a drain is taken for one that never ends.
MOST: Final = 10_000
#: Seconds of real time that a drain may take unless it is told otherwise.
TIMEOUT: Final = 60.0
_LEASE: Final = 86_400.0  # seconds; nobody renews it, and a test may advance the clock within a task
_WAITS: Final = frozenset({JobState.SCHEDULED, JobState.RETRYING})
_ALL: Final = 1_000_000  # jobs; as many as a memory store holds
_BEYOND: Final = 1e-6  # seconds past the moment something is due at: what floats of that size can tell apart

Until = Callable[[], bool]


class Drain:
    """One drain of what `backend`, which is open on this loop, keeps for `app`.

    Args:
        time: the clock that is advanced.
        advance: seconds that may pass; infinity for as long as jobs wait.
        limit: attempts after which it stops; None: none.
        until: the job whose end stops it, or a function that says when to stop.
        queues: which ones; None: all.
        schedules: whether schedules that the app declares come into being, and their ticks.
        at_once: jobs whose retries do not wait.
    """

    def __init__(
        self,
        app: Naq,
        backend: Backend,
        time: FakeClock,
        *,
        advance: float = 0.0,
        limit: int | None = None,
        until: Until | Job[Any] | None = None,
        queues: Sequence[str] | None = None,
        schedules: bool = False,
        at_once: Collection[str] = (),
    ) -> None:
        if isinstance(queues, str):
            raise ConfigurationError(f"queues is {queues!r}; give a list of names: queues=[{queues!r}]")
        worker = _ByHand(app, concurrency=1, lease=_LEASE, queues=["default"], name="drain", backend=backend)
        self._backend = backend
        self._config = worker.config
        self._time = time
        self._end = clock.now() + advance
        self._limit = limit
        self._until = until
        self._queues = queues
        self._at_once = at_once
        self._crew = worker.assemble(backend)
        self._schedules: list[Service] = (
            [declaring(backend, worker.config, app), Timekeeper(backend, worker.config)] if schedules else []
        )
        self._fanout: Fanout | None = None
        self._ran: Counter[str] = Counter()
        self._records: list[JobRecord] = []

    async def run(self, timeout: float) -> Drained:
        """Do it, within `timeout` seconds of real time.

        Raises:
            AssertionError: it takes longer, or never ends; says what runs.
        """
        halt = asyncio.Event()
        try:
            async with asyncio.timeout(timeout):
                while not await self._is_over():
                    pass
        except TimeoutError:
            running = [f"task {flight.name} (job {flight.claim.job.id})" for flight in self._crew.flights.snapshot()]
            raise AssertionError(
                f"the drain did not end within {timeout:g} s; {' and '.join(running) or 'nothing'} was running. "
                "Does a task wait for what nobody does? Give a larger timeout= if it only takes long"
            ) from None
        finally:
            halt.set()
            await self._crew.stop(halt, timeout=0.0)
        return Drained(runs=self._ran.total(), records=self._records, waiting=await self._waiting())

    async def _is_over(self) -> bool:
        """Do the next thing; whether there is none."""
        if await self._should_stop():
            return True
        if ran := await self._crew.run_due(await self._names(), 1):
            for job_id in ran:
                await self._note(job_id)
            return False
        for step in (self._release, self._hand_on, self._tick, self._hurry, self._advance):
            if await step():
                return False
        return True

    async def _should_stop(self) -> bool:
        if self._limit is not None and self._ran.total() >= self._limit:
            return True
        if self._until is None:
            return False
        if callable(self._until):
            return self._until()
        record = await self._backend.get(self._until.id)
        return record is not None and record.is_final

    async def _names(self) -> list[str]:
        known = [stats.queue for stats in await self._backend.stats()]
        return known if self._queues is None else [name for name in known if name in self._queues]

    async def _note(self, job_id: str) -> None:
        record = await self._backend.get(job_id)
        self._ran[record.task if record is not None else "a message that is no job"] += 1
        if record is not None and record.is_final:
            self._records.append(opened(record, job_id, self._config))
        if self._ran.total() >= MOST:
            often = ", ".join(f"{task} {count} times" for task, count in self._ran.most_common(3))
            raise AssertionError(
                f"the drain does not end: after {MOST} attempts ({often}) there is still more. Say how far it is to "
                "go: limit=, until=, or advance= with a time; schedules, and tasks that enqueue themselves, go on for "
                "ever"
            )

    async def _release(self) -> bool:
        """Let jobs go whose parents have ended."""
        if not any(stats.blocked for stats in await self._backend.stats()):
            return False
        resolver = Resolver(self._backend, Reader(self._config))
        await resolver.begin()
        return await resolver.audit() > 0

    async def _hand_on(self) -> bool:
        """Make jobs of the events that were published; whether there are more jobs now."""
        before = await self._waiting()
        if self._fanout is None:
            self._fanout = Fanout(self._backend, self._config)
            await self._fanout.begin()
        return await self._fanout.step(wait=0.0) > 0 or await self._waiting() > before

    async def _waiting(self) -> int:
        return sum(stats.queued + stats.scheduled + stats.blocked for stats in await self._backend.stats())

    async def _tick(self) -> bool:
        return sum([await service.run_once() for service in self._schedules]) > 0

    async def _hurry(self) -> bool:
        """Let retries go at once that are not to wait."""
        if not self._at_once:
            return False
        retrying = [record.id for record in await self._backend.jobs(states={JobState.RETRYING}, limit=_ALL)]
        return any([await self._backend.run_now(job_id) for job_id in retrying if job_id in self._at_once])

    async def _advance(self) -> bool:
        """Let time pass until something is due, or the end of the time that may pass."""
        now = clock.now()
        if now >= self._end:
            return False
        names = set(await self._names())
        waiting = await self._backend.jobs(states=_WAITS, limit=_ALL)
        due = min((record.run_at for record in waiting if record.queue in names), default=float("inf"))
        if due > self._end:
            if self._end != float("inf"):
                self._time.advance(self._end - now)
            return False
        if due == float("inf"):
            return False
        self._time.advance(max(0.0, due - now) + _BEYOND)
        return True


class _Known(Tasks):
    """The tasks of an app, its imports, and every function that this process has made jobs of.

    Those for child processes run here: a child would know neither the place of the jobs nor what the test has patched.
    """

    def __init__(self, app: Naq, modules: Sequence[str]) -> None:
        super().__init__(app, modules)
        self._made: dict[str, Task[..., Any]] = {}

    def find(self, name: str) -> Task[..., Any] | None:
        if (made := self._made.get(name)) is not None:
            return made
        task = super().find(name)
        if task is not None and task.in_process:
            task = self._made[name] = _at_home(task, self._app)
        elif task is None and (known := find_known(name, ())) is not None:
            task = self._made[name] = make_task(name, known.func, TaskOptions(), self._app)
        return task


def _at_home(task: Task[..., Any], app: Naq) -> Task[..., Any]:
    made = make_task(task.name, task.func, replace(task.declared, executor=None), app)
    for moment in TAKES:
        for callback in task.callbacks.at(moment):
            made.callbacks.add(moment, callback)
    return made


class _ByHand(Worker):
    """A worker that is told when to run what."""

    def find_tasks(self, modules: Sequence[str]) -> Tasks:
        return _Known(self.app, modules)


def seconds(advance: float | timedelta | bool) -> float:
    """How long `advance` lets pass: True for as long as jobs wait.

    Raises:
        ConfigurationError: it is no such time.
    """
    if advance is True:
        return float("inf")
    found = advance.total_seconds() if isinstance(advance, timedelta) else float(advance)
    if not found >= 0:
        raise ConfigurationError(f"advance is {advance!r}; expected seconds (0 or more), a timedelta, or True")
    return found
