"""Code as a user has it: an app at the top of a module, which knows nothing of tests."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from datetime import datetime

from naq import DiscardJob, Naq, SnoozeJob, current_context, enqueue_sync, result_of

app = Naq("market", broker_url="nats://127.0.0.1:1", publish_timeout=0.1, connect_timeout=0.1)  # where nothing listens
ran: list[str] = []
gate = threading.Event()


@dataclass
class Address:
    street: str
    number: int = 1


@app.task(queue="mail", retries=2, tags={"team": "post"})
async def send(to: str, body: str = "", when: datetime | None = None) -> int:
    ran.append(f"send {to}")
    return len(to) + len(body) + (when is not None)


@app.task
def sign_up(name: str) -> str:
    """A plain function, which runs in a thread and enqueues from there."""
    ran.append(f"sign up {name}")
    send.options(delay=3600).enqueue_sync(f"{name}@b", body="welcome")
    return name


@app.task
async def outer(depth: int) -> int:
    """Enqueues itself, one deeper."""
    ran.append(f"outer {depth}")
    if depth:
        job = await outer.enqueue(depth - 1)
        return 1 + (await job.result(timeout=0))
    return 0


@app.task(retries=5)
async def flaky(until: int) -> int:
    attempt = current_context().attempt
    ran.append(f"flaky {attempt}")
    if attempt < until:
        raise ValueError(f"not yet: {attempt}")
    return attempt


@app.task(retries=0)
async def broken(address: Address) -> None:
    raise LookupError(f"no {address.street}")


@app.task
async def again() -> None:
    """Enqueues itself for ever."""
    await again.enqueue()


@app.task
async def hang() -> None:
    await asyncio.Event().wait()


@app.task
async def snoozing(times: int) -> int:
    ran.append("snooze")
    if ran.count("snooze") <= times:
        raise SnoozeJob(30)
    return times


@app.task
async def refuse() -> None:
    raise DiscardJob("no")


@app.task
async def add(a: int, b: int) -> int:
    return a + b


@app.task
def shout(text: str, *more: str, **rest: str) -> str:
    return " ".join([text, *more, *rest.values()]).upper()


@app.every(60)
@app.task
async def tick() -> None:
    ran.append("tick")


async def sum_of_sums() -> int:
    """A job that waits for two others."""
    first, second = await add.enqueue(1, 2), await add.enqueue(3, 4)
    total = await add.enqueue(result_of(first), result_of(second))
    return await total.result(timeout=0)


def double(number: int) -> int:
    """No task: enqueued by its import path."""
    return number * 2


def later_double(number: int) -> None:
    """Enqueues another function."""
    enqueue_sync(double, number)


@app.on("order.*")
@app.task
async def on_order(order: dict[str, int]) -> None:
    ran.append(f"order {order['number']}")


@app.task
async def long() -> str:
    """Reports, does a step once, and sleeps without a slot."""
    context = current_context()
    context.progress(0.5, "half")
    number = await context.step("count", _count)
    await context.sleep(hours=1)
    return f"after {number}"


def _count() -> int:
    ran.append("step")
    return ran.count("step")


@app.task(executor="process")
def compute(number: int) -> int:
    ran.append("compute")  # seen only where it runs in this process
    return number * number
