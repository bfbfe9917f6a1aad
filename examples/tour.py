"""The tour of the README: enqueue in every way there is.

Prints:

    sent to a@b
    cancelling it came too late: finished
    100 jobs, the last one sent to 99@b
"""

import asyncio

from naq import Naq

app = Naq("tour", broker_url="embedded:.naq")


@app.task
async def send(to: str) -> str:
    return f"sent to {to}"


async def main() -> None:
    addresses = [f"{number}@b" for number in range(100)]
    async with app:
        # fmt: off
        job = await send.enqueue("a@b")                                      # one job: one write, acknowledged
        await send.options(delay=60, priority="high").enqueue("a@b")         # later; or at a time: run_at=
        await send.options(job_id="invoice-1001").enqueue("a@b")             # the same id is one job, for 7 days
        jobs = await send.enqueue_many([send.call(to) for to in addresses])  # thousands, pipelined
        sent = await job.result(timeout=10)                                  # pushed, never polled; typed: a str
        done = await job.cancel()                                            # waits or runs, coroutine or thread
        # fmt: on
        print(sent)
        print(f"cancelling it came too late: {done}")
        print(f"{len(jobs)} jobs, the last one {await jobs[-1].result(timeout=10)}")


if __name__ == "__main__":
    asyncio.run(main())
