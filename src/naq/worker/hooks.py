"""Calling an app's and its tasks' callbacks. Whatever they do, the job's outcome stays what it is."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from naq import clock
from naq.codec.headers import read_tags
from naq.context import Context, set_context
from naq.exceptions import JobExecutionError
from naq.job import AttemptError, JobRecord, JobState
from naq.task.callbacks import Callbacks, Moment, Reply
from naq.worker.flights import Flight
from naq.worker.outcome import Discarded, Outcome, Retried, Succeeded
from naq.worker.threads import Threads

if TYPE_CHECKING:
    from naq.app import Naq
    from naq.task import Task

log = logging.getLogger("naq.worker")

#: Seconds a callback may take. It is for a line, a counter, a message; what takes longer is a job of its own.
LIMIT = 10.0
#: Seconds that cancelled callbacks get at the very end; they only have to notice.
LAST_WORDS: Final = 0.5
_FAILED: Final = f"{JobExecutionError.__module__}.{JobExecutionError.__qualname__}"


class Hooks:
    """Calls callbacks: coroutine functions on the event loop, plain ones in threads, `at_once` of those at most."""

    def __init__(self, app: Naq, threads: Threads, *, at_once: int) -> None:
        self._app = app
        self._everywhere: Final[Callbacks] = app.callbacks
        self._threads = threads
        self._room = asyncio.Semaphore(at_once)
        self._under_way: Final[set[asyncio.Task[None]]] = set()

    def wanted(self, flight: Flight) -> bool:
        """Whether there is anything to call for this job: asked for every job, so it costs next to nothing."""
        if self._everywhere.used:
            return True
        task = flight.task
        return task.callbacks.used if task is not None else self._find(flight) is not None

    async def begins(self, flight: Flight) -> None:
        """The task is about to be called, as soon as this returns."""
        await self._call_all("on_start", flight)
        if flight.timeout is not None and flight.context is not None:  # the time is the task's alone
            flight.context.deadline = clock.monotonic() + flight.timeout

    async def ended(self, flight: Flight, outcome: Outcome) -> None:
        """The backend has taken `outcome`."""
        match outcome:
            case Succeeded(record):
                if flight.task is not None and self._callbacks("on_success", flight):
                    await self._succeeded(flight, flight.task, record)
            case Discarded(record):
                if record.state is JobState.FAILED:
                    reason = AttemptError(type=_FAILED, message=record.reason, attempt=record.attempt)
                    await self._call_all("on_failure", flight, record.error or reason)
            case Retried(delay, _, error):
                await self._call_all("on_retry", flight, error, delay)
                return
            case _:
                return  # put back, or no job at all: nothing has ended
        await self._call_all("on_complete", flight, record)

    async def close(self) -> int:
        """Stop what is still under way, past its limit or the worker's; how many coroutines do not even end now."""
        for work in self._under_way:
            work.cancel()
        if not self._under_way:
            return 0
        _, stuck = await asyncio.wait(set(self._under_way), timeout=LAST_WORDS)
        return len(stuck)

    async def _succeeded(self, flight: Flight, task: Task[..., Any], record: JobRecord) -> None:
        try:
            value = task.signature.decode_result(record.result)  # what whoever waits for the job gets
        except Exception:  # decoders of the user's types may raise anything; the job has succeeded all the same
            log.exception(
                "the result of job %s of %s cannot be read, so on_success is left out", record.id, flight.name
            )
            return
        await self._call_all("on_success", flight, value)

    def _find(self, flight: Flight) -> Task[..., Any] | None:
        """The task of a job that ended before it was looked up, if it has callbacks."""
        task = self._app.tasks.get(flight.name)
        return task if task is not None and task.callbacks.used else None

    def _callbacks(self, moment: Moment, flight: Flight) -> tuple[Callable[..., Reply], ...]:
        task = flight.task or self._find(flight)
        return (() if task is None else task.callbacks.at(moment)) + self._everywhere.at(moment)

    async def _call_all(self, moment: Moment, flight: Flight, *args: object) -> None:
        callbacks = self._callbacks(moment, flight)
        if not callbacks:
            return
        context = flight.context or _context(flight)
        for callback in callbacks:
            await self._call(moment, callback, (context, *args))

    async def _call(self, moment: Moment, callback: Callable[..., Reply], args: tuple[Any, ...]) -> None:
        if inspect.iscoroutinefunction(callback):
            await self._bounded(moment, callback, args, in_thread=False)
        else:
            async with self._room:
                await self._bounded(moment, callback, args, in_thread=True)

    async def _bounded(
        self, moment: Moment, callback: Callable[..., Reply], args: tuple[Any, ...], *, in_thread: bool
    ) -> None:
        """One callback in a task of its own, so that one that ignores its cancellation is left behind, no more."""
        job_id = args[0].job_id
        work = asyncio.get_running_loop().create_task(self._act(moment, callback, args, in_thread=in_thread))
        self._under_way.add(work)
        work.add_done_callback(self._under_way.discard)
        try:
            done, _ = await asyncio.wait([work], timeout=LIMIT)
        finally:
            work.cancel()  # nothing, where it is done
        if not done:
            log.warning(
                "callback %s %s of job %s takes longer than %g s; going on without it",
                moment,
                _name(callback),
                job_id,
                LIMIT,
            )

    async def _act(
        self, moment: Moment, callback: Callable[..., Reply], args: tuple[Any, ...], *, in_thread: bool
    ) -> None:
        context: Context = args[0]
        set_context(context)
        try:
            if in_thread:
                reply, error = await self._threads.submit(callback, args, {})
                if error is not None:
                    raise error
            else:
                reply = callback(*args)
            if inspect.isawaitable(reply):
                await reply
        except (Exception, SystemExit, KeyboardInterrupt):  # a callback never changes what becomes of the job or worker
            log.exception("callback %s %s of job %s raised", moment, _name(callback), context.job_id)
        except asyncio.CancelledError:
            if (work := asyncio.current_task()) is None or work.cancelling():
                raise
            log.exception("callback %s %s of job %s cancelled itself", moment, _name(callback), context.job_id)
        finally:
            error = None  # its traceback holds this frame, which must not hold it in turn


def _context(flight: Flight) -> Context:
    """The context of a job of which nothing ran."""
    job, envelope = flight.claim.job, flight.envelope
    headers = job.headers or {}
    return Context(
        job_id=job.id,
        task=flight.name,
        queue=job.queue,
        attempt=job.attempt,
        run=job.run,
        tags=read_tags(headers),
        headers=headers,
        enqueued_at=0.0 if envelope is None else envelope.at,
        parent="" if envelope is None else envelope.parent,
        root="" if envelope is None else envelope.root,
    )


def _name(callback: object) -> str:
    return getattr(callback, "__qualname__", None) or repr(callback)
