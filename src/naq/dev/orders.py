"""The first jobs of ``naq dev --demo``: ``python -m naq.dev.orders`` puts them into the shop's queues."""

from __future__ import annotations

import asyncio
from datetime import date

from naq.dev.shop import Order, app, ask_for_review, charge, make_invoice, send_mail, ship


async def place() -> None:
    """Enqueue five jobs: async, sync, failing at first, failing for good, delayed."""
    order = Order(number=1001, customer="Ada", cents=4950, placed=date(2030, 5, 17))
    async with app:
        await send_mail.enqueue("ada@example.com", text="Thank you!")
        await make_invoice.enqueue(order)
        await charge.enqueue(order)
        await ship.enqueue(order)
        await ask_for_review.options(delay=2.5).enqueue("Ada")


if __name__ == "__main__":
    asyncio.run(place())
