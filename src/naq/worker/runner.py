"""Running a task's code: coroutines on the event loop, plain functions in threads; and making either end."""

from __future__ import annotations

import asyncio
from typing import Any

from naq import faults
from naq.context import set_context
from naq.worker.flights import Flight, Verdict
from naq.worker.threads import Threads


class Runner:
    """Calls tasks. Whoever runs is interrupted through `interrupt`, and by nothing else."""

    def __init__(self, threads: Threads) -> None:
        self._threads = threads

    async def run(self, flight: Flight) -> Any:
        """What the task returns; raises what it raises. Must be awaited in the flight's own `asyncio.Task`."""
        task, context = flight.task, flight.context
        assert task is not None
        assert context is not None
        set_context(context)
        if faults.is_armed("run.mid_task"):  # struck from outside, once the task has begun and waits for something
            asyncio.get_running_loop().call_soon(faults.fault, "run.mid_task")
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

    def interrupt(self, flight: Flight, verdict: Verdict) -> None:
        """Make a running `flight` end: cancel its coroutine; stop waiting for its thread, which is told to look.

        A shutdown goes on waiting for the thread: it may still end by itself.
        """
        if flight.context is not None:
            flight.context.is_cancelled = True
        if flight.waiter is None:
            assert flight.work is not None
            flight.work.cancel()
        elif verdict is not Verdict.SHUTDOWN:
            flight.waiter.cancel()

    def abandon(self, flight: Flight) -> None:
        """Stop waiting for code that does not end."""
        if flight.waiter is not None:
            flight.waiter.cancel()
        elif flight.begun_at == 0.0 and flight.work is not None:
            flight.work.cancel()  # it waits for the backend, not for a task's code

    def settle_down(self, flight: Flight) -> None:
        """Take back the cancellations of an ended task, so that what it awaits next (settling) is not mistaken."""
        work = flight.work
        while work is not None and work.cancelling():
            work.uncancel()
