"""Dead letters: a job that failed for good is kept, looked at, mended, and run again.

Prints:

    failed: ValueError: 'b.c' is no address
    kept: send failed, reason builtins.ValueError: 'b.c' is no address
    run again with another argument: sent to a@b.c
    kept after that: 0
    all that failed for one reason, run again: 3
    removed: 1
"""

import asyncio
import contextlib

from naq import JobExecutionError, Naq

app = Naq("dead", broker_url="embedded:.naq")


@app.task(retries=0)
async def send(to: str) -> str:
    if "@" not in to:
        raise ValueError(f"{to!r} is no address")
    return f"sent to {to}"


gateway = {"is_up": False}


@app.task(retries=0)
async def charge(order: int) -> int:
    if not gateway["is_up"]:
        gateway["is_up"] = order == 3  # mended after the third has failed
        raise ConnectionError("the gateway is down")
    return order


async def main() -> None:
    async with app:
        job = await send.enqueue("b.c")
        try:
            await job.result(timeout=30)
        except JobExecutionError as error:
            print(f"failed: {error.error.type.rpartition('.')[2]}: {error.error.message}")

        (letter,) = await app.dead_letters(task="*send")
        print(f"kept: send {letter.kind}, reason {letter.reason}")

        await app.retry_edited(letter, ["a@b.c"])
        print(f"run again with another argument: {await job.result(timeout=30)}")
        print(f"kept after that: {len(await app.dead_letters(task='*send'))}")

        for order in (1, 2, 3):
            failed = await charge.enqueue(order)
            with contextlib.suppress(JobExecutionError):
                await failed.result(timeout=30)
        letters = await app.dead_letters(task="*charge", reason="gateway is down")
        print(f"all that failed for one reason, run again: {await app.retry_dead(letters, rate=100)}")

        given_up = await send.enqueue("nobody")
        with contextlib.suppress(JobExecutionError):
            await given_up.result(timeout=30)
        print("removed:", await app.discard_dead(await app.dead_letters(task="*send")))


if __name__ == "__main__":
    asyncio.run(main())
