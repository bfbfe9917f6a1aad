"""Tasks of the fault tests that keep something while they run: durable steps, sleeps, waiting for events, streams."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from naq import Naq, clock, current_context
from naq.testing.chaos import OpLog


def note(folder: str, what: str) -> int:
    """Do what must not be done twice: a line in the file `what`; which line it is."""
    path = Path(folder) / what
    with path.open("a") as file:
        file.write(f"{os.getpid()} {clock.now()!r}\n")
    return len(path.read_text().splitlines())


def done(folder: Path, what: str) -> list[tuple[int, float]]:
    """By which processes that was done, and when."""
    path = folder / what
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(pid), float(at)) for pid, at in map(str.split, lines)]


def add_tasks(app: Naq, log: Callable[[], OpLog]) -> None:
    """Register them."""

    @app.task(name="stepped")
    async def stepped(folder: str) -> list[int]:
        with log().execution():
            context = current_context()
            charged = await context.step("charge", note, folder, "charge")
            return [charged, await context.step("ship", note, folder, "ship")]

    @app.task(name="stepped_thread")
    def stepped_thread(folder: str) -> list[int]:
        with log().execution():
            context = current_context()
            charged = context.step_sync("charge", note, folder, "charge")
            return [charged, context.step_sync("ship", note, folder, "ship")]

    @app.task(name="sleeper")
    async def sleeper(folder: str, seconds: float) -> int:
        context = current_context()
        note(folder, "entered")
        await context.step("before", note, folder, "before")
        await context.sleep(seconds)
        return await context.step("after", note, folder, "after")

    @app.task(name="listener")
    async def listener(folder: str) -> int:
        note(folder, "entered")
        number = await current_context().wait_for_event("go.ahead", int, timeout=60)
        return number + note(folder, "got")

    @app.task(name="streamer")
    async def streamer(count: int) -> AsyncIterator[int]:
        with log().execution():
            for number in range(count):
                yield number
                await asyncio.sleep(0.01)  # so that it takes several parts

    assert {stepped, stepped_thread, sleeper, listener, streamer}
