"""Many jobs in one go: one call stores them all, pipelined, instead of a round trip for each.

Prints:

    1000 jobs, sum of results 332833500
"""

import asyncio

from naq import Naq

app = Naq("many", broker_url="embedded:.naq")


@app.task
async def square(number: int) -> int:
    return number * number


async def main() -> None:
    async with app:
        jobs = await square.enqueue_many([square.call(number) for number in range(1000)])
        results = await asyncio.gather(*(job.result(timeout=30) for job in jobs))
        print(f"{len(jobs)} jobs, sum of results {sum(results)}")


if __name__ == "__main__":
    asyncio.run(main())
