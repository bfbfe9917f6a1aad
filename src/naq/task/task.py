"""A task: call it here, or enqueue it to run elsewhere. Typed by the function's own parameters and result."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from typing import Any, Final, Generic, ParamSpec, Protocol, TypeVar, Unpack, cast, overload

from naq import clock, sync
from naq.codec.codecs import get_codec
from naq.codec.streamed import Streamed, is_stream
from naq.connections import Host, on_bridge
from naq.context import Context
from naq.exceptions import ConfigurationError
from naq.handle import Job
from naq.limits import pauses
from naq.task.call import Call, send, send_built, send_one, send_one_sync, send_sync
from naq.task.callbacks import Callbacks, OnComplete, OnFailure, OnRetry, OnStart, Reply
from naq.task.options import JobOptions, JobSettings, TaskOptions, read_job_options
from naq.task.plan import Plan
from naq.task.versions import U, Versions

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
_Start = TypeVar("_Start", bound=OnStart)
_Failure = TypeVar("_Failure", bound=OnFailure)
_Retry = TypeVar("_Retry", bound=OnRetry)
_Complete = TypeVar("_Complete", bound=OnComplete)


class Sender(Generic[P, R]):
    """What a task and a task with options have in common: making jobs."""

    def __init__(self, host: Host, plan: Plan) -> None:
        self._host: Final = host
        self._plan: Final = plan

    async def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """Store one job that calls the task with these arguments; it is durable when this returns.

        Raises:
            SerializationError: the arguments do not fit the task's parameters, or cannot be encoded.
            PayloadTooLarge: they, or the headers, are over the limit.
            NaqBackpressureError: the backend is full.
            NaqConnectionError: not known to be stored within `publish_timeout` (doing it again with the same
                `job_id` is safe).
        """
        plan, host, now = self._plan, self._host, clock.now()
        if host.around_enqueue is not None or plan.gated:
            return await send_one(host, Call(plan, args, kwargs))
        spec = plan.build(args, kwargs, now)
        if spec.blocked:
            return await send_built(host, Call(plan, args, kwargs), spec, now)
        backend = await host.connect()
        (stored,) = await backend.enqueue((spec,))
        return Job.of(stored.job_id, host, plan.decode, stored.duplicate, Call(plan, args, kwargs), now)

    def enqueue_sync(self, *args: P.args, **kwargs: P.kwargs) -> Job[R]:
        """`enqueue` for code without an event loop; safe in threads (see `naq.sync`).

        Raises:
            ConfigurationError: an event loop runs in this thread.
            NaqException: as `enqueue`.
        """
        return send_one_sync(self._host, Call(self._plan, args, kwargs), instead="await task.enqueue(...)")

    def call(self, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        """The same call, not made yet: for `enqueue_many`."""
        return Call(self._plan, args, kwargs)

    async def enqueue_many(self, calls: Iterable[Call[R]]) -> list[Job[R]]:
        """Store many jobs of this task in one go; handles in the same order.

        Options of a call that was made with some of its own hold for that call; all others get this object's.
        Everything is checked and encoded before anything is sent.

        Raises:
            ConfigurationError: a call of another task, or one `job_id` for several calls.
            NaqException: as `enqueue`; a note on it says which call it was.
        """
        return await send(self._host, self._planned(list(calls)))

    def enqueue_many_sync(self, calls: Iterable[Call[R]]) -> list[Job[R]]:
        """`enqueue_many` for code without an event loop; safe in threads.

        Raises:
            ConfigurationError: as `enqueue_many`, or an event loop runs in this thread.
            NaqException: as `enqueue_many`.
        """
        return send_sync(self._host, self._planned(list(calls)), instead="await task.enqueue_many(...)")

    def _planned(self, calls: list[Call[R]]) -> list[Call[R]]:
        plan = self._plan
        for call in calls:
            if call.plan.signature is not plan.signature:
                raise ConfigurationError(
                    f"{plan.task}.enqueue_many got a call of {call.plan.task}; use app.enqueue_many for a mixture"
                )
        if plan.is_bare:
            return calls
        if plan.options.job_id is not None and len(calls) > 1:
            raise ConfigurationError(
                f"{plan.task}: {len(calls)} calls cannot share the job_id {plan.options.job_id!r}; give each its own: "
                "[task.options(job_id=...).call(...), ...]"
            )
        return [Call(plan, call.args, call.kwargs) if call.plan.is_bare else call for call in calls]


class Configured(Sender[P, R]):
    """A task with options for the jobs that are enqueued through it; made by ``task.options(...)``."""

    def __init__(self, task: Task[P, R], settings: Mapping[str, Any]) -> None:
        options = read_job_options(f"{task.name}.options", settings)
        super().__init__(
            task.host, Plan(task.name, task.signature, task.declared, options, task.host.config, task.func, task.host)
        )
        self._task: Final = task
        self._settings: Final = settings

    def options(self, **settings: Unpack[JobSettings]) -> Configured[P, R]:
        """The same task with `settings` over those given before; a new object, this one stays as it is.

        None takes an option back; tags are added; `delay` replaces a `run_at` given before, and the reverse.

        Raises:
            ConfigurationError: an option that does not exist, or a value it cannot take. Nothing was stored.
        """
        before = dict(self._settings)
        for name, other in (("delay", "run_at"), ("run_at", "delay")):
            if settings.get(name) is not None:
                before.pop(other, None)
        merged = {**before, **settings}
        if isinstance(tags := settings.get("tags"), Mapping):
            merged["tags"] = {**(before.get("tags") or {}), **tags}
        return Configured(self._task, merged)


class Task(Sender[P, R]):
    """A registered function.

    Attributes:
        name: what it is called on the wire and everywhere else.
        func: the function itself.
        signature: its parameters and result, with prepared encoders and decoders.
        declared: its options as ``@app.task`` gave them.
        is_async: whether calling it gives a coroutine.
        streams: whether that, or what it awaits to, is a generator whose items are streamed (docs/streaming.md).
        in_process: whether its jobs run in child processes.
        limited: whether a worker has to ask before it runs a job (docs/limits.md).
        host: the app it belongs to.
        versions: that of its parameters, and how older ones are read (docs/versions.md).
        callbacks: what is called when its jobs start and end (docs/callbacks.md).
    """

    __name__: str

    def __init__(self, name: str, func: Callable[P, Any], declared: TaskOptions, host: Host) -> None:
        # First, so that nothing the function carries can replace what follows.
        functools.update_wrapper(self, func)
        self.name: Final = name
        self.func: Final[Callable[P, Any]] = func
        self.signature: Final = get_codec(host.config.codec).signature(func, name)
        self.declared: Final = declared
        self.versions: Final = Versions(name, self.signature, declared.version)
        self.is_async: Final = _is_async(func)
        self.streams: Final = is_stream(func)
        self.in_process: Final = declared.executor == "process"
        self.limited: Final = declared.limits is not None and declared.limits.at_run_time
        self.host: Final = host
        self.callbacks: Final = Callbacks(f"task {name}")
        super().__init__(host, Plan(name, self.signature, declared, JobOptions(), host.config, func, host))

    def __repr__(self) -> str:
        return f"<Task {self.name}>"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R | Coroutine[Any, Any, R]:
        """Call the function here and now, as if it were no task."""
        return self.func(*args, **kwargs)

    def options(self, **settings: Unpack[JobSettings]) -> Configured[P, R]:
        """This task with `settings` for the jobs enqueued through the result (see `JobSettings`).

        Options: queue, priority, retry, retries, timeout, tags, delay, run_at, job_id, expires_in, expires_at,
        depends_on, on_parent_failure, wait_for.

        Raises:
            ConfigurationError: an option that does not exist, or a value it cannot take. Nothing was stored.
        """
        return Configured(self, settings)

    def upcast(self, from_version: int, /) -> Callable[[U], U]:
        """Say how jobs that were enqueued with the parameters of `from_version` are read: ``@task.upcast(1)``.

        The function has the parameters that the task had then, and returns the arguments of the next version: a dict
        by name, or a tuple by position. One for each version; they are applied one after the other. It must be pure.

        Raises:
            ConfigurationError: the task is not of a higher version (``@app.task(version=...)``), that one has an
                upcaster already, or the function is a coroutine function or has parameters that cannot travel.
        """

        def add(func: U, /) -> U:
            return self.versions.add(from_version, func)

        return add

    async def pause(self, why: str = "") -> bool:
        """Let workers start no job of this task until `resume`; what runs goes on. Whether it was not paused before.

        Other tasks of its queue go on (docs/limits.md). `why` is for who asks later: ``naq jobs why`` shows it.

        Raises:
            NaqConnectionError: the backend cannot be reached; nothing is paused.
        """
        return await self._pause(self.host, why)

    def pause_sync(self, why: str = "") -> bool:
        """`pause` for code without an event loop; safe in threads."""
        return sync.run("await task.pause()", self._pause, on_bridge(self.host), why)

    async def resume(self) -> bool:
        """End a pause, whether there was one; jobs that were put back come again within 30 s. Raises as `pause`."""
        return await self._resume(self.host)

    def resume_sync(self) -> bool:
        """`resume` for code without an event loop; safe in threads."""
        return sync.run("await task.resume()", self._resume, on_bridge(self.host))

    async def _pause(self, host: Host, why: str) -> bool:
        return await pauses.pause_task(await host.connect(), self.name, by=pauses.who(), why=why)

    async def _resume(self, host: Host) -> bool:
        return await pauses.resume_task(await host.connect(), self.name)

    def on_start(self, callback: _Start, /) -> _Start:
        """Call ``callback(context)`` before every attempt; also a decorator, as the four below.

        Raises:
            ConfigurationError: it does not take that.
        """
        return self.callbacks.add("on_start", callback)

    def on_success(self, callback: Callable[[Context, R], Reply], /) -> Callable[[Context, R], Reply]:
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


class AsyncTask(Task[P, R]):
    """A task whose function is a coroutine function."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Call the function here: a coroutine to await."""
        return cast("Coroutine[Any, Any, R]", self.func(*args, **kwargs))


class SyncTask(Task[P, R]):
    """A task whose function is a plain one; a worker runs it in a thread."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function here and now."""
        return cast("R", self.func(*args, **kwargs))


class TaskDecorator(Protocol):
    """What ``@app.task(...)`` with options returns: it makes a function a task."""

    # The overlap is meant: a coroutine function is a plain one as well, and the first that fits wins.
    @overload
    def __call__(self, func: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncTask[P, R]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def __call__(self, func: Callable[P, AsyncIterator[T]], /) -> AsyncStreamTask[P, T]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def __call__(self, func: Callable[P, Iterator[T]], /) -> StreamTask[P, T]: ...  # pyright: ignore[reportOverlappingOverload]
    @overload
    def __call__(self, func: Callable[P, R], /) -> SyncTask[P, R]: ...


class AsyncStreamTask(Task[P, Streamed[T]], Generic[P, T]):
    """A task whose function is an asynchronous generator."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Call the function here: an iterator over its items."""
        return cast("AsyncIterator[T]", self.func(*args, **kwargs))


class StreamTask(Task[P, Streamed[T]], Generic[P, T]):
    """A task whose function is a plain generator; a worker runs it in a thread."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Call the function here: an iterator over its items."""
        return cast("Iterator[T]", self.func(*args, **kwargs))


def make_task(name: str, func: Callable[..., Any], declared: TaskOptions, host: Host) -> Task[..., Any]:
    """`func` as a task of the kind that it is."""
    if _is_async(func):
        if declared.executor == "thread":
            raise ConfigurationError(
                f"task {name}: a coroutine function cannot run in a thread; make it a plain def, or leave executor out"
            )
        kind = AsyncStreamTask[..., Any] if is_stream(func) else AsyncTask[..., Any]
        return kind(name, func, declared, host)
    if is_stream(func):
        return StreamTask[..., Any](name, func, declared, host)
    return SyncTask[..., Any](name, func, declared, host)


def _is_async(func: Callable[..., Any]) -> bool:
    if inspect.isasyncgenfunction(func):
        return True
    return inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(getattr(func, "__call__", None))  # noqa: B004
