"""The app of the fault tests with tasks in child processes: ``naq worker rig.process_serving:app``."""

from __future__ import annotations

import ctypes
import threading
from pathlib import Path

from rig.jobs import LOOK, log, make_app

app = make_app()


@app.task(name="gated_process", executor="process")
def gated_process(gate: str) -> str:
    """Runs until the file `gate` exists."""
    with log().execution():
        while not Path(gate).exists():
            threading.Event().wait(LOOK)
        return gate


@app.task(name="holding_process", executor="process")
def holding_process(seconds: float) -> float:
    """Keeps its interpreter to itself."""
    with log().execution():
        return hold(seconds)


@app.task(name="holding_once")
async def holding_once(mark: str, seconds: float) -> float:
    """Keeps its worker's interpreter to itself, the first time."""
    with log().execution():
        try:
            Path(mark).touch(exist_ok=False)  # noqa: ASYNC240  what follows blocks far longer
        except FileExistsError:
            return 0.0
        return hold(seconds)


def hold(seconds: float) -> float:
    """Sleeps in C code that does not let go of the interpreter."""
    ctypes.PyDLL(None).usleep(int(seconds * 1_000_000))
    return seconds
