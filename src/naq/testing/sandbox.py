"""What a test holds while an app is under test: what was enqueued, running it, and the broker's health."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Unpack

from naq import sync
from naq.exceptions import ConfigurationError
from naq.testing.asking import Asked, TaskLike, read_wanted
from naq.testing.drained import Drained
from naq.testing.draining import TIMEOUT, Drain, Until, seconds
from naq.testing.enqueued import Decoder, Enqueued, Stored
from naq.testing.matching import listing
from naq.testing.serving import serving
from naq.testing.stage import Stage

if TYPE_CHECKING:
    from naq.app import Naq
    from naq.backends.base import Backend
    from naq.config import Config
    from naq.handle import Job
    from naq.testing.clock import FakeClock
    from naq.worker import Worker

DEEPEST: Final = 50  # jobs that run within the enqueueing of another, inline, before it is taken for endless
_SHUTDOWN: Final = 5.0  # seconds that a test's worker lets its jobs go on when the block ends
_depth: ContextVar[int] = ContextVar("naq_inline_depth", default=0)


class Sandbox:
    """The jobs of an app under test; made by `naq.testing.override` and `naq.testing.on_server`.

    Attributes:
        app: the app.
        config: the settings in force, with where the jobs are kept.
        stage: the connection that stands in for the app's own.
    """

    def __init__(
        self, app: Naq, config: Config, switch: Callable[[bool], None], clock: FakeClock | None, *, inline: bool = False
    ) -> None:
        self.app: Final = app
        self.config: Final = config
        self._inline = inline
        self.stage: Final = Stage(config, self)
        self._stored: list[Stored] = []
        self._decode: Final = Decoder(app, config)
        self._switch = switch
        self._clock = clock

    def __repr__(self) -> str:
        return f"<Sandbox of {self.app!r}: {len(self._stored)} enqueued>"

    @property
    def inline(self) -> bool:
        """Whether each job runs as it is enqueued, before `enqueue` returns; may be changed at any time.

        Raises:
            ConfigurationError: set, where the jobs are on a server.
        """
        return self._inline

    @inline.setter
    def inline(self, value: bool) -> None:
        if value and self._clock is None:
            raise ConfigurationError("jobs on a real server are run by workers, not inline: with jobs.worker(): ...")
        self._inline = value

    @property
    def clock(self) -> FakeClock:
        """The clock that the jobs go by: ``clock.advance(3600)``, ``clock.freeze()``, ``clock.travel(when)``.

        Raises:
            ConfigurationError: the jobs are on a server, whose time is the real one.
        """
        if self._clock is None:
            raise ConfigurationError(
                "these jobs are on a real server, and its clock is its own: set the time where jobs are in memory "
                "(naq.testing.override, the fixture naq_jobs)"
            )
        return self._clock

    def enqueued(self, task: TaskLike | None = None, /, **asked: Unpack[Asked]) -> list[Enqueued]:
        """What was enqueued so far, run or not, in order; without duplicates, which added nothing.

        `task` is the task, a function as `naq.enqueue` takes it, or the name of either; None: any. What else may be
        asked: `naq.testing.asking.Asked`.

        Raises:
            UnknownTask: there is no task of this name, so that the question could only have one answer.
            ConfigurationError: the task has no such parameter, or that cannot be asked.
        """
        wanted = read_wanted(self._decode, task, asked)
        return [job for job in self._all() if not job.duplicate and not wanted.differences(job)]

    def assert_enqueued(
        self, task: TaskLike | None = None, /, *, count: int | None = None, **asked: Unpack[Asked]
    ) -> Enqueued:
        """The last job that was enqueued and is as `enqueued` says; `count`: how many there must be, else any number.

        Raises:
            AssertionError: there is none, or another number of them; lists what was enqueued, and how it differs.
            UnknownTask, ConfigurationError: as `enqueued`.
        """
        if count is not None and count < 1:
            raise ConfigurationError(f"count is {count}; expected 1 or more: for none, assert_not_enqueued")
        wanted = read_wanted(self._decode, task, asked)
        jobs = self._all()
        found = [job for job in jobs if not job.duplicate and not wanted.differences(job)]
        if not found or (count is not None and len(found) != count):
            number = "at least one" if count is None else str(count)
            raise AssertionError(
                f"expected {number} of {wanted}, and {len(found) or 'none'} was enqueued; {listing(wanted, jobs)}"
            )
        return found[-1]

    def assert_not_enqueued(self, task: TaskLike | None = None, /, **asked: Unpack[Asked]) -> None:
        """Nothing was enqueued that is as `enqueued` says; without arguments: nothing at all.

        Raises:
            AssertionError: something was; lists it.
            UnknownTask, ConfigurationError: as `enqueued`.
        """
        wanted = read_wanted(self._decode, task, asked)
        found = [job for job in self._all() if not job.duplicate and not wanted.differences(job)]
        if found:
            raise AssertionError(f"expected none of {wanted}; {listing(wanted, found)}")

    def clear(self) -> None:
        """Forget what was enqueued so far, for the questions above; the jobs themselves stay where they are."""
        self._stored.clear()

    async def drain(
        self,
        *,
        advance: float | timedelta | bool = False,
        limit: int | None = None,
        until: Until | Job[Any] | None = None,
        queues: Sequence[str] | None = None,
        schedules: bool = False,
        check: bool = False,
        timeout: float = TIMEOUT,
    ) -> Drained:
        """Run everything that is due, and what that enqueues, one job after the other, until nothing is left.

        As a worker does it: retries, timeouts, callbacks, middleware, limits and jobs that wait for others included.
        A job that fails is recorded as failed; see `check`.

        Args:
            advance: time that may pass on the `clock` while jobs wait for it (delays, retries, snoozes): seconds, a
                timedelta, or True for as long as any job waits. A given time passes to its end.
            limit: attempts to stop after.
            until: a job whose end stops it, or a function that is asked before each attempt.
            queues: only these; default: all.
            schedules: let the schedules that the app declares come into being and tick; give `advance` a time then.
            check: raise if a job failed for good.
            timeout: seconds of real time.

        Raises:
            JobExecutionError: with `check`: the first job that failed, its traceback as a note.
            AssertionError: it took longer than `timeout`, or would go on for ever.
            NaqConnectionError: the broker is down (`broker_down`).
            ConfigurationError: the jobs are on a server: there `worker` runs them.
        """
        clock = self._clock
        if clock is None:
            raise ConfigurationError("these jobs are on a real server: run them with 'with jobs.worker(): ...'")
        allowed = seconds(advance)
        backend = await self.stage.connect()
        done = await Drain(
            self.app, backend, clock, advance=allowed, limit=limit, until=until, queues=queues, schedules=schedules
        ).run(timeout)
        if check:
            done.check()
        return done

    def drain_sync(
        self,
        *,
        advance: float | timedelta | bool = False,
        limit: int | None = None,
        until: Until | Job[Any] | None = None,
        queues: Sequence[str] | None = None,
        schedules: bool = False,
        check: bool = False,
        timeout: float = TIMEOUT,
    ) -> Drained:
        """`drain` for tests without an event loop."""

        async def drain() -> Drained:
            return await self.drain(
                advance=advance, limit=limit, until=until, queues=queues, schedules=schedules, timeout=timeout
            )

        done = sync.run("await jobs.drain(...)", drain)
        if check:
            done.check()
        return done

    def worker(
        self, *, queues: Sequence[str] | None = None, concurrency: int | None = None, imports: Sequence[str] = ()
    ) -> AbstractContextManager[Worker]:
        """A real worker in a thread of its own, for the block: ``with jobs.worker(): ...``, in any kind of test.

        Args as of `naq.worker.Worker`.
        """
        from naq.worker import Worker

        return serving(
            Worker(self.app, queues=queues, concurrency=concurrency, imports=imports, shutdown_timeout=_SHUTDOWN)
        )

    @contextmanager
    def broker_down(self) -> Generator[None]:
        """The broker cannot be reached while the block runs: calls end in `NaqConnectionError`, workers wait for it."""
        self.stop_broker()
        try:
            yield
        finally:
            self.start_broker()

    def stop_broker(self) -> None:
        """From here on the broker cannot be reached, by the app, its workers and everybody else in this test."""
        self._switch(True)

    def start_broker(self) -> None:
        """It is there again, with all it had."""
        self._switch(False)

    async def opened(self, backend: Backend) -> None:
        """Make the app's event handlers known, as a worker does at its start; called by the connection."""
        if (declared := self.app.handles) is not None:
            from naq.events.handling import register

            await register(backend, self.config, list(declared.all.values()))

    def before(self) -> None:
        """Something is about to be enqueued; called by the connection.

        Raises:
            AssertionError: inline, by a job within too many others.
        """
        if self.inline and _depth.get() >= DEEPEST:
            raise AssertionError(
                f"{DEEPEST} jobs run within each other, inline, and the last enqueues another: a task that enqueues "
                "itself for ever? Without inline, drain(limit=...) runs as many as you like"
            )

    async def after(self, stored: Sequence[Stored]) -> None:
        """Take note of what was enqueued, and run it where `inline` says so; called by the connection."""
        self._stored += stored
        if not self._inline or self._clock is None:
            return
        token = _depth.set(_depth.get() + 1)
        try:
            backend = await self.stage.connect()
            ids = {each.spec.id for each in stored}
            await Drain(self.app, backend, self._clock, at_once=ids).run(TIMEOUT)
        finally:
            _depth.reset(token)

    def _all(self) -> list[Enqueued]:
        return [self._decode(stored) for stored in list(self._stored)]
