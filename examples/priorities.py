"""Priorities: the urgent go first, and the others never starve: six, three and one of ten starts.

Prints:

    high before normal before low, on average: True
    low ones ran before the last high one: True
"""

import asyncio
import time
from statistics import mean

from naq import Naq

app = Naq("priorities", broker_url="embedded:.naq")


@app.task
async def work() -> float:
    started = time.time()
    await asyncio.sleep(0.01)
    return started


async def main() -> None:
    async with app:
        await app.backend.pause("default")  # so that all wait before the first runs
        order = ("low", "normal", "high")
        jobs = {name: await work.options(priority=name).enqueue_many([work.call()] * 100) for name in order}
        await app.backend.resume("default")
        starts = {name: [await job.result(timeout=60) for job in jobs[name]] for name in order}

        high, normal, low = (mean(starts[name]) for name in ("high", "normal", "low"))
        print(f"high before normal before low, on average: {high < normal < low}")
        print(f"low ones ran before the last high one: {min(starts['low']) < max(starts['high'])}")


if __name__ == "__main__":
    asyncio.run(main())
