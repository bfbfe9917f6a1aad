"""One claim from delivery to outcome: look it up if it may be known, prepare it, run it, settle it.

One `asyncio.Task` a claim, for the isolation of context variables, and nothing else that costs: no timer without a
timeout, no read for a fresh job. The slot is free as soon as the task's code has ended; settling goes on beside the
next job.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from naq.backends.base import Claim, JobQueue, Settled
from naq.exceptions import NaqConnectionError, NaqException
from naq.faults import fault
from naq.job import JobRecord, JobState
from naq.limits.limiter import Limiter
from naq.scheduler.gate import Gate
from naq.worker.admission import admit, leave
from naq.worker.flights import Flight, Flights, Phase, Verdict
from naq.worker.gather import Gathering
from naq.worker.hooks import Hooks
from naq.worker.judge import Judge
from naq.worker.outcome import Dropped, Outcome, Released
from naq.worker.prepare import Preparation
from naq.worker.report import Report
from naq.worker.runner import Runner
from naq.worker.settler import Settler

log = logging.getLogger("naq.worker")

#: Seconds that interrupted code gets to end by itself before its outcome is settled without it.
GRACE: Final = 5.0
#: Seconds between two tries to look a job up while the backend is away.
LOOK_AGAIN: Final = 0.5
#: Seconds that cancelled tasks get at the very end; they only have to notice.
LAST_WORDS: Final = 0.5


class Executor:
    """Runs claims; lives on the worker's event loop."""

    def __init__(
        self,
        queue: JobQueue,
        flights: Flights,
        prepare: Preparation,
        gather: Gathering,
        runner: Runner,
        judge: Judge,
        settler: Settler,
        report: Report,
        hooks: Hooks,
        limiter: Limiter,
        *,
        call: Callable[[Flight], Awaitable[Any]],
        torn_down: Callable[[], bool],
        gate: Gate,
    ) -> None:
        self._queue = queue
        self._flights = flights
        self._prepare = prepare
        self._gather = gather
        self._runner = runner
        self._judge = judge
        self._settler = settler
        self._report = report
        self._hooks = hooks
        self._limiter = limiter
        self._call = call  # runs the task's code: the runner, with the app's middleware around it
        self._torn_down = torn_down
        self._gate = gate
        self._loop = asyncio.get_running_loop()
        self._beside: set[asyncio.Task[None]] = set()
        self._strays: set[asyncio.Task[None]] = set()  # left behind, with code that ignores its cancellation

    def start(self, claim: Claim) -> None:
        """Take `claim` on; it holds a slot until its code has ended."""
        flight = Flight(claim)
        if (before := self._flights.add(flight)) is not None:
            self.interrupt(before, Verdict.LOST)  # delivered again: whatever the first delivery does is stale
        flight.work = self._loop.create_task(self._fly(flight), name=claim.job.id)

    def interrupt(self, flight: Flight, verdict: Verdict, *, grace: float = GRACE) -> None:
        """Make the code of `flight` end, for `verdict`.

        The first verdict stands, but a lost claim is lost whatever came before, and a shutdown yields to all others.
        Code that has not ended after `grace` seconds is left behind: its outcome is settled and its slot is free.
        """
        before = flight.verdict
        yields = before is None or before is Verdict.SHUTDOWN
        if not yields and verdict is not Verdict.LOST:
            return
        flight.verdict = verdict
        if flight.phase is Phase.RUNNING and yields:
            self._runner.interrupt(flight, verdict)
            flight.grace = self._loop.call_later(grace, self.give_up, flight)

    async def _fly(self, flight: Flight) -> None:
        outcome: Outcome | None = None
        try:
            fault("run.before_start")
            claim = flight.claim
            job = claim.job
            if claim.delivered > 1 or job.attempt > 1 or job.run > 1 or job.reason or not job.fresh:
                outcome = await self._look_up(flight)
            if outcome is None:
                outcome = self._prepare.begin(flight)
            if outcome is None and flight.envelope is not None and flight.envelope.after is not None:
                outcome = await self._gather.gather(flight)
            if outcome is None:
                outcome = self._prepare.finish(flight)
            if outcome is None and flight.task is not None and (flight.task.limited or flight.task.in_process):
                outcome = await self._get_in(flight)
            if outcome is None:
                outcome = await self._run(flight)
            self._flights.end(flight)
            if flight.abandoned:
                return
            await self._settle(flight, outcome)
        except NaqException as error:  # the backend did not answer the look-up; the lease brings the job back
            log.warning("job %s could not be looked up: %s; it comes again", flight.claim.job.id, error)
        except Exception:  # a defect of ours on one job must not take the others down; the lease brings it back
            log.exception("job %s could not be handled; it comes again", flight.claim.job.id)
        finally:
            if flight.child is not None or flight.needs is not None:
                self._get_out(flight)
            if not flight.abandoned:
                self._flights.end(flight)
                self._flights.remove(flight)

    async def _get_in(self, flight: Flight) -> Outcome | None:
        """Whether the limits of the job's task let it run now, and a child process takes it, where it needs one."""
        assert flight.task is not None
        if flight.task.limited and (put_off := await admit(self._limiter, flight)) is not None:
            # Cancelled meanwhile, it must not be put off: it would run when its time has come.
            return put_off if flight.verdict is None else self._judge.interrupted(flight)
        return await self._runner.board(flight) if flight.task.in_process else None

    def _get_out(self, flight: Flight) -> None:
        if flight.child is not None:
            self._runner.alight(flight)
        leave(self._limiter, flight)

    async def _look_up(self, flight: Flight) -> Outcome | None:
        """Whether the job, which may have been seen before, is still to be run."""
        known = await self._known(flight)
        if known is None:
            return await self._pass_gate(flight)
        if known.state is not JobState.CANCELLED:
            return Dropped()
        # A cancel mark: the record is ours to store (where it is stored already, nothing happens). A message that
        # nobody can read is cancelled all the same.
        self._prepare.read_envelope(flight)
        return self._judge.cancelled(flight, "cancelled before it ran")

    async def _pass_gate(self, flight: Flight) -> Outcome | None:
        """Whether the job, where a schedule made it, is still wanted and may run beside the one before it."""
        why = await self._gate.objection(flight.claim)
        if not why:
            return None
        self._prepare.read_envelope(flight)
        return self._judge.cancelled(flight, why)

    async def _known(self, flight: Flight) -> JobRecord | None:
        """What the store knows of the job; asked as long as the lease holds, since unanswered deliveries add up."""
        while True:
            try:
                return await self._queue.lookup(flight.claim)
            except NaqConnectionError:
                if self._flights.lapsed(flight):
                    raise
            await asyncio.sleep(LOOK_AGAIN)

    async def _run(self, flight: Flight) -> Outcome:
        if flight.verdict is None and self._hooks.wanted(flight):
            await self._hooks.begins(flight)
        if flight.verdict is not None:
            return self._judge.interrupted(flight)
        self._report.begins(flight)
        flight.phase = Phase.RUNNING
        timer = None
        if flight.timeout is not None:
            timer = self._loop.call_later(flight.timeout, self.interrupt, flight, Verdict.TIMEOUT)
        try:
            value = await self._call(flight)
        except GeneratorExit:
            raise  # the loop was closed under us; nothing can be awaited any more
        except BaseException as error:  # noqa: BLE001  whatever a task raises is its job's outcome, SystemExit included
            self._runner.settle_down(flight)
            if flight.verdict is not None:
                return self._judge.interrupted(flight)
            if isinstance(error, asyncio.CancelledError) and self._torn_down():
                return Released(0.0, "its worker was cancelled")
            return self._judge.raised(flight, error)
        finally:
            self._end(flight)  # from here on nothing interrupts this task
            if timer is not None:
                timer.cancel()
            if flight.grace is not None:
                flight.grace.cancel()
        if flight.verdict is not None:
            self._runner.settle_down(flight)
            if flight.verdict is not Verdict.SHUTDOWN:
                return self._judge.interrupted(flight)
        fault("run.after_task")
        return self._judge.returned(flight, value)

    def _end(self, flight: Flight) -> None:
        """Its code has ended: its slot is free, and so are its permits."""
        self._flights.end(flight)
        if flight.needs is not None:
            leave(self._limiter, flight)

    def give_up(self, flight: Flight) -> None:
        """Settle without code that does not end. What it is doing goes on until it ends by itself."""
        if flight.phase is Phase.ENDED:
            return
        if flight.phase is Phase.RUNNING and flight.child is None:
            log.warning(
                "task %s (job %s) was interrupted (%s) and keeps running; its outcome is recorded without it",
                flight.name,
                flight.claim.job.id,
                "" if flight.verdict is None else flight.verdict.value,
            )
        flight.abandoned = True
        self._flights.end(flight)
        self._runner.abandon(flight)
        if flight.work is not None:
            self._strays.add(flight.work)
            flight.work.add_done_callback(self._strays.discard)
        task = self._loop.create_task(self._settle_without(flight, self._judge.interrupted(flight)))
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def _settle_without(self, flight: Flight, outcome: Outcome) -> None:
        try:
            await self._settle(flight, outcome)
        finally:
            self._flights.remove(flight)

    async def _settle(self, flight: Flight, outcome: Outcome) -> None:
        """Settle, report, call back; what could be stored counts, not what was hoped for."""
        told = await self._settler.settle(flight, outcome)
        if told is not None:
            self._report.ended(flight, *told)
            if self._hooks.wanted(flight):
                await self._call_back(flight, *told)

    async def _call_back(self, flight: Flight, outcome: Outcome, settled: Settled) -> None:
        """Call the callbacks for `outcome`, unless somebody else's record came first. The claim is none any more."""
        if settled is Settled.DONE:
            self._flights.linger(flight)
            await self._hooks.ended(flight, outcome)

    async def close(self) -> int:
        """Stop whatever is left, unsettled; how many coroutines do not even end now."""
        tasks = {*self._beside, *self._strays}
        tasks.update(flight.work for flight in self._flights.everyone() if flight.work is not None)
        for task in tasks:
            task.cancel()
        if tasks:
            _, tasks = await asyncio.wait(tasks, timeout=LAST_WORDS)
        return len(tasks)
