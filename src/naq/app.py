"""The app: configuration, a registry of tasks, and one connection to where jobs live."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Self, TypeVar, Unpack, cast, overload

from naq.backends import from_url
from naq.codec.caution import caution
from naq.codec.codecs import get_codec
from naq.codec.sealing import seal_for
from naq.codec.signature import Signature
from naq.config import Config, Settings, hint
from naq.config.load import load_from
from naq.events.methods import EventMethods
from naq.exceptions import ConfigurationError, UnknownTask
from naq.flow.methods import Methods
from naq.handle import Job
from naq.job import JobRecord
from naq.names import check_token
from naq.task import AsyncStreamTask, AsyncTask, Call, StreamTask, SyncTask, Task, TaskDecorator, TaskSettings
from naq.task.call import send, send_sync
from naq.task.callbacks import Callbacks, OnComplete, OnFailure, OnRetry, OnStart, OnSuccess
from naq.task.naming import name_task
from naq.task.options import read_task_options
from naq.task.task import make_task

if TYPE_CHECKING:
    from naq.backends.base import Backend
    from naq.connections import AroundEnqueue, Connection, Extension
    from naq.middleware import Middleware
    from naq.middleware.chain import AroundRun
    from naq.scheduler.handle import Schedules
    from naq.scheduler.recurring import Declarations, ScheduleDecorator
    from naq.schedules.timetable import Details

P = ParamSpec("P")
R = TypeVar("R")
_Start = TypeVar("_Start", bound=OnStart)
_Success = TypeVar("_Success", bound=OnSuccess)
_Failure = TypeVar("_Failure", bound=OnFailure)
_Retry = TypeVar("_Retry", bound=OnRetry)
_Complete = TypeVar("_Complete", bound=OnComplete)


class Naq(Methods, EventMethods):
    """An app. Make one per program, register tasks on it, enqueue through them.

    ::

        app = Naq("shop")

        @app.task(queue="mail", retries=3, timeout=30)
        async def send(to: str) -> int: ...

        job = await send.enqueue("a@b")
        assert await job.result(timeout=10) == 1

    The connection is opened by the first use and belongs to that event loop until `close`. ``async with app:`` opens
    it at the start, so that an unreachable broker shows at once, and closes it at the end.

    Args:
        name: what the app is called; also its namespace, unless a setting says otherwise.
        middleware: what runs around every enqueue and every attempt, outermost first (docs/middleware.md).
        settings: any field of `naq.Config`; they win over ``NAQ_*`` variables, which win over ``[tool.naq]``.

    Raises:
        ConfigurationError: an unknown setting or an invalid value, with its source; or what a setting needs is not
            installed.
    """

    def __init__(
        self, name: str = "default", *, middleware: Iterable[Middleware] = (), **settings: Unpack[Settings]
    ) -> None:
        self.name: Final = check_token("app", name)
        self._config: Final = load_from(cast("Mapping[str, object]", settings), defaults={"namespace": name})
        get_codec(self._config.codec)  # what is missing is missed here, not at the first job
        seal_for(self._config)
        caution(self._config, "client")
        self._tasks: Final[dict[str, Task[..., Any]]] = {}
        self.callbacks: Final = Callbacks(f"app {name}")
        self._declarations: Declarations | None = None
        self._middleware: list[Middleware] = []
        self._around_enqueue: AroundEnqueue | None = None
        self._around_run: AroundRun | None = None
        self.use(*middleware)
        self.extensions: Final[list[Extension]] = []  # what is built on the app, such as an outbox; workers host it
        self._backend: Backend | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # the one that owns the connection
        self._open_on: asyncio.AbstractEventLoop | None = None  # the same, once it is open
        self._opening: asyncio.Lock | None = None
        self._stand_in: Connection | None = None  # what is used instead, under test
        self._claiming: Final = threading.Lock()  # two threads' loops may ask for the connection at once

    def __repr__(self) -> str:
        return f"<Naq {self.name!r}: {len(self._tasks)} tasks>"

    @property
    def config(self) -> Config:
        """The settings in force, read when the app was made."""
        return self._config if self._stand_in is None else self._stand_in.config

    @property
    def tasks(self) -> Mapping[str, Task[..., Any]]:
        """The registered tasks by name; read-only, and always current."""
        return MappingProxyType(self._tasks)

    # The overlap is meant: a coroutine function is a plain one as well, and the first that fits wins.
    @overload
    def task(self, func: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def task(self, func: Callable[P, AsyncIterator[R]], /) -> AsyncStreamTask[P, R]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def task(self, func: Callable[P, Iterator[R]], /) -> StreamTask[P, R]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def task(self, func: Callable[P, R], /) -> SyncTask[P, R]: ...
    @overload
    def task(self, /, **settings: Unpack[TaskSettings]) -> TaskDecorator: ...
    def task(self, func: Callable[..., Any] | None = None, /, **settings: Any) -> Task[..., Any] | TaskDecorator:
        """Register a function as a task: ``@app.task``, or ``@app.task(queue=..., ...)`` with options.

        Options (see `naq.task.TaskSettings`): name, queue, priority, retry, retries, timeout, tags, executor,
        and the callbacks on_start, on_success, on_failure, on_retry, on_complete.

        Raises:
            ConfigurationError: an unknown option or invalid value, a function that no worker could find, parameters
                that cannot be encoded, or a name that is taken.
        """
        if func is not None:
            return self._register(func, settings)

        def decorate(func: Callable[..., Any], /) -> Task[..., Any]:
            return self._register(func, settings)

        # Checked here as well, so that the error points at the line of the option.
        read_task_options("@app.task", {name: value for name, value in settings.items() if name != "name"})
        return cast("TaskDecorator", decorate)

    def _register(self, func: Callable[..., Any], settings: Mapping[str, Any]) -> Task[..., Any]:
        if isinstance(func, Task):
            raise ConfigurationError(f"{func!r} is a task already; one @app.task is enough")
        name = name_task(func, settings.get("name"))
        options = {name: value for name, value in settings.items() if name != "name"}
        if (other := self._tasks.get(name)) is not None:
            raise ConfigurationError(
                f"there are two tasks {name!r}: {other.func!r} and {func!r}; name one of them: @app.task(name=...)"
            )
        task = make_task(name, func, read_task_options(f"task {name}", options), self)
        task.callbacks.add_all(settings)
        self._tasks[name] = task
        return task

    def cron(
        self,
        expression: str,
        /,
        *,
        name: str | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **details: Unpack[Details],
    ) -> ScheduleDecorator:
        """Run a task by a cron expression: ``@app.cron("*/5 * * * *", tz="Europe/Berlin")`` on a task or a function.

        Workers bring the schedule into being when they start (docs/schedules.md). `name` is what it is called (default:
        the task's name), `args` and `kwargs` what the task is called with; details: tz, start, end, repeat, jitter,
        missed, overlap (see `naq.schedules.timetable.Details`).

        Raises:
            ConfigurationError: an expression or option that cannot be, or a name that is taken.
            SerializationError: the task does not take these arguments.
        """
        return self.declarations.decorator(name, args, kwargs, {**details, "cron": expression})

    def every(
        self,
        interval: float | timedelta,
        /,
        *,
        name: str | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        **details: Unpack[Details],
    ) -> ScheduleDecorator:
        """Run a task every `interval` (whole seconds, or a timedelta): ``@app.every(30)``; all else as `cron`."""
        return self.declarations.decorator(name, args, kwargs, {**details, "interval": interval})

    @property
    def declarations(self) -> Declarations:
        """The schedules that the code declares; workers read them when they start."""
        if self._declarations is None:
            from naq.scheduler.recurring import Declarations

            self._declarations = Declarations(lambda func: self._register(func, {}))
        return self._declarations

    @property
    def declares(self) -> bool:
        """Whether the code declares any schedule."""
        return self._declarations is not None and bool(self._declarations.all)

    @property
    def schedules(self) -> Schedules:
        """All schedules where the app's jobs live, to look at, make and change while everything runs."""
        from naq.scheduler.handle import Schedules

        return Schedules(self)

    def use(self, *middleware: Middleware) -> None:
        """Add middleware within that which is there already. Workers take what there is when they start.

        Raises:
            ConfigurationError: it is no `naq.middleware.Middleware`.
        """
        if middleware:
            from naq.middleware import chain

            self._middleware += [chain.check(each) for each in middleware]
            self._around_enqueue = chain.around_enqueue(self._middleware)
            self._around_run = chain.around_run(self._middleware)

    @property
    def around_enqueue(self) -> AroundEnqueue | None:
        """The middleware around enqueues, put together; None without any."""
        return self._around_enqueue

    @property
    def around_run(self) -> AroundRun | None:
        """The middleware around attempts, put together; None without any."""
        return self._around_run

    @property
    def wants_links(self) -> bool:
        """Whether any of it wants `Context.links`."""
        return any(each.wants_links for each in self._middleware)

    def on_start(self, callback: _Start, /) -> _Start:
        """Call ``callback(context)`` before every attempt of every task's jobs; also a decorator, as the four below.

        Raises:
            ConfigurationError: it does not take that.
        """
        return self.callbacks.add("on_start", callback)

    def on_success(self, callback: _Success, /) -> _Success:
        """Call ``callback(context, result)`` for every job that succeeded."""
        return self.callbacks.add("on_success", callback)

    def on_failure(self, callback: _Failure, /) -> _Failure:
        """Call ``callback(context, error)`` for every job that failed for good."""
        return self.callbacks.add("on_failure", callback)

    def on_retry(self, callback: _Retry, /) -> _Retry:
        """Call ``callback(context, error, delay)`` for every failed attempt that another follows, `delay` s later."""
        return self.callbacks.add("on_retry", callback)

    def on_complete(self, callback: _Complete, /) -> _Complete:
        """Call ``callback(context, record)`` for every job that ended, whichever way."""
        return self.callbacks.add("on_complete", callback)

    def get_task(self, name: str) -> Task[..., Any]:
        """The task called `name`.

        Raises:
            UnknownTask: there is none; says what is near.
        """
        task = self._tasks.get(name)
        if task is None:
            raise UnknownTask(f"app {self.name!r} has no task {name!r}; {hint(name, self._tasks)}")
        return task

    def job(self, job_id: str) -> Job[Any]:
        """A handle on the job `job_id`, whoever enqueued it. Does not ask whether there is one.

        Raises:
            ConfigurationError: `job_id` cannot be one.
        """
        return Job.of(check_token("job id", job_id), self, self._decode)

    async def enqueue_many(self, calls: Iterable[Call[R]]) -> list[Job[R]]:
        """Store many jobs, of whatever tasks of this app, in one go; handles in the same order.

        Everything is checked and encoded before anything is sent.

        Raises:
            NaqException: as `Task.enqueue`; a note on it says which call it was.
        """
        return await send(self, calls)

    def enqueue_many_sync(self, calls: Iterable[Call[R]]) -> list[Job[R]]:
        """`enqueue_many` for code without an event loop; safe in threads (see `naq.sync`).

        Raises:
            ConfigurationError: an event loop runs in this thread.
            NaqException: as `enqueue_many`.
        """
        return send_sync(self, calls, instead="await app.enqueue_many(...)")

    @property
    def backend(self) -> Backend:
        """Where the jobs live; made by the first use, not opened (see `connect`).

        Raises:
            ConfigurationError: `broker_url` names no backend.
        """
        if self._backend is None:
            self._backend = from_url(self._config)
        return self._backend

    async def connect(self) -> Backend:
        """The backend, open. The first call opens it, later ones return at once; calls at the same time wait for one.

        Raises:
            NaqConnectionError: not reachable within `connect_timeout`; the next call tries again.
            ConfigurationError: the connection belongs to another event loop.
        """
        if self._stand_in is not None:
            return await self._stand_in.connect()
        loop = asyncio.get_running_loop()
        if self._open_on is loop and self._backend is not None:
            return self._backend
        while True:
            lock = self._claim(loop)
            async with lock:
                if self._opening is not lock:
                    continue  # given up while we waited: an opening that failed, or close(); begin again
                if self._open_on is not loop:
                    await self._open()
                    self._open_on = loop
                return self.backend

    async def _open(self) -> None:
        try:
            await self.backend.open(sorted({task.declared.queue for task in self._tasks.values()}))
        except BaseException:
            await self._let_go()
            raise

    async def _let_go(self) -> None:
        backend, self._backend = self._backend, None
        self._loop = self._open_on = self._opening = None
        if backend is not None:
            await backend.close()

    def _claim(self, loop: asyncio.AbstractEventLoop) -> asyncio.Lock:
        with self._claiming:
            if self._loop is not loop and self._loop is not None:
                ended = " (which has ended)" if self._loop.is_closed() else ""
                raise ConfigurationError(
                    f"app {self.name!r} is connected on another event loop{ended}: a connection belongs to the loop "
                    "that opened it. Use one loop (one asyncio.run) for the program, or 'async with app:' in each, "
                    "which closes the connection before the loop ends"
                )
            if self._loop is None or self._opening is None:
                self._loop, self._opening = loop, asyncio.Lock()
            return self._opening

    async def close(self) -> None:
        """Flush and close the connection; idempotent. The app may be used again, on any loop."""
        if self._stand_in is not None:
            await self._stand_in.close()
            return
        if self._loop is None:
            await self._let_go()
            return
        lock = self._claim(asyncio.get_running_loop())
        async with lock:
            if self._opening is lock:
                await self._let_go()

    def connect_through(self, connection: Connection | None) -> Connection | None:
        """Use `connection` and its settings from here on, None: one's own again; returns what was used before.

        For tests (`naq.testing.override`). What is open of the app's own stays so, and is left alone.
        """
        before, self._stand_in = self._stand_in, connection
        return before

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _decode(self, record: JobRecord) -> Any:
        # A handle made from an id alone: typed where the task is known here, plain JSON where it is not.
        task = self._tasks.get(record.task)
        signature = Signature.of(_untyped, record.task) if task is None else task.signature
        return signature.decode_result(record.result)


def _untyped() -> Any:
    """The function whose result may be anything: stands for a task that is not known here."""
