"""Jobs that a worker enqueues for others: those of ``naq dev`` without a broker, where only the worker itself can."""

from __future__ import annotations

import asyncio
import os
import shlex
from pathlib import Path
from typing import Final

from naq.app import Naq
from naq.cli.common import say
from naq.cli.jobs import print_result
from naq.cli.send import make_call
from naq.cli.text import plain
from naq.cli.values import read_arguments
from naq.exceptions import NaqException

_READ: Final = 65536


class Requests:
    """Reads lines of words, as for ``naq enqueue``, from the named pipe `path`, as long as the event loop runs."""

    def __init__(self, app: Naq, path: Path) -> None:
        self._app = app
        # For writing as well: so it is never at its end, however many have asked and gone.
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self._rest = b""
        self._asked: set[asyncio.Task[None]] = set()
        asyncio.get_running_loop().add_reader(self._fd, self._arrived)

    def _arrived(self) -> None:
        *lines, self._rest = (self._rest + os.read(self._fd, _READ)).split(b"\n")
        for line in lines:
            asked = asyncio.create_task(self._run(line.decode(errors="replace")), name="naq-request")
            self._asked.add(asked)
            asked.add_done_callback(self._asked.discard)

    async def _run(self, line: str) -> None:
        """Enqueue one, and print what comes of it; what is wrong with it is said."""
        try:
            task, *words = shlex.split(line)
            [job] = await self._app.enqueue_many([make_call(self._app, task, {}, read_arguments(words))])
            say(plain(f"{job.id}  queued"))
            print_result(await self._app.backend.wait(job.id), self._app.config)
        except (NaqException, ValueError) as error:
            say(f"naq: {plain(str(error))}")
