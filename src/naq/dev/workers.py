"""The workers of the tree: kept running, and started anew when their code has changed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from naq import clock
from naq.dev.process import WorkerProcess
from naq.dev.tree import first
from naq.worker.processes.handle import describe_exit
from naq.worker.supervisor import ledger
from naq.worker.supervisor.supervisor import HOPELESS, PAUSE_FIRST, PAUSE_MOST, STEADY

#: Seconds for which running jobs may go on when their worker is started anew; the rest is put back, and runs in the
#: new one. With that, a change is in force within 2 s.
DRAIN: Final = 1.0
#: How a worker ends that could not load its app, beside wrong usage: nothing is gained by trying again before a change.
_BROKEN: Final = HOPELESS | {1}


class Workers:
    """`count` processes of ``command(number)``, which must be worker processes (`naq.worker.supervisor.membership`).

    Args:
        command: the command line of each.
        count: how many.
        what: what they are called where something is said about them.
        env: variables for them beside ours; read at each start.
        drain: seconds that running jobs get at a reload and at the end.
        output: an open file for what they print; by default they print where we do.
        say: what is to be told to a person.
    """

    def __init__(
        self,
        command: Callable[[int], Sequence[str]],
        count: int = 1,
        *,
        what: str = "worker",
        env: Callable[[], Mapping[str, str]] = dict,
        drain: float = DRAIN,
        output: int | None = None,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._command = command
        self._what = what
        self._env = env
        self._drain = drain
        self._output = output
        self._say = say
        self._stopping = False
        self._slots = [_Slot(number) for number in range(1, count + 1)]
        self._keepers: list[asyncio.Task[None]] = []

    def keep(self, count: int) -> None:
        """Be `count` of them at most; before `start`."""
        del self._slots[count:]

    @property
    def processes(self) -> list[WorkerProcess]:
        """Those that run, or have been started last."""
        return [slot.process for slot in self._slots if slot.process is not None]

    @property
    def are_ready(self) -> bool:
        """Whether all of them run, and can take jobs."""
        return all(each.was_ready and each.code is None for each in self.processes)

    @property
    def ended(self) -> bool:
        """Whether none of them runs."""
        return all(slot.process is not None and slot.process.code is not None for slot in self._slots)

    async def start(self) -> None:
        """Start them; returns when each is ready, or has failed to be."""
        self.begin()
        await self._settled()

    def begin(self) -> None:
        """Have them started, without waiting for them."""
        self._keepers = [asyncio.create_task(self._keep(slot), name=f"naq-dev-{self._what}") for slot in self._slots]

    async def reload(self) -> bool:
        """Start them anew, and say whether they are ready: they are not where their code cannot be imported."""
        for slot in self._slots:
            slot.settled.clear()
            slot.change.set()
        await self._settled()
        return self.are_ready

    async def stop(self) -> None:
        """End them: running jobs get their time, the rest is put back."""
        self._stopping = True
        for slot in self._slots:
            slot.change.set()
        if self._keepers:
            await asyncio.gather(*self._keepers)

    def hurry(self, asked: int) -> None:
        """Put running jobs back now, or kill."""
        for process in self.processes:
            process.hurry(force=asked > 2)

    async def _settled(self) -> None:
        await first(self._each_settled(), *self._keepers)
        for keeper in self._keepers:
            if keeper.done():
                keeper.result()  # raises why

    async def _each_settled(self) -> None:
        for slot in self._slots:
            await slot.settled.wait()

    async def _keep(self, slot: _Slot) -> None:
        book = ledger.create()
        try:
            await self._keep_with(book, slot)
        finally:
            os.close(book)

    async def _keep_with(self, book: int, slot: _Slot) -> None:
        failures = 0
        while not self._stopping:
            slot.change.clear()  # what changes from here on, this start may have missed
            slot.process = process = WorkerProcess(slot.number)
            await process.start(self._command(slot.number), self._env(), self._output, book=book)
            started_at = clock.monotonic()
            await first(process.settled.wait(), slot.change.wait())
            if process.was_ready:
                slot.settled.set()
            await first(process.ended(), slot.change.wait())
            if slot.change.is_set():
                await process.end(self._drain)
                failures = 0
                continue
            failures = failures + 1 if clock.monotonic() - started_at < STEADY else 1
            await self._wait_to_revive(slot, process, failures)

    async def _wait_to_revive(self, slot: _Slot, process: WorkerProcess, failures: int) -> None:
        """A worker ended that nobody told to: start another, unless the next one would end as well."""
        slot.settled.set()
        code = process.code or 0
        if not process.was_ready and code in _BROKEN:
            self._say(f"no {self._what} runs: mend that and save the file")
            await slot.change.wait()
            return
        pause = min(PAUSE_FIRST * 2 ** (failures - 1), PAUSE_MOST)
        how = "ended" if code == 0 else f"died: {describe_exit(code)}"
        self._say(f"the {self._what} (process {process.pid}) {how}; another follows in {pause:g} s")
        await first(slot.change.wait(), timeout=pause)


class _Slot:
    """The place of one worker."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: WorkerProcess | None = None
        self.change = asyncio.Event()
        self.settled = asyncio.Event()
