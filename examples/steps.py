"""Durable steps: each is done once, however often the job begins again; waiting takes no slot of a worker.

Prints:

    paid 5 EUR, once: True
    the parcel goes out, order 7 was confirmed by anna
    nobody confirmed order 8 in time
"""

import asyncio
from dataclasses import dataclass

from naq import Naq, current_context

app = Naq("steps", broker_url="embedded:.naq")
charges: list[int] = []


@dataclass
class Confirmed:
    by: str


confirmed = app.event("order.confirmed", Confirmed)


async def charge(amount: int) -> str:
    charges.append(amount)
    return f"paid {amount} EUR"


@app.task(retry=[0.1])
async def order(amount: int) -> str:
    context = current_context()
    receipt = await context.step("charge", charge, amount)  # stored before it is returned
    await context.sleep(seconds=0.2)  # or days=3: the job is put off, and comes back to this line
    if context.attempt == 1:
        raise OSError("the printer is on fire")  # what was charged stays charged
    return f"{receipt}, once: {len(charges) == 1}"


@app.task
async def ship(number: int) -> str:
    context = current_context()
    try:
        answer = await context.wait_for_event("order.confirmed", Confirmed, match=str(number), timeout=2)
    except TimeoutError:
        return f"nobody confirmed order {number} in time"
    return f"the parcel goes out, order {number} was confirmed by {answer.by}"


async def main() -> None:
    async with app:
        print(await (await order.enqueue(5)).result(timeout=20))
        seven, eight = await ship.enqueue(7), await ship.enqueue(8)
        while (await seven.record()).reason != "waits for event order.confirmed (7)":
            await asyncio.sleep(0.05)
        await confirmed.publish(Confirmed("anna"), key="7")
        print(await seven.result(timeout=20))
        print(await eight.result(timeout=20))


if __name__ == "__main__":
    asyncio.run(main())
