"""Running a task's code, on the event loop, in a thread or in a child process; and making it end."""

from __future__ import annotations

import asyncio
from typing import Any

from naq import faults
from naq.codec.streamed import Streamed
from naq.context import Context, set_context
from naq.streaming.writing import stream, stream_sync
from naq.task import Task
from naq.worker.flights import Flight, Verdict
from naq.worker.outcome import Outcome, Released
from naq.worker.processes.errors import NO_CHILD, NoChild
from naq.worker.processes.pool import Processes
from naq.worker.threads import Threads


class Runner:
    """Calls tasks. Whoever runs is interrupted through `interrupt`, and by nothing else."""

    def __init__(self, threads: Threads, processes: Processes) -> None:
        self._threads = threads
        self._processes = processes

    async def board(self, flight: Flight) -> Outcome | None:
        """Get a flight that needs one its child process, before its time runs; what it ends in if there is none."""
        try:
            await self._processes.board(flight)
        except NoChild as error:
            return Released(NO_CHILD, str(error))
        return None

    def alight(self, flight: Flight) -> None:
        """Give back a child process that `flight` did not come to use."""
        self._processes.give_back(flight)

    async def run(self, flight: Flight) -> Any:
        """What the task returns; raises what it raises. Must be awaited in the flight's own `asyncio.Task`."""
        task, context = flight.task, flight.context
        assert task is not None
        assert context is not None
        set_context(context)
        if faults.is_armed("run.mid_task"):  # struck from outside, once the task has begun and waits for something
            asyncio.get_running_loop().call_soon(faults.fault, "run.mid_task")
        if task.in_process:
            return await self._processes.run(flight)
        if task.streams:
            return await self._stream(flight, task, context)
        if task.is_async:
            return await task.func(*flight.args, **flight.kwargs)
        flight.waiter = self._threads.submit(task.func, flight.args, flight.kwargs)
        value, error = await flight.waiter
        flight.waiter = None  # it holds the error, whose traceback holds this frame, which holds the flight
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback holds this frame, which must not hold it in turn
        return value

    async def _stream(self, flight: Flight, task: Task[..., Any], context: Context) -> Streamed[Any]:
        """Write what a generator gives to the job's stream; in a thread, where it is a plain one."""
        if task.is_async:
            return await stream(task.func(*flight.args, **flight.kwargs), task.signature, context)
        given = (task.func, flight.args, flight.kwargs, task.signature, context)
        flight.waiter = self._threads.submit(stream_sync, given, {})
        value, error = await flight.waiter
        flight.waiter = None  # as above
        if error is not None:
            try:
                raise error
            finally:
                del error
        return value

    def interrupt(self, flight: Flight, verdict: Verdict) -> None:
        """Make a running `flight` end, wherever it runs.

        A coroutine is cancelled. A thread is told to look, and not waited for any more; a shutdown goes on waiting, as
        it may still end by itself. A child process is told, then killed.
        """
        if flight.context is not None:
            flight.context.is_cancelled = True
        if flight.child is not None and flight.child.is_busy:
            self._processes.interrupt(flight, verdict)
        elif flight.waiter is None:
            assert flight.work is not None
            flight.work.cancel()
        elif verdict is not Verdict.SHUTDOWN:
            flight.waiter.cancel()

    def abandon(self, flight: Flight) -> None:
        """Stop waiting for code that does not end; what runs in a child process ends with it."""
        if flight.child is not None:
            flight.child.kill()
        elif flight.waiter is not None:
            flight.waiter.cancel()
        elif flight.begun_at == 0.0 and flight.work is not None:
            flight.work.cancel()  # it waits for the backend, not for a task's code

    def settle_down(self, flight: Flight) -> None:
        """Take back the cancellations of an ended task, so that what it awaits next (settling) is not mistaken."""
        work = flight.work
        while work is not None and work.cancelling():
            work.uncancel()
