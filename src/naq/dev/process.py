"""One worker process of the tree: started, heard, ended. It goes when we go, however that happens (`membership`)."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from typing import Final

from naq.dev.tree import first
from naq.worker.processes.spawn import Spawned, spawn
from naq.worker.supervisor import ledger
from naq.worker.supervisor.status import VARIABLE, Lines, Status

#: Seconds beyond its own drain that a worker gets to end by itself, and seconds after it was told that it is now.
MORE, NOW = 1.0, 1.0


class WorkerProcess:
    """A worker process.

    Attributes:
        number: which of the workers it is, from 1.
        status: what it said last; None before it has said anything.
        settled: set as soon as it is ready for jobs, or has ended.
        was_ready: whether it ever was.
    """

    def __init__(self, number: int) -> None:
        self.number: Final = number
        self.status: Status | None = None
        self.settled = asyncio.Event()
        self.was_ready = False
        self._lines = Lines()
        self._process: Spawned | None = None
        self._hurried = asyncio.Event()

    async def start(
        self, command: Sequence[str], env: Mapping[str, str], output: int | None = None, *, book: int
    ) -> None:
        """Start it; `output` is the file that its output goes to, by default ours. `book`: a ledger nobody writes in.

        Raises:
            OSError: it cannot be started.
        """
        env = {**os.environ, **env, VARIABLE: str(os.getpid()), **ledger.variable(book)}
        self._process = await spawn(
            command, on_data=self._heard, on_exit=self.settled.set, env=env, output=output, files=[book]
        )

    @property
    def pid(self) -> int:
        """Its process id; 0 before it was started."""
        return 0 if self._process is None else self._process.pid

    @property
    def code(self) -> int | None:
        """How it ended; None while it lives."""
        return None if self._process is None else self._process.code

    async def ended(self) -> None:
        """Return when it has."""
        if self._process is not None:
            await asyncio.wait([self._process.ended])

    async def end(self, drain: float) -> None:
        """End it: in order within `drain` seconds, then now, then by force. Returns when it is gone."""
        process = self._process
        if process is None:
            return
        try:
            process.signal(signal.SIGTERM)
            await first(process.ended, self._hurried.wait(), timeout=drain + MORE)
            if not process.ended.done():
                process.signal(signal.SIGTERM)
                await first(process.ended, timeout=NOW)
        finally:
            process.kill()
            await asyncio.shield(asyncio.wait([process.ended]))

    def hurry(self, *, force: bool) -> None:
        """Have a running `end` wait no longer."""
        self._hurried.set()
        if force and self._process is not None:
            self._process.kill()

    def _heard(self, data: bytes) -> None:
        for status in self._lines.feed(data):
            self.status = status
            if status.report.ready:
                self.was_ready = True
                self.settled.set()
