"""Several queues, one worker for all of them, and the results.

Run, in two terminals:

    naq worker -m queues -q images,reports,mail
    python queues.py

Prints:

    images 640x480
    reports 55
    mail sent to ada
    purged: 2
    a worker for images, mail, reports
"""

import asyncio

import naq


def resize(width: int, height: int) -> str:
    return f"{width}x{height}"


async def add_up(numbers: list[int]) -> int:
    return sum(numbers)


def send(to: str) -> str:
    return f"sent to {to}"


async def main() -> None:
    images, reports, mail = naq.Queue("images"), naq.Queue("reports", default_timeout=60), naq.Queue("mail")
    jobs = [
        await images.enqueue(resize, 640, 480),
        await reports.enqueue(add_up, list(range(11))),
        await mail.enqueue(send, to="ada"),
    ]
    for job in jobs:
        print(job.queue_name, await job.result(timeout=10))

    # Nobody works on this one.
    idle = naq.Queue("idle")
    for _ in range(2):
        await idle.enqueue(send, "nobody")
    print("purged:", await idle.purge())

    for worker in await naq.list_workers():
        print("a worker for", ", ".join(sorted(worker.queues)))
    await naq.disconnect()


if __name__ == "__main__":
    asyncio.run(main())
