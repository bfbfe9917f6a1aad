"""The app of the fault tests. Every execution is logged; tasks wait for files, so that a test decides how long."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from functools import cache
from pathlib import Path
from typing import Unpack

from naq import Naq
from naq.config import Settings
from naq.testing.chaos import OpLog
from rig.inside import add_tasks
from rig.reporting import add_reporting

LOG_VARIABLE = "RIG_LOG"
LOOK = 0.01  # seconds between two looks for a gate


@cache
def log() -> OpLog:
    """This process's operation log."""
    return OpLog(Path(os.environ[LOG_VARIABLE]))


def _open(gate: str) -> bool:
    return Path(gate.format(pid=os.getpid())).exists()


def make_app(**settings: Unpack[Settings]) -> Naq:
    """The app, with its tasks."""
    app = Naq("rig", **settings)
    _add_tasks(app)
    _add_bad_tasks(app)
    add_tasks(app, log)
    add_reporting(app, log)
    return app


def _add_tasks(app: Naq) -> None:
    @app.task(name="work")
    async def work(number: int) -> int:
        with log().execution():
            await asyncio.sleep(0)
            return number

    @app.task(name="gated")
    async def gated(gate: str) -> str:
        """Runs until the file `gate` exists, in which ``{pid}`` stands for the worker's process."""
        with log().execution():
            while not _open(gate):  # noqa: ASYNC110 - the gate is another process's
                await asyncio.sleep(LOOK)
            return gate

    @app.task(name="gated_thread")
    def gated_thread(gate: str) -> str:
        """The same in a thread."""
        with log().execution():
            while not _open(gate):
                threading.Event().wait(LOOK)
            return gate

    @app.task(name="sized")
    async def sized(text: str) -> int:
        with log().execution():
            await asyncio.sleep(0)
            return len(text)

    # Registered by the decorator; named here so that none of them looks unused.
    assert {work, gated, gated_thread, sized}


def _add_bad_tasks(app: Naq) -> None:
    @app.task(name="flaky", retry=[0.1])
    async def flaky(number: int) -> int:
        """Fails at its first attempt."""
        from naq.context import current_context

        with log().execution():
            await asyncio.sleep(0)
            if current_context().attempt == 1:
                raise ValueError("the first attempt always fails")
            return number

    @app.task(name="doomed")
    async def doomed(number: int) -> int:
        with log().execution():
            await asyncio.sleep(0)
            raise ValueError(f"{number} always fails")

    @app.task(name="blocking")
    async def blocking(seconds: float) -> float:
        """Blocks the event loop, as nobody should."""
        with log().execution():
            time.sleep(seconds)  # noqa: ASYNC251 - what it is for
            return seconds

    @app.task(name="poison", queue="poison")
    async def poison() -> None:
        """Kills whoever runs it."""
        with log().execution():
            await asyncio.sleep(0)
            os.kill(os.getpid(), signal.SIGKILL)

    @app.task(name="swelling")
    async def swelling(size: int) -> str:
        """Returns far more than it was given."""
        with log().execution():
            await asyncio.sleep(0)
            return "x" * size

    assert {flaky, doomed, blocking, poison, swelling}
