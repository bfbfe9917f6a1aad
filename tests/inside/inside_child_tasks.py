"""Tasks for child processes, which import this module; where their jobs live is in the environment."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

from naq import Naq, current_context

URL = "INSIDE_TESTS_URL"


def build() -> Naq:
    """The app, with the jobs where the environment says."""
    app = Naq("inside-child", broker_url=os.environ.get(URL, "memory:inside-child"))
    app.task(name="reports", executor="process", retry=[0.01])(reports)
    app.task(name="reports_sync", executor="process", retry=[0.01])(reports_sync)
    app.task(name="streams", executor="process")(streams)
    app.task(name="streams_sync", executor="process")(streams_sync)
    return app


async def reports() -> list[Any]:
    """Everything that a coroutine can do inside a job."""
    context = current_context()
    context.progress(0.5, "half")
    context.record_metric("pid", os.getpid())
    logging.getLogger("inside.child").warning("in %s", "a child")
    await context.artifact("a.txt", b"abc")
    done = await context.step("double", double, 4)
    seen = await context.restore(int)
    if seen is None:
        await context.checkpoint(7)
        raise ValueError("again")
    await context.sleep(0.01)
    return [done, seen, context.attempt]


def reports_sync() -> list[Any]:
    """The same of a plain function."""
    context = current_context()
    context.progress(percent=50)
    context.artifact_sync("a.txt", b"abc")
    done = context.step_sync("double", double, 4)
    seen = context.restore_sync(int)
    if seen is None:
        context.checkpoint_sync(7)
        raise ValueError("again")
    context.sleep_sync(0.01)
    return [done, seen, context.attempt]


def double(number: int) -> int:
    """A step."""
    return 2 * number


async def streams(count: int) -> AsyncIterator[int]:
    """Count."""
    for n in range(count):
        yield n


def streams_sync(count: int) -> Iterator[int]:
    """Count."""
    yield from range(count)


app = build()
