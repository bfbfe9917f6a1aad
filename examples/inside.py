"""Inside a task: who am I, which attempt is this, how long have I got, and a way to say how it ends.

Prints:

    attempt 1 of 3, tagged tenant=acme, about 30 s left
    failed for good: DiscardJob: the account is closed
    succeeded at attempt 1, after a snooze
"""

import asyncio

from naq import DiscardJob, JobExecutionError, Naq, SnoozeJob, current_context

app = Naq("inside", broker_url="embedded:.naq")
_asked = 0


@app.task(retries=2, timeout=30)
async def introduce() -> str:
    context = current_context()
    context.logger.info("the job's id, task and attempt are fields of this line")
    tags = ", ".join(f"{name}={value}" for name, value in context.tags.items())
    left = context.remaining()
    assert left is not None  # None is for a task without a timeout
    return f"attempt {context.attempt} of {context.max_attempts}, tagged {tags}, about {left:.0f} s left"


@app.task(retries=10)
async def bill(account: str) -> None:
    raise DiscardJob(f"the {account} is closed")  # no retry: it would change nothing


@app.task
async def when_the_door_opens() -> str:
    global _asked
    _asked += 1
    if _asked == 1:
        raise SnoozeJob(0.2, "the door is closed")  # comes back later; not a failure, so not an attempt
    return f"succeeded at attempt {current_context().attempt}, after a snooze"


async def main() -> None:
    async with app:
        job = await introduce.options(tags={"tenant": "acme"}).enqueue()
        print(await job.result(timeout=10))
        failed = await bill.enqueue("account")
        try:
            await failed.result(timeout=10)
        except JobExecutionError as error:
            kind = error.error.type.rpartition(".")[2]
            print(f"failed for good: {kind}: {error.error.message}")
        print(await (await when_the_door_opens.enqueue()).result(timeout=10))


if __name__ == "__main__":
    asyncio.run(main())
