"""Later: a job that waits for a time. The broker holds the timer, so nobody polls and nobody has to stay alive.

Prints:

    scheduled
    what waits, the next one first: tea_is_ready
    changed where it waits: True
    run now: True
    cancelled: removed
    tea is ready, and not a moment too soon
"""

import asyncio
import time
from datetime import UTC, datetime, timedelta

from naq import Naq

app = Naq("later", broker_url="embedded:.naq")


@app.task
async def tea_is_ready(put_on: float, steep: float) -> str:
    return "tea is ready, " + ("and not a moment too soon" if time.time() - put_on >= steep else "but too soon")


async def main() -> None:
    async with app:
        job = await tea_is_ready.options(delay=1.0).enqueue(time.time(), steep=1.0)
        # Or at a time: .options(run_at=datetime(2030, 1, 1, tzinfo=UTC)); a datetime without a zone means UTC.
        print(await job.status())
        waiting = await app.jobs(queue="default", due_before=datetime.now(UTC) + timedelta(hours=1))
        print("what waits, the next one first:", *(record.task.rpartition(".")[2] for record in waiting))
        # It can be changed as long as it waits: its time, its arguments, its priority, its tags.
        print("changed where it waits:", await job.edit(priority="high", tags={"for": "two"}))
        coffee = await tea_is_ready.options(delay=timedelta(hours=1)).enqueue(time.time(), steep=0.0)
        print("run now:", await coffee.run_now())
        cake = await tea_is_ready.options(delay=timedelta(hours=1)).enqueue(time.time(), steep=0.0)
        print("cancelled:", await cake.cancel())
        print(await job.result(timeout=10))


if __name__ == "__main__":
    asyncio.run(main())
