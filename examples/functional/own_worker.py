"""A program that is its own worker: it runs its own functions, beside whatever else its event loop does.

Run:

    python own_worker.py

Prints:

    Hello, me!
"""

import asyncio

import naq


def hello(name: str) -> str:
    return f"Hello, {name}!"


async def main() -> None:
    # Without `imports`, and with none in the settings, a worker runs the functions of the script that makes it.
    worker = naq.Worker("default", concurrency=4, worker_name="own")
    running = asyncio.create_task(worker.run())

    job = await naq.enqueue(hello, "me")
    print(await job.result(timeout=10))

    worker.stop()
    await running
    await naq.disconnect()


if __name__ == "__main__":
    asyncio.run(main())
