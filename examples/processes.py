"""Child processes: for code that computes for long, leaks or crashes. Each job can be ended, and costs nobody else.

Prints:

    in a process of its own: True
    TaskTimeoutError: killed when its time was up
    JobCancelled: told first, then killed
    ProcessDied: a crash fails one job
    MemoryError: more than a child may take
"""

import asyncio
import os
import time

from naq import Job, JobCancelled, JobExecutionError, JobState, Naq

app = Naq("processes", broker_url="embedded:.naq", child_memory=256)  # MiB that a child may take


@app.task(executor="process")
def where() -> int:
    return os.getpid()


@app.task(executor="process", timeout=0.5)
def compute() -> None:
    while True:  # a thread could not be ended
        pass


@app.task(executor="process")
def compute_on() -> None:
    time.sleep(3600)


@app.task(executor="process")
def crash() -> None:
    os.abort()  # as a fault in a C extension does


@app.task(executor="process")
def swallow(mib: int) -> int:
    return len(bytearray(mib * 1024 * 1024))


async def say(job: Job[object], what: str) -> None:
    try:
        await job.result(timeout=30)
    except (JobExecutionError, JobCancelled) as error:
        kind = type(error).__name__
        if type(error) is JobExecutionError:  # any other error of the task's is data, by its name
            kind = error.error.type.rpartition(".")[2]
        print(f"{kind}: {what}")


async def main() -> None:
    async with app:
        print("in a process of its own:", await (await where.enqueue()).result(timeout=30) != os.getpid())
        await say(await compute.enqueue(), "killed when its time was up")
        running = await compute_on.enqueue()
        while await running.status() is not JobState.RUNNING:
            await asyncio.sleep(0.05)
        await running.cancel()
        await say(running, "told first, then killed")
        await say(await crash.enqueue(), "a crash fails one job")
        await say(await swallow.enqueue(1024), "more than a child may take")


if __name__ == "__main__":
    asyncio.run(main())
