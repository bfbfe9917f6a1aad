"""Programs that run once, such as the first job's ``naq enqueue``, and that end with the tree at the latest."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from naq.backends.nats.broker import launch
from naq.dev.tree import first


class Errands:
    """Runs programs with the variables that `env` returns beside ours."""

    def __init__(self, env: Callable[[], Mapping[str, str]]) -> None:
        self._env = env
        self._running: set[asyncio.subprocess.Process] = set()
        self._stopped = asyncio.Event()

    async def start(self) -> None:
        """Nothing is to be done yet."""

    async def run(self, program: Sequence[str]) -> int:
        """Run `program` to its end; its exit code. On Linux it dies with us even if we are killed.

        Raises:
            OSError: it cannot be started.
        """
        process = await asyncio.create_subprocess_exec(
            *launch.command(program),
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us, who then end it
            env={**os.environ, **self._env()},
        )
        self._running.add(process)
        try:
            await first(process.wait(), self._stopped.wait())
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
            await asyncio.shield(process.wait())
            self._running.discard(process)
        return process.returncode or 0

    async def stop(self) -> None:
        """End what still runs: a command that waits for a result loses nothing by it."""
        self._stopped.set()
        while self._running:
            await asyncio.wait([asyncio.ensure_future(process.wait()) for process in self._running])
            await asyncio.sleep(0)  # for `run` to take it out

    def hurry(self, asked: int) -> None:
        """It is never waited for."""
