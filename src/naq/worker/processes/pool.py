"""The children of a worker: as many as jobs run in them at once, started when they are needed and used again."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections import deque
from typing import Final

from msgspec import Raw

from naq import clock
from naq.config import Config
from naq.exceptions import NaqException, ProcessDied
from naq.worker.flights import Flight, Verdict
from naq.worker.processes.errors import NoChild, RaisedElsewhere
from naq.worker.processes.handle import Child, Died
from naq.worker.processes.limits import MIB
from naq.worker.processes.messages import Ended, Run, Setup
from naq.worker.processes.saying import levels
from naq.worker.processes.source import Source, address_of
from naq.worker.ruling import Ruling, Then, as_data, next_delay

log = logging.getLogger("naq.worker")

#: Seconds that told jobs get to end by themselves before their child is killed; less than the executor's own grace.
GRACE: Final = 3.0
#: Seconds an idle child is kept. One of them stays, so that the next job finds it.
IDLE: Final = 60.0
#: Seconds without another try after children that could not be started: the first time, and at most.
PAUSE_FIRST, PAUSE_MOST = 1.0, 30.0
#: Children that may die with a job before they begin it (of an earlier one's harm, say) until that job is put back.
TRIES: Final = 3
#: Seconds that children get to end when the worker does, idle ones by themselves and then all by force.
CLOSE: Final = 2.0
_MEMORY_ERROR: Final = "builtins.MemoryError"


class Processes:
    """Lends children to jobs. Lives on the worker's event loop.

    How many there are is bounded by how many jobs run at once; `starts` is how many may be starting at a time.
    """

    def __init__(self, source: Source, config: Config, *, starts: int | None = None) -> None:
        self._source = source
        self._config = config
        self._starts = starts or os.cpu_count() or 1
        self._all: set[Child] = set()
        self._idle: dict[Child, asyncio.TimerHandle] = {}
        self._waiting: deque[asyncio.Future[Child]] = deque()
        self._starting: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._pause_until = 0.0
        self._reason = ""
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """The process ids of all children; for any thread."""
        return [child.process.pid for child in list(self._all) if child.process is not None]

    async def board(self, flight: Flight) -> None:
        """Get `flight` a child to run in, unless it is interrupted meanwhile.

        Raises:
            NoChild: none can be had.
        """
        child = await self._acquire()
        if flight.verdict is None:
            flight.child = child
        else:
            self._release(child)

    async def run(self, flight: Flight) -> Raw:
        """Run the task of `flight` in the child it has; its result, encoded.

        Raises:
            RaisedElsewhere: it raised, or its child died; with what follows.
            NoChild: nothing of it has run.
        """
        if flight.verdict is not None:  # while something around it ran
            raise asyncio.CancelledError
        last = ""
        for _ in range(TRIES):
            try:
                return self._value(flight, await self._once(flight))
            except Died as died:
                if died.began or flight.verdict is not None:
                    raise self._lost(flight, died) from None
                log.warning("a child process died before it began job %s: %s", flight.claim.job.id, died.how)
                last = died.how
            await self.board(flight)
            if flight.child is None:
                break
        raise NoChild(f"children die before they begin it; the last one: {last}")

    def give_back(self, flight: Flight) -> None:
        """The child that `flight` got is free: it was not used."""
        child, flight.child = flight.child, None
        if child is not None:
            self._release(child)

    def interrupt(self, flight: Flight, verdict: Verdict) -> None:
        """Make the code of `flight` end: told first where that makes sense, and killed."""
        if flight.child is not None:
            if verdict in {Verdict.CANCEL, Verdict.SHUTDOWN}:
                flight.child.cancel(grace=GRACE)
            else:
                flight.child.kill()

    async def close(self) -> None:
        """End all children; none is left when this returns."""
        self._closed = True
        for task in self._starting:
            task.cancel()
        if self._starting:
            await asyncio.wait(self._starting)
        for timer in self._idle.values():
            timer.cancel()
        self._idle.clear()
        for child in self._all:
            if child.is_idle:
                child.dismiss()
            else:
                child.kill()
        await self._all_ended()
        for child in self._all:
            child.kill()
        await self._all_ended()

    async def _all_ended(self) -> None:
        ended = [child.process.ended for child in self._all if child.process is not None]
        if ended:
            await asyncio.wait(ended, timeout=CLOSE)

    async def _once(self, flight: Flight) -> Ended:
        child, task, envelope, context = flight.child, flight.task, flight.envelope, flight.context
        assert child is not None
        assert task is not None
        assert envelope is not None
        assert context is not None
        ended: Ended | None = None
        try:
            return (
                ended := await child.give(
                    Run(
                        context=context,
                        address=None if self._source.app is not None else address_of(task.func),
                        codec=envelope.codec,
                        args=bytes(envelope.args),
                        kwargs=bytes(envelope.kwargs),
                        values={place: bytes(value) for place, value in flight.values.items()},
                        retry=envelope.retry,
                        timeout=flight.timeout,
                        version=envelope.version,
                    )
                )
            )
        except asyncio.CancelledError:
            child.kill()  # nobody waits for it any more, and its job is run by another
            raise
        finally:
            flight.child = None
            self._release(child, ended)

    def _value(self, flight: Flight, ended: Ended) -> Raw:
        if ended.ruling is not None:
            raise RaisedElsewhere(ended.ruling, job_id=flight.claim.job.id)
        assert ended.result is not None
        return Raw(ended.result)

    def _lost(self, flight: Flight, died: Died) -> RaisedElsewhere:
        job = flight.claim.job
        assert flight.policy is not None
        error = ProcessDied(f"the process that ran it died: {died.how}", job_id=job.id)
        delay = next_delay(error, flight.policy, task=flight.name, job_id=job.id, attempt=job.attempt)
        return RaisedElsewhere(Ruling(Then.AGAIN, as_data(error, job.attempt), delay), job_id=job.id)

    async def _acquire(self) -> Child:
        while self._idle:
            child, timer = self._idle.popitem()
            timer.cancel()
            if child.is_idle:
                return child
        if clock.monotonic() < self._pause_until:
            raise NoChild(self._reason)
        waiter: asyncio.Future[Child] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._start_more()
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._release(waiter.result())
            raise

    def _start_more(self) -> None:
        if self._closed:
            return
        wanted = sum(not waiter.done() for waiter in self._waiting)
        for _ in range(min(wanted, self._starts) - len(self._starting)):
            task = asyncio.get_running_loop().create_task(self._start(), name="naq-child")
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)

    async def _start(self) -> None:
        child = Child(self._gone)
        self._all.add(child)
        try:
            await child.start(
                Setup(
                    parent=os.getpid(),
                    path=sys.path,
                    source=self._source,
                    levels=levels(),
                    memory=self._config.child_memory * MIB,
                    max_result=self._config.max_result,
                )
            )
        except NaqException as error:
            self._no_child(str(error))
            return
        finally:
            if child.process is None:
                self._all.discard(child)
            if (here := asyncio.current_task()) is not None:  # it starts no more, which those who wait may need to see
                self._starting.discard(here)
        self._failures, self._pause_until = 0, 0.0
        self._release(child)

    def _no_child(self, reason: str) -> None:
        """Children cannot be started: say so, tell those who wait, and do not try again for a while."""
        self._failures += 1
        pause = min(PAUSE_FIRST * 2 ** (self._failures - 1), PAUSE_MOST)
        self._pause_until = clock.monotonic() + pause
        self._reason = reason
        log.error("no child process for tasks with executor='process'; next try in %.0f s: %s", pause, reason)
        waiting, self._waiting = self._waiting, deque()
        for waiter in waiting:
            if not waiter.done():
                waiter.set_exception(NoChild(reason))

    def _release(self, child: Child, ended: Ended | None = None) -> None:
        """`child` is free: for whoever waits, for later, or to be replaced."""
        if not child.is_idle or self._closed or self._is_used_up(child, ended):
            child.dismiss()
            self._start_more()
            return
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(child)
                self._start_more()
                return
        timer = asyncio.get_running_loop().call_later(IDLE, self._tire, child)
        self._idle[child] = timer

    def _is_used_up(self, child: Child, ended: Ended | None) -> bool:
        config = self._config
        if config.child_jobs and child.jobs >= config.child_jobs:
            return True
        if ended is None:
            return False
        if ended.ruling is not None and ended.ruling.error.type == _MEMORY_ERROR:
            return True
        return bool(config.child_rss) and ended.rss > config.child_rss * MIB

    def _tire(self, child: Child) -> None:
        """`child` has been idle for long."""
        if child in self._idle and len(self._idle) > 1:
            del self._idle[child]
            child.dismiss()

    def _gone(self, child: Child) -> None:
        """`child` has ended."""
        self._all.discard(child)
        if (timer := self._idle.pop(child, None)) is not None:
            timer.cancel()
