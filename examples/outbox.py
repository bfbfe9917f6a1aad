"""Enqueueing inside a SQL transaction: what is committed is sent, what is rolled back never was.

Prints:

    receipt for order 1
    the card was refused: orders [1], rows that wait 0
    receipt for order 2
    receipt for order 3, receipt for order 4
    told of order 5
    orders [1, 2, 3, 4, 5]
"""

import asyncio
import sqlite3
from contextlib import closing

from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from naq import Job, Naq
from naq.outbox import Outbox

app = Naq("outbox", broker_url="embedded:.naq")
outbox = Outbox(app, "sqlite:///shop.db")  # the workers of this app relay what is there
order_placed = app.event("order.placed", int)
INSERT = "INSERT INTO orders (number) VALUES (:number)"


@app.task
async def send_receipt(order: int) -> str:
    return f"receipt for order {order}"


@app.on(order_placed)
def tell(number: int) -> None:
    with closing(sqlite3.connect("shop.db")) as database, database:
        database.execute("INSERT INTO told (number) VALUES (?)", [number])


def place_order(number: int, *, card: str = "good") -> Job[str]:
    with closing(sqlite3.connect("shop.db")) as database, database:  # commits at the end, or rolls back
        database.execute(INSERT, {"number": number})
        job = outbox.enqueue_sync(database, send_receipt, number)
        if card == "bad":
            raise ValueError("the card was refused")
    return job


def place_order_by_session(number: int) -> Job[str]:
    engine = create_engine("sqlite:///shop.db")
    with Session(engine) as session, session.begin():
        session.execute(text(INSERT), {"number": number})
        job = outbox.enqueue_sync(session, send_receipt.options(priority="high"), number)
    engine.dispose()
    return job


def place_order_and_say_so(number: int) -> None:
    with closing(sqlite3.connect("shop.db")) as database, database:
        database.execute(INSERT, {"number": number})
        outbox.publish_sync(database, order_placed, number)


async def place_orders(*numbers: int) -> list[Job[str]]:
    engine = create_async_engine("sqlite+aiosqlite:///shop.db")
    async with AsyncSession(engine) as session, session.begin():
        await session.execute(text(INSERT), [{"number": number} for number in numbers])
        jobs = await outbox.enqueue_many(session, [send_receipt.call(number) for number in numbers])
    await engine.dispose()
    return jobs


def prepare() -> None:
    with closing(sqlite3.connect("shop.db")) as database, database:
        outbox.create_table_sync(database)  # a program of yours does this in a migration
        database.execute("CREATE TABLE IF NOT EXISTS orders (number INTEGER)")
        database.execute("CREATE TABLE IF NOT EXISTS told (number INTEGER)")
        database.execute("DELETE FROM orders")
        database.execute("DELETE FROM told")


def numbers(table: str) -> list[int]:
    with closing(sqlite3.connect("shop.db")) as database:
        return [number for (number,) in database.execute(f"SELECT number FROM {table} ORDER BY number")]


async def told() -> list[int]:
    async with asyncio.timeout(20):
        while not (found := numbers("told")):
            await asyncio.sleep(0.05)
    return found


def waiting() -> int:
    with closing(sqlite3.connect("shop.db")) as database:
        return database.execute("SELECT count(*) FROM naq_outbox WHERE tries = 0").fetchone()[0]


async def main() -> None:
    prepare()
    async with app:
        print(await place_order(1).result(timeout=20))
        try:
            place_order(2, card="bad")
        except ValueError as error:
            print(f"{error}: orders {numbers('orders')}, rows that wait {waiting()}")
        print(await place_order_by_session(2).result(timeout=20))
        print(*[await job.result(timeout=20) for job in await place_orders(3, 4)], sep=", ")
        place_order_and_say_so(5)
        print("told of order", *await told())
        print("orders", numbers("orders"))


if __name__ == "__main__":
    asyncio.run(main())
