"""A worker's answer to where its jobs are: looked at from the lifeline, so that a blocked event loop hides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from naq import clock
from naq.backends import stacks
from naq.backends.base import Entries
from naq.backends.stacks import Frame, PhaseName, Stack, Stacks, Where
from naq.worker.flights import Flight, Flights, Phase
from naq.worker.runner import Runner
from naq.worker.stacks.frames import of_task, of_thread, shown, within
from naq.worker.threads import CALLS, Threads
from naq.worker.watchdog import Watchdog

#: Seconds that child processes have to say where they are.
CHILDREN: Final = 1.0
#: Bytes of an answer; less than every broker takes, and many more than anybody reads.
MOST_BYTES: Final = 512 * 1024
_CALL: Final = frozenset({Runner.run.__code__, CALLS})
_CHILD: Final = "its child process did not say"
_BLOCKED: Final = "its worker's event loop is blocked, so that the child process cannot be asked"


class Looking:
    """Answers for `worker`, whose event loop is `main` and runs in `thread`; used on the lifeline's."""

    def __init__(
        self,
        backend: Entries,
        flights: Flights,
        threads: Threads,
        watchdog: Watchdog,
        *,
        worker: str,
        main: asyncio.AbstractEventLoop,
        thread: int,
    ) -> None:
        self._backend, self._flights, self._threads, self._watchdog = backend, flights, threads, watchdog
        self._worker, self._main, self._thread = worker, main, thread

    async def answer(self, version: int) -> None:
        """Say where its jobs are, to whoever asked up to `version`."""
        flights, lag = self._flights.snapshot(), self._watchdog.lag
        children = await self._ask_children([flight for flight in flights if flight.child is not None])
        found: list[Stack] = []
        room = MOST_BYTES
        for flight in flights:
            one = self._stack(flight, children)
            room -= len(stacks.encode(one))
            if room < 0:
                break
            found.append(one)
        said = Stacks(answers=version, at=clock.now(), loop_lag=lag, jobs=found, left_out=len(flights) - len(found))
        await self._backend.put(stacks.KIND, self._worker, stacks.encode(said), ttl=stacks.KEPT)

    def _stack(self, flight: Flight, children: dict[str, list[Frame] | str]) -> Stack:
        job = flight.claim.job
        frames: list[Frame] = []
        detail = ""
        where: Where = "loop"
        if flight.child is not None:
            where, said = "process", children.get(job.id, _CHILD)
            frames, detail = ([], said) if isinstance(said, str) else (said, "")
        elif (waiter := flight.waiter) is not None:
            where = "thread"
            frames = shown(within(of_thread(self._threads.ident_of(waiter)), _CALL))
        elif (work := flight.work) is not None and flight.phase is not Phase.ENDED:
            frames = shown(within(of_task(work, self._thread), _CALL))
        return Stack(
            job=job.id, task=flight.name, phase=_PHASES[flight.phase], where=where, at=flight.started_at,
            frames=frames, detail=detail or ("" if frames else "it was between two steps"),
        )  # fmt: skip

    async def _ask_children(self, flights: Sequence[Flight]) -> dict[str, list[Frame] | str]:
        """What the child processes of these say, by job."""
        if not flights:
            return {}

        async def all_of_them() -> dict[str, list[Frame] | str]:
            asked = {
                flight.claim.job.id: child.look()
                for flight in flights
                if (child := flight.child) is not None and child.is_busy
            }
            if asked:
                await asyncio.wait(asked.values(), timeout=CHILDREN)
            return {job: said.result() if said.done() else _CHILD for job, said in asked.items()}

        asking = asyncio.run_coroutine_threadsafe(all_of_them(), self._main)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(asking), 2 * CHILDREN)
        except TimeoutError:
            return dict.fromkeys((flight.claim.job.id for flight in flights), _BLOCKED)


_PHASES: Final[dict[Phase, PhaseName]] = {Phase.PREPARING: "preparing", Phase.RUNNING: "running", Phase.ENDED: "ended"}
