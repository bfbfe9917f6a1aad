"""Both ends of an outbox as processes: ``python -m rig.outbox produce|announce|relay URL TABLE [FIRST COUNT]``.

Each order is a row of its own in the transaction of its job, or of its event (`announce`): what is in that table
afterwards is what must have run.
Every fourth transaction is rolled back.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from typing import Any, Final

from naq import Naq
from naq.outbox import Outbox, Relay
from naq.outbox.databases import read_database
from rig.jobs import log, make_app

LEASE: Final = 1.5  # seconds until another relay takes over


def orders(table: str) -> str:
    """The table of the orders."""
    return f"{table}_orders"


def produce(app: Naq, url: str, table: str, first: int, count: int, *, events: bool = False) -> None:
    """Transactions one by one."""
    outbox, database = Outbox(app, url, table=table, relay=False), read_database(url)
    connection: Any = database.connect()
    mark = "?" if database.dialect == "sqlite" else "%s"
    work, placed = app.get_task("work"), app.event("order.placed", int)
    for number in range(first, first + count):
        cursor = connection.cursor()
        cursor.execute("BEGIN")
        if events:
            made = outbox.publish_sync(connection, placed, number)
        else:
            made = outbox.enqueue_sync(connection, work, number).id
        cursor.execute(f"INSERT INTO {orders(table)} (number, job_id) VALUES ({mark}, {mark})", (number, made))
        cursor.execute("ROLLBACK" if number % 4 == 3 else "COMMIT")
        cursor.close()
    connection.close()


async def relay(app: Naq, url: str, table: str) -> None:
    """A relay until SIGTERM."""
    one = Relay(Outbox(app, url, table=table, lease=LEASE))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, one.stop)
    await one.run()


if __name__ == "__main__":
    logging.getLogger("naq").setLevel(logging.ERROR)
    logging.getLogger("naq").addHandler(log().handler())
    match sys.argv[1:]:
        case [("produce" | "announce") as what, url, table, first, count]:
            produce(make_app(), url, table, int(first), int(count), events=what == "announce")
        case [_, url, table, *_]:
            asyncio.run(relay(make_app(), url, table))
        case _:
            raise SystemExit(__doc__)
