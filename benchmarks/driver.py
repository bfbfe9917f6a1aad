"""The producer's process: one JSON object a line on stdin, one answer a line on stdout, until stdin ends.

    python -m benchmarks.driver benchmarks.systems.saq

The harness stays free of the peers' packages, and what it measures shares no interpreter with it. Times of a measure
are taken here, beside the calls.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
import traceback
from time import monotonic_ns, perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.registry import Adapter


async def answer(adapter: Adapter, command: dict[str, Any]) -> dict[str, Any]:
    """Do one command."""
    name, first, count = command["do"], command.get("first", 0), command.get("count", 0)
    if name in {"one_by_one", "in_bulk"}:
        started = perf_counter()
        await getattr(adapter, name)(range(first, first + count))
        return {"seconds": perf_counter() - started}
    if name == "calls":
        return {"times": await calls(adapter, range(first, first + count), command["gap"])}
    if name == "pending":
        return {"pending": await adapter.pending(count)}
    if name == "results":
        return {"results": await adapter.results()}
    await getattr(adapter, name)()
    return {}


async def calls(adapter: Adapter, jobs: range, gap: float) -> list[tuple[int, int]]:
    """When each job was enqueued and when its result was here, monotonic ns; the worker idles `gap` s before each."""
    times: list[tuple[int, int]] = []
    for job in jobs:
        await asyncio.sleep(gap)
        before = monotonic_ns()
        await adapter.call(job)
        times.append((before, monotonic_ns()))
    return times


async def main(module: str, out: int) -> None:
    adapter = importlib.import_module(module).adapter()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        try:
            reply = await answer(adapter, json.loads(line))
        except Exception:  # the harness decides what it means; it gets the whole story
            reply = {"error": traceback.format_exc()}
        os.write(out, json.dumps(reply).encode() + b"\n")


if __name__ == "__main__":
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints must not look like an answer
    try:
        import uvloop
    except ImportError:
        asyncio.run(main(sys.argv[1], answers))
    else:
        uvloop.run(main(sys.argv[1], answers))
