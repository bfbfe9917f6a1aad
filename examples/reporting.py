"""What a job tells and keeps: progress, log lines, numbers, a checkpoint for the next attempt, a file.

Prints:

    attempt 2 began at row 3
    progress: 100% (row 6 of 6)
    log: 3 lines, the last one: done
    rows: 3
    report.csv (text/csv): 6 rows
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

from naq import Naq, current_context

app = Naq("reporting", broker_url="embedded:.naq")
log = logging.getLogger("reporting")
rows = [f"{n},{n * n}\n" for n in range(6)]


@app.task(retry=[0.1])
async def load(name: str) -> int:
    context = current_context()
    begin = await context.restore(int, version=2, upcast={1: first_row}) or 0
    for number in range(begin, len(rows)):
        if number == 3 and context.attempt == 1:
            log.error("the table is locked")
            raise OSError("locked")
        await context.checkpoint(number + 1, version=2)
        context.progress((number + 1) / len(rows), f"row {number + 1} of {len(rows)}")
    context.record_metric("rows", len(rows) - begin)
    log.warning("loaded %d rows into %s", len(rows) - begin, name)
    await context.artifact("report.csv", lines())
    log.warning("done")
    return begin


def first_row(old: dict[str, Any]) -> int:
    """Version 1 of the checkpoint was ``{"row": 3}``; there may still be some when this code is deployed."""
    return old["row"]


async def lines() -> AsyncIterator[bytes]:
    for row in rows:
        yield row.encode()


@app.task
def crunch(numbers: list[int]) -> int:  # a plain function, in a thread
    context = current_context()
    total = context.restore_sync(int) or 0
    for index, number in enumerate(numbers):
        total += number
        context.progress(percent=100 * (index + 1) / len(numbers))
    context.checkpoint_sync(total)
    return total


async def main() -> None:
    async with app:
        job = await load.enqueue("orders")
        print(f"attempt 2 began at row {await job.result(timeout=10)}")
        progress = await job.progress()
        assert progress is not None
        print(f"progress: {progress.percent:.0f}% ({progress.message})")
        crunched = await crunch.enqueue([1, 2, 3])
        assert await crunched.result(timeout=10) == 6
        texts = [line.text async for line in job.logs()]
        print(f"log: {len(texts)} lines, the last one: {texts[-1]}")
        for metric in await job.metrics():
            print(f"{metric.name}: {metric.value:g}")
        for artifact in await job.artifacts():
            data = await artifact.read()
            print(f"{artifact.name} ({artifact.type}): {len(data.splitlines())} rows")


if __name__ == "__main__":
    asyncio.run(main())
