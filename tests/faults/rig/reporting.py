"""Tasks that report: one all the time, which says elsewhere how much that was, and some that end by themselves."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path

from naq import Naq, current_context
from naq.testing.chaos import OpLog

PAUSE = 0.01  # seconds between two reports


def add_reporting(app: Naq, log: Callable[[], OpLog]) -> None:
    """Register it."""

    @app.task(name="reporter")
    async def reporter(folder: str, at_once: int) -> int:
        """Reports numbers from 0, `at_once` of them every 10 ms, until there is a file `gate`; how many."""
        context = current_context()
        logger = logging.getLogger("reporter")
        logger.setLevel(logging.INFO)
        said = Path(folder) / f"reported-{context.job_id}-{os.getpid()}"
        count = 0
        with log().execution():
            while not (Path(folder) / "gate").exists():
                for _ in range(at_once):
                    context.record_metric(f"of {os.getpid()}", count)
                    count += 1
                context.progress(message=f"at {count}")
                logger.info("at %d", count)
                said.write_text(str(count))
                await asyncio.sleep(PAUSE)
        return count

    @app.task(name="chatty")
    async def chatty(count: int) -> int:
        """Reports so often, and ends."""
        context = current_context()
        logger = logging.getLogger("reporter")
        logger.setLevel(logging.INFO)
        with log().execution():
            for number in range(count):
                context.record_metric("n", number)
                context.progress((number + 1) / count)
                logger.info("at %d", number)
                await asyncio.sleep(0)
        return count

    @app.task(name="stepped_once")
    async def stepped_once(number: int) -> int:
        """A durable step, and no more."""
        with log().execution():
            return await current_context().step("once", abs, number)

    assert {reporter, chatty, stepped_once}


def reported(folder: Path, pid: int) -> dict[str, int]:
    """How much each job had reported in the process `pid`, by job."""
    return {path.name.split("-")[1]: int(path.read_text() or 0) for path in folder.glob(f"reported-*-{pid}")}
