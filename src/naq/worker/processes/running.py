"""Running one job in a child: arguments in, an encoded result or a ruling out."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final

from msgspec import Raw

from naq import clock
from naq.backends.stacks import Frame
from naq.codec.headers import continue_trace
from naq.context import Context, set_context
from naq.exceptions import ConfigurationError
from naq.inside.ground import set_ground
from naq.retry import Retry
from naq.streaming.writing import stream, stream_sync
from naq.worker.arguments import read_arguments
from naq.worker.processes.ground import ChildGround
from naq.worker.processes.limits import rss
from naq.worker.processes.messages import Began, Ended, Missing, Run, ToWorker
from naq.worker.processes.source import Finder
from naq.worker.ruling import Ruling, Then, as_data, rule
from naq.worker.stacks.frames import of_task, of_thread, shown, within

if TYPE_CHECKING:
    from naq.task import Task


class Running:
    """Runs jobs, one at a time, in the thread that calls `run`.

    Attributes:
        busy: whether one runs.
    """

    def __init__(self, finder: Finder, send: Callable[[ToWorker], None], *, max_result: int) -> None:
        self.busy = False
        self._finder = finder
        self._send = send
        self._max_result = max_result
        self._lock = threading.Lock()
        self._context: Context | None = None
        self._interrupt: Callable[[], object] | None = None
        self._thread = threading.get_ident()
        self._work: asyncio.Task[Any] | None = None  # of a coroutine

    def run(self, job: Run) -> None:
        """Run `job` and tell the worker how it ended. What its code raises is data, SystemExit included."""
        context = job.context
        context.deadline = None if job.timeout is None else clock.monotonic() + job.timeout
        self.busy = True
        with self._lock:
            self._context = context
        try:
            self._send(Began())
            try:
                task = self._finder.find(context.task, job.address)
            except ConfigurationError as error:
                self._send(Missing(str(error)))
                return
            self._send(self._ended(task, job))
        finally:
            with self._lock:
                self._context = self._interrupt = None
            self.busy = False

    def cancel(self, job_id: str) -> None:
        """Make the job see that it is to end; from another thread."""
        with self._lock:
            if self._context is not None and self._context.job_id == job_id:
                self._context.is_cancelled = True
                if self._interrupt is not None:
                    self._interrupt()

    def look(self) -> list[Frame]:
        """The calls of the job that have not returned; from another thread."""
        if not self.busy:
            return []
        work = self._work
        return shown(within(of_thread(self._thread) if work is None else of_task(work, self._thread), _CALLS))

    def _ended(self, task: Task[..., Any], job: Run) -> Ended:
        attempt = job.context.attempt
        try:
            values = {place: Raw(value) for place, value in job.values.items()}
            args, kwargs = read_arguments(task, job.codec, Raw(job.args), Raw(job.kwargs), values, job.version)
        except Exception as error:  # noqa: BLE001  validators of the user's types may raise anything; it becomes the record
            return _refused(error, attempt)
        try:
            value = copy_context().run(self._call, task, args, kwargs, job.context)
        except BaseException as error:  # noqa: BLE001  whatever a task raises is its job's outcome, SystemExit included
            declared = task.declared.retry
            policy = declared if job.retry is None else Retry.from_wire(job.retry, declared)
            ruling = rule(error, policy, task=task.name, job_id=job.context.job_id, attempt=attempt)
            return Ended(None, ruling, rss())
        try:
            result = task.signature.encode_result(value, limit=self._max_result)
        except Exception as error:  # noqa: BLE001  encoders of the user's types may raise anything; it becomes the record
            return _refused(error, attempt)
        return Ended(bytes(result), None, rss())

    def _call(self, task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], context: Context) -> Any:
        set_context(context)
        if context.trace:
            continue_trace(context.trace)
        set_ground(ChildGround(task.host, self._send))
        if not task.is_async:
            if task.streams:
                return stream_sync(task.func, args, kwargs, task.signature, context)
            return task.func(*args, **kwargs)
        return asyncio.run(self._await(task, args, kwargs, context))

    async def _await(
        self, task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], context: Context
    ) -> Any:
        loop, work = asyncio.get_running_loop(), asyncio.current_task()
        assert work is not None
        with self._lock:
            self._work = work
            self._interrupt = lambda: loop.call_soon_threadsafe(work.cancel)
            if context.is_cancelled:
                self._interrupt()
        try:
            if task.streams:
                return await stream(task.func(*args, **kwargs), task.signature, context)
            return await task.func(*args, **kwargs)
        finally:
            with self._lock:
                self._work = self._interrupt = None
            await _disconnect(task)


#: What calls the task's code.
_CALLS: Final = frozenset({Running._call.__code__, Running._await.__code__})  # pyright: ignore[reportPrivateUsage]


async def _disconnect(task: Task[..., Any]) -> None:
    """Close the app's connection, if the job opened one: it belongs to this job's event loop."""
    from naq.app import Naq

    if isinstance(task.host, Naq):
        with suppress(ConfigurationError):  # it is another loop's, of a thread that lives longer
            await task.host.close()


def _refused(error: Exception, attempt: int) -> Ended:
    """Arguments that do not fit and results that cannot be stored: trying again would change nothing."""
    return Ended(None, Ruling(Then.DISCARD, as_data(error, attempt)), rss())
