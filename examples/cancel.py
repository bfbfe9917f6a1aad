"""Cancelling: a waiting job never runs; a running coroutine is cancelled; a running thread is told, and has to look.

Prints:

    waiting job: removed
    running coroutine: requested, then JobCancelled
    running thread: requested, then JobCancelled
"""

import asyncio
import time

from naq import Job, JobCancelled, JobState, Naq, current_context

app = Naq("cancel", broker_url="embedded:.naq")


@app.task
async def wait_for_godot() -> None:
    await asyncio.sleep(3600)  # ends here with CancelledError; `finally` blocks run


@app.task
def count_sheep() -> None:
    context = current_context()
    while not context.is_cancelled:  # nobody can stop a thread from outside
        time.sleep(0.01)


async def cancel_running(name: str, job: Job[None]) -> None:
    while await job.status() is not JobState.RUNNING:
        await asyncio.sleep(0.05)
    done = await job.cancel()
    try:
        await job.result(timeout=10)
    except JobCancelled as error:
        print(f"{name}: {done}, then {type(error).__name__}")


async def main() -> None:
    async with app:
        tomorrow = await wait_for_godot.options(delay=86400).enqueue()
        print(f"waiting job: {await tomorrow.cancel()}")
        await cancel_running("running coroutine", await wait_for_godot.enqueue())
        await cancel_running("running thread", await count_sheep.enqueue())


if __name__ == "__main__":
    asyncio.run(main())
