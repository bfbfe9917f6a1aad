"""What the workers of the process tests run: tasks with limits that write down when they begin and end."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from naq import Naq

LOG = Path(os.environ["LIMITED_APP_LOG"])
LEASE = 4.0  # seconds

app = Naq("limited", lease=LEASE, worker_ttl=LEASE * 2, heartbeat_interval=1.0, shutdown_timeout=5.0)


def note(word: str) -> None:
    """One line, in one write, so that lines of several processes do not mix."""
    with LOG.open("ab", buffering=0) as file:
        file.write(f"{word} {time.time()!r} {os.getpid()}\n".encode())


async def _work(seconds: float) -> None:
    note("begin")
    await asyncio.sleep(seconds)
    note("end")


@app.task(rate="40/s")
async def rated(seconds: float) -> None:
    """At most 40 starts in a second."""
    await _work(seconds)


@app.task(group="few", group_max_concurrency=3)
async def grouped(seconds: float) -> None:
    """At most three at once."""
    await _work(seconds)


@app.task(queue="narrow")
async def narrow(seconds: float) -> None:
    """As many at once as its queue allows."""
    await _work(seconds)
