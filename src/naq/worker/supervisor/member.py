"""One worker process, as its supervisor sees it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence

from naq import clock
from naq.worker.processes.spawn import Spawned, spawn
from naq.worker.supervisor import ledger
from naq.worker.supervisor.status import SILENT, VARIABLE, Lines, Status


class Member:
    """A worker process.

    Attributes:
        process: the process.
        number: which of the workers it is, from 1.
        status: what it said last; None before it has said anything.
        loaded: set as soon as it has imported its app.
        leaving: set as soon as it has ended, or has said that it is about to.
        started_at: monotonic seconds.
    """

    process: Spawned

    def __init__(self, number: int) -> None:
        self.number = number
        self.status: Status | None = None
        self.loaded = asyncio.Event()
        self.leaving = asyncio.Event()
        self.started_at = clock.monotonic()
        self._heard_at = 0.0
        self._lines = Lines()

    async def start(self, command: Sequence[str], book: int) -> None:
        """Start it, with a `ledger` that nobody who lives writes in.

        Raises:
            OSError: it cannot be started.
        """
        env = {**os.environ, VARIABLE: str(os.getpid()), **ledger.variable(book)}
        self.process = await spawn(command, on_data=self._heard, on_exit=self.leaving.set, env=env, files=[book])

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self.process.ended.done()

    @property
    def is_ready(self) -> bool:
        """Whether it has said so, and lately enough."""
        return (
            self.status is not None
            and self.status.report.ready
            and not self.has_ended
            and clock.monotonic() - self._heard_at < SILENT
        )

    @property
    def is_dismissed(self) -> bool:
        """Whether it has said that somebody told it to go."""
        return self.status is not None and self.status.dismissed

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.signal(number)

    def _heard(self, data: bytes) -> None:
        for status in self._lines.feed(data):
            self.status = status
            self._heard_at = clock.monotonic()
            self.loaded.set()
            if status.retiring or status.dismissed:
                self.leaving.set()
