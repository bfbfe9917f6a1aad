"""Events: say what has happened, and let any number of handlers follow, each as a job with retries of its own.

Prints:

    audit: order.placed 7
    receipt for order 7, at attempt 2
    audit: order.shipped 7
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from naq import Naq, current_context

app = Naq("events", broker_url="embedded:.naq")
SEEN = Path("seen.txt")  # the handlers run in a worker, which is another process


@dataclass
class Order:
    number: int


placed = app.event("order.placed", Order)
shipped = app.event("order.shipped", Order)


@app.on(placed, retry=[0.1, 0.1])
async def send_receipt(order: Order) -> None:
    attempt = current_context().attempt
    if attempt == 1:
        raise ConnectionError("the mail server is away")
    note(f"receipt for order {order.number}, at attempt {attempt}")


@app.on("order.*")  # * is any one word; > at the end stands for all that follow
def audit(order: Order) -> None:
    note(f"audit: {current_context().headers['Naq-Event']} {order.number}")


def note(line: str) -> None:
    with SEEN.open("a") as file:
        file.write(f"{line}\n")


def lines() -> list[str]:
    return SEEN.read_text().splitlines() if SEEN.exists() else []


async def seen(count: int) -> list[str]:
    """The first `count` lines that handlers wrote."""
    async with asyncio.timeout(20):
        while len(lines()) < count:
            await asyncio.sleep(0.05)
    return lines()


async def main() -> None:
    async with app:
        # The worker must have started once: what is published before a handler is known is not for it.
        while not await (await app.connect()).entries("handler"):
            await asyncio.sleep(0.05)
        await placed.publish(Order(7), event_id="order-7-placed")
        await placed.publish(Order(7), event_id="order-7-placed")  # the same event: handled once
        print(*sorted(await seen(2)), sep="\n")
        await shipped.publish(Order(7))
        print((await seen(3))[2])


if __name__ == "__main__":
    asyncio.run(main())
