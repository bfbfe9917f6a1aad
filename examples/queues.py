"""Several queues: each task says where its jobs wait, one worker serves them all, and jobs may go elsewhere.

Prints:

    images 640x480
    reports 55
    mail sent to ada
    reports sent to the boss
    moved 2
    moved mail sent to somebody
    purged: 3
"""

import asyncio

from naq import Naq, Queue

app = Naq("queues", broker_url="embedded:.naq")


@app.task(queue="images")
def resize(width: int, height: int) -> str:
    return f"{width}x{height}"


@app.task(queue="reports", timeout=60)
async def add_up(numbers: list[int]) -> int:
    return sum(numbers)


@app.task(queue="mail")
async def send(to: str) -> str:
    return f"sent to {to}"


async def main() -> None:
    async with app:
        resized = await resize.enqueue(640, 480)
        added = await add_up.enqueue(list(range(11)))
        sent = await send.enqueue(to="ada")
        moved = await send.options(queue="reports").enqueue("the boss")
        print("images", await resized.result(timeout=10))
        print("reports", await added.result(timeout=10))
        print("mail", await sent.result(timeout=10))
        print("reports", await moved.result(timeout=10))

        # A worker serves the queues of its app's tasks, unless it is told which: naq worker queues.py -q images,idle
        idle = Queue("idle", app=app)
        waiting = await send.options(queue="idle").enqueue("somebody")
        for _ in range(4):
            await send.options(queue="idle").enqueue("nobody")

        # Those that have waited longest first; in a shell: naq queues move idle mail --limit 2
        print("moved", await idle.move("mail", limit=2))
        print("moved mail", await waiting.result(timeout=10))
        print("purged:", await idle.purge())


if __name__ == "__main__":
    asyncio.run(main())
