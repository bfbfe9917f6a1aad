"""The running job, seen from inside its task."""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar, Token
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NoReturn, ParamSpec, TypeVar, overload

from msgspec import Struct

from naq import clock
from naq.codec.headers import trace_id
from naq.exceptions import ConfigurationError, NaqException, SnoozeJob

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from naq.inside.artifacts import Info
    from naq.inside.attempt import Attempt
    from naq.inside.checkpoint import Upcaster
    from naq.inside.ground import Notes
    from naq.inside.sources import Source

P = ParamSpec("P")
T = TypeVar("T")

_current: Final[ContextVar[Context]] = ContextVar("naq_context")
_INSIDE: Final = "inside"  # where a context keeps what its job has asked for
_RUN, _ATTEMPT, _MOST = 40, 20, (1 << 20) - 1  # bits below the run and the attempt in a fence; the most that has room


class Context(Struct, kw_only=True, eq=False, dict=True):
    """The job that runs here. The worker makes one for every attempt; tasks read it with `current_context()`.

    Attributes:
        job_id, task, queue: which job.
        attempt: which attempt this is, from 1; `max_attempts` is the last one the retry policy allows.
        run: which run of the job, from 1; grows when a person runs a finished job again.
        claims: how often this attempt was handed out to a worker, this time included.
        tags: what the producer tagged the job with.
        enqueued_at: UNIX seconds.
        deadline: `naq.clock.monotonic` seconds at which the attempt times out, or None.
        is_cancelled: whether somebody cancelled the job. A coroutine is cancelled as well; a thread has to look.
        parent, root: the job that enqueued this one, and the first of that line; empty where there is none.
        headers: all that travels beside the job's arguments: tags and trace context as they are on the wire, and what
            middleware added.
        trace: the W3C trace context (``traceparent``) of this attempt, where somebody traces it; else that of the
            enqueue, or empty.
        links: the same of the jobs that it waited for, where middleware wants them (`Middleware.wants_links`).
        has_notes: whether the job has asked for any of what is below; for workers, which then write the last of it.
    """

    job_id: str
    task: str
    queue: str = "default"
    attempt: int = 1
    max_attempts: int = 1
    run: int = 1
    claims: int = 1
    tags: dict[str, str] = {}
    enqueued_at: float = 0.0
    deadline: float | None = None
    is_cancelled: bool = False
    parent: str = ""
    root: str = ""
    headers: dict[str, str] = {}
    trace: str = ""
    links: list[str] = []
    has_notes: bool = False

    @property
    def logger(self) -> JobLogger:
        """A logger named ``naq.task.<task>`` whose records carry job_id, task, queue, attempt and, if any, trace_id."""
        fields: dict[str, str | int] = {
            "job_id": self.job_id, "task": self.task, "queue": self.queue, "attempt": self.attempt,
        }  # fmt: skip
        if self.trace:
            fields["trace_id"] = trace_id(self.trace)
        return JobLogger(logging.getLogger(f"naq.task.{self.task}"), fields)

    def remaining(self) -> float | None:
        """Seconds until the attempt times out, never below 0; None where it has no timeout."""
        return None if self.deadline is None else max(0.0, self.deadline - clock.monotonic())

    @property
    def fence(self) -> int:
        """A number that is higher for every claim of the job: what a later one wrote, an earlier one must not touch.

        It holds `run`, `attempt` and `claims`, in that order, and fits into 63 bits. docs/inside.md has the SQL.
        """
        return (self.run << _RUN) | (min(self.attempt, _MOST) << _ATTEMPT) | min(self.claims, _MOST)

    def progress(self, value: float | None = None, message: str | None = None, *, percent: float | None = None) -> None:
        """Say how far the job has come: from 0 to 1, or in percent; `message` says what it does. Never waits.

        Within an attempt it never falls: a lower value changes nothing. What comes too fast is coalesced
        (`progress_delta`, `progress_interval`); the last of it is always written.

        Raises:
            ConfigurationError: it is out of range.
        """
        if percent is not None:
            value = percent / 100
        if value is not None and not 0.0 <= value <= 1.0:
            raise ConfigurationError(f"progress is {value!r}: use 0 to 1, or percent= from 0 to 100")
        self._inside.notes.progress(value, message)

    def record_metric(self, name: str, value: float) -> None:
        """Keep a number with the job: rows read, seconds waited. Never waits; `job.metrics()` reads them.

        Raises:
            ConfigurationError: it is no name, or no finite number.
        """
        self._inside.metric(name, value)

    def snooze(self, delay: float | timedelta, reason: str = "") -> NoReturn:
        """End here, and begin again after `delay`; the attempt does not count. Raises `SnoozeJob`, always."""
        raise SnoozeJob(delay.total_seconds() if isinstance(delay, timedelta) else delay, reason)

    async def checkpoint(self, value: Any, *, version: int = 1) -> None:
        """Keep `value` (what JSON carries) for the next attempt, in place of the last; durable when this returns.

        `version` counts the forms that the value has had (see `restore`).

        Raises:
            SerializationError: it has no JSON form, or is over `max_payload`.
            LeaseLost: an attempt that was claimed later has left one already.
        """
        await self._inside.checkpoint(value, version)

    def checkpoint_sync(self, value: Any, *, version: int = 1) -> None:
        """`checkpoint` for plain functions."""
        self._inside.checkpoint_sync(value, version)

    @overload
    async def restore(
        self, type_: type[T], /, *, version: int = 1, upcast: Mapping[int, Upcaster] | None = None
    ) -> T | None: ...
    @overload
    async def restore(
        self, type_: Any = Any, /, *, version: int = 1, upcast: Mapping[int, Upcaster] | None = None
    ) -> Any: ...
    async def restore(
        self, type_: Any = Any, /, *, version: int = 1, upcast: Mapping[int, Upcaster] | None = None
    ) -> Any:
        """What an earlier attempt left with `checkpoint`, as a `type_`; None where there is nothing.

        An older version is made a newer one by `upcast`: for each version, what makes its value (plain JSON) that of
        the next.

        Raises:
            SerializationError: it is newer than `version`, an upcaster is missing, or it is not of the type.
        """
        return await self._inside.restore(type_, version, upcast or {})

    @overload
    def restore_sync(
        self, type_: type[T], /, *, version: int = 1, upcast: Mapping[int, Upcaster] | None = None
    ) -> T | None: ...
    @overload
    def restore_sync(
        self, type_: Any = Any, /, *, version: int = 1, upcast: Mapping[int, Upcaster] | None = None
    ) -> Any: ...
    def restore_sync(
        self, type_: Any = Any, /, *, version: int = 1, upcast: Mapping[int, Upcaster] | None = None
    ) -> Any:
        """`restore` for plain functions."""
        return self._inside.restore_sync(type_, version, upcast or {})

    async def artifact(self, name: str, source: Source, *, media_type: str | None = None) -> Info:
        """Keep a file with the job: bytes, a `Path`, a binary file, or what gives bytes, also asynchronously.

        It is stored in chunks as it comes. `media_type`: such as ``text/csv`` (default: by its name). One of the same
        name is replaced. It is kept as long as records are.

        Raises:
            PayloadTooLarge: it is over `max_artifact`; nothing of it is kept.
            ConfigurationError: the name is not safe for a file, or `source` gives no bytes.
        """
        return await self._inside.artifact(name, source, media_type)

    def artifact_sync(self, name: str, source: Source, *, media_type: str | None = None) -> Info:
        """`artifact` for plain functions."""
        return self._inside.artifact_sync(name, source, media_type)

    @overload
    async def step(self, name: str, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    @overload
    async def step(self, name: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    async def step(self, name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Call ``function(*args, **kwargs)`` once for all attempts of the job: later ones get what it returned.

        The result is stored before it is returned, as JSON, and has the type that the function is annotated to return.
        A plain function runs in a thread. A second step of the same name is another one (``name#2``), so steps must
        come in the same order in every attempt, or have names of their own.

        Raises:
            SerializationError: what it returned has no JSON form, or is over `max_result`.
        """
        return await self._inside.step(name, function, args, kwargs)

    def step_sync(self, name: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """`step` for plain functions."""
        return self._inside.step_sync(name, function, args, kwargs)

    async def sleep(
        self,
        delay: float | timedelta | None = None,
        *,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
    ) -> None:
        """Wait without holding a slot: the job ends here, comes back after that time, and goes on behind this.

        Everything before it runs again then, but for steps. Raises `SnoozeJob`, which must not be swallowed.

        Raises:
            ConfigurationError: no time is given, or none that can be.
        """
        await self._inside.sleep(delay, days=days, hours=hours, minutes=minutes, seconds=seconds)

    def sleep_sync(
        self,
        delay: float | timedelta | None = None,
        *,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
    ) -> None:
        """`sleep` for plain functions."""
        self._inside.sleep_sync(delay, days=days, hours=hours, minutes=minutes, seconds=seconds)

    @overload
    async def wait_for_event(
        self, name: str, type_: type[T], /, *, match: str = "", timeout: float | timedelta | None = None
    ) -> T: ...
    @overload
    async def wait_for_event(
        self, name: str, type_: Any = Any, /, *, match: str = "", timeout: float | timedelta | None = None
    ) -> Any: ...
    async def wait_for_event(
        self, name: str, type_: Any = Any, /, *, match: str = "", timeout: float | timedelta | None = None
    ) -> Any:
        """The data of the next event `name` (docs/events.md), as a `type_`; waits without holding a slot, as `sleep`.

        Events count from when the job first waits. `match`: only one that was published with this key.

        Raises:
            TimeoutError: it did not come within `timeout` (default: waits for ever). Later attempts see that, too.
            ConfigurationError: it is no name of an event.
        """
        return await self._inside.wait_for_event(name, type_, match, timeout)

    @overload
    def wait_for_event_sync(
        self, name: str, type_: type[T], /, *, match: str = "", timeout: float | timedelta | None = None
    ) -> T: ...
    @overload
    def wait_for_event_sync(
        self, name: str, type_: Any = Any, /, *, match: str = "", timeout: float | timedelta | None = None
    ) -> Any: ...
    def wait_for_event_sync(
        self, name: str, type_: Any = Any, /, *, match: str = "", timeout: float | timedelta | None = None
    ) -> Any:
        """`wait_for_event` for plain functions."""
        return self._inside.wait_for_event_sync(name, type_, match, timeout)

    @property
    def _inside(self) -> Attempt:
        """What does all that; made when it is first asked for, so that other jobs pay nothing."""
        own: dict[str, Attempt] = vars(self)
        found = own.get(_INSIDE)
        if found is None:
            from naq.inside.attempt import Attempt

            found = own.setdefault(_INSIDE, Attempt(self))  # of two threads at once, one wins
            self.has_notes = True
        return found


class JobLogger(logging.LoggerAdapter[logging.Logger]):
    """Adds the job's fields to every record, beside whatever ``extra`` the call brings."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Merge the fields; the call's own win. The standard adapter drops those before Python 3.13."""
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


def current_context() -> Context:
    """The context of the job that runs here: in its coroutine, what that awaits or starts, or its thread.

    Raises:
        NaqException: no job runs here.
    """
    context = _current.get(None)
    if context is None:
        raise NaqException(
            "no job runs here: current_context() works inside a task that a worker runs. "
            "Threads that a task starts by itself need contextvars.copy_context().run(...)"
        )
    return context


def find_context() -> Context | None:
    """`current_context`, or None outside a job."""
    return _current.get(None)


def notes_of(context: Context) -> Notes:
    """What takes the notes of the attempt that `context` is of; for workers."""
    return context._inside.notes  # pyright: ignore[reportPrivateUsage]


def set_context(context: Context) -> Token[Context]:
    """Make `context` current in this `contextvars` context; for workers. `reset_context` undoes it."""
    return _current.set(context)


def reset_context(token: Token[Context]) -> None:
    """What was current before the `set_context` that returned `token`."""
    _current.reset(token)
