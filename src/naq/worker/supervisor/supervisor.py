"""Keeping a number of worker processes running: the dead are replaced, those who retire are relieved.

One that was told to go is not replaced; when all were, the supervisor ends.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Sequence
from typing import Final

from naq import clock
from naq.worker.drain import within
from naq.worker.processes.handle import describe_exit
from naq.worker.supervisor import ledger
from naq.worker.supervisor.member import Member
from naq.worker.vitals import Numbers, Report

log = logging.getLogger("naq.worker")

#: Seconds before a worker that died is replaced: the first time, and at most. Doubled each time.
PAUSE_FIRST, PAUSE_MOST = 0.5, 30.0
#: Seconds that a worker must have run until its death counts as the first one again.
STEADY: Final = 60.0
#: Exit codes of a process that it is no use to start again, if it ended before it was loaded: wrong usage, a broker
#: that is too old.
HOPELESS: Final = frozenset({2, 5})
#: Seconds that a worker must have run for its replacement to follow at once when it retires: limits that a fresh
#: process exceeds would otherwise start one after another.
HASTY: Final = 5.0
RETIRED: Final = "retires"
_INTERRUPTED: Final = 130


class Supervisor:
    """Runs `count` processes of `command(number)`, which must be worker processes (see `membership`), until `stop`."""

    def __init__(self, command: Callable[[int], Sequence[str]], count: int) -> None:
        self._command = command
        self._count = count
        self._members: set[Member] = set()
        self._stop = asyncio.Event()
        self._asked = 0
        self._code = 0

    @property
    def pids(self) -> list[int]:
        """The process ids of all worker processes that live."""
        return [member.process.pid for member in self._members]

    async def run(self) -> int:
        """Start them, keep them, and return when all have ended: the exit code."""
        first = Member(1)
        keepers = [asyncio.ensure_future(self._keep(1, first))]
        try:
            # One at first: what is wrong with the app or the command line is then said once.
            await self._until_loaded(first, keepers[0])
            keepers += [asyncio.ensure_future(self._keep(number)) for number in range(2, self._count + 1)]
            await asyncio.gather(*keepers)
        except BaseException:
            for member in self._members:
                member.process.kill()
            for keeper in keepers:
                keeper.cancel()
            raise
        finally:
            await self._all_ended()
        return _INTERRUPTED if self._asked > 1 else self._code

    def stop(self) -> None:
        """Have all of them stop, as SIGTERM does with one; the second call means now, the third kills them."""
        self._asked += 1
        self._stop.set()
        for member in self._members:
            if self._asked > 2:
                member.process.kill()
            else:
                member.tell(signal.SIGTERM)

    def report(self) -> Report:
        """Ready if one of them is."""
        members = sorted(self._members, key=lambda member: member.number)
        ready = sum(member.is_ready for member in members)
        details = [member.status.report.detail for member in members if member.status is not None]
        return Report(
            live=True,
            ready=ready > 0 and not self._stop.is_set(),
            detail="stopping" if self._stop.is_set() else f"{ready} of {self._count} workers are ready",
            facts={
                "details": details,
                "workers": [
                    {"number": member.number, "pid": member.process.pid, "ready": member.is_ready}
                    | (member.status.report.facts if member.status is not None else {})
                    for member in members
                ],
            },
        )

    def numbers(self) -> dict[str, Numbers]:
        """What each of them said last that it counts, by its number."""
        members = sorted(self._members, key=lambda member: member.number)
        said = {str(member.number): member.status and member.status.numbers for member in members}
        return {number: numbers for number, numbers in said.items() if numbers is not None}

    async def _until_loaded(self, member: Member, keeper: asyncio.Future[None]) -> None:
        loaded = asyncio.ensure_future(member.loaded.wait())
        try:
            await asyncio.wait([loaded, keeper], return_when=asyncio.FIRST_COMPLETED)
        finally:
            loaded.cancel()

    async def _keep(self, number: int, member: Member | None = None) -> None:
        """Keep worker `number` running: one process after another."""
        failures, book = 0, ledger.create()
        try:
            while not self._stop.is_set():
                member = member or Member(number)
                try:
                    await member.start(self._command(number), book)
                except OSError as error:
                    failures += 1
                    await self._pause(failures, f"worker {number} cannot be started: {error}")
                    member = None
                    continue
                self._members.add(member)
                member.process.ended.add_done_callback(lambda _, gone=member: self._members.discard(gone))
                if self._stop.is_set():  # asked while it was being started
                    member.tell(signal.SIGTERM)
                await member.leaving.wait()
                if member.is_dismissed:
                    log.info("worker %d (process %d) was told to go; nobody follows", number, member.process.pid)
                    return
                if not member.has_ended:  # it ends on its own, and writes in its ledger until then
                    os.close(book)
                    book = ledger.create()
                lived = clock.monotonic() - member.started_at
                why = self._why_replaced(member)
                log.info("worker %d (process %d) %s after %.0f s", number, member.process.pid, why, lived)
                if why == RETIRED and lived >= HASTY:
                    failures = 0
                elif not self._stop.is_set():
                    failures = failures + 1 if lived < STEADY else 1
                    await self._pause(failures, f"worker {number} (process {member.process.pid}) {why}")
                member = None
        finally:
            os.close(book)

    def _why_replaced(self, member: Member) -> str:
        """What happened to `member`, which leaves or has left, in words."""
        code = member.process.code
        if code is None or (code == 0 and not self._stop.is_set()):
            return RETIRED
        if self._stop.is_set():
            if code in {0, _INTERRUPTED, -signal.SIGTERM}:
                return "stopped"
            self._code = max(code, self._code)
        elif code in HOPELESS and not member.loaded.is_set():
            self._code = code
            self.stop()
        return f"died: {describe_exit(code)}"

    async def _pause(self, failures: int, why: str) -> None:
        pause = min(PAUSE_FIRST * 2 ** (failures - 1), PAUSE_MOST)
        log.error("%s; another follows in %g s", why, pause)
        await within(self._stop.wait(), None, pause)

    async def _all_ended(self) -> None:
        """Wait for those that are still draining, too."""
        while self._members:
            await asyncio.wait([member.process.ended for member in self._members])
            await asyncio.sleep(0)  # for the callbacks that take them out
