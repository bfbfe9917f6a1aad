"""Wrong calls through an outbox. Each marked line must be an error of the rule it names; all others must be clean."""

from typing import Any, assert_type

from naq import Job, Naq
from naq.outbox import Outbox

app = Naq("typing", broker_url="memory:typing")
outbox = Outbox(app)


@app.task
async def charge(amount: int, *, currency: str = "EUR") -> float:
    return float(amount)


placed = app.event("order.placed", int)


def plain(number: int) -> str:
    return str(number)


async def right(connection: Any) -> None:
    assert_type(outbox.enqueue_sync(connection, charge, 1), Job[float])
    assert_type(await outbox.enqueue(connection, charge.options(delay=1), 1, currency="SEK"), Job[float])
    assert_type(await outbox.enqueue_many(connection, [charge.call(1)]), list[Job[float]])
    assert_type(outbox.enqueue_many_sync(connection, [charge.call(1)]), list[Job[float]])
    assert_type(outbox.enqueue_sync(connection, plain, 1), Job[str])
    assert_type(await outbox.publish(connection, placed, 1), str)


async def wrong(connection: Any) -> None:
    outbox.enqueue_sync(connection, charge, "1")  # error: reportArgumentType
    outbox.enqueue_sync(connection, charge)  # error: reportCallIssue
    await outbox.enqueue(connection, charge, 1, unit="EUR")  # error: reportCallIssue
    outbox.enqueue_sync(connection, "charge", 1)  # error: reportArgumentType, reportCallIssue
    outbox.enqueue_sync(connection, plain, "1")  # error: reportArgumentType
    outbox.publish_sync(connection, placed, "1")  # error: reportArgumentType
    Outbox(app, tabel="x")  # error: reportCallIssue
